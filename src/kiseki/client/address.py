"""Where a server is: its base URL taken apart, and the proxy that the environment names for it."""

from __future__ import annotations

import os
from typing import NamedTuple
from urllib.parse import urlsplit


class Address(NamedTuple):
    """A server's place: scheme, host, port and the path below which its endpoints lie."""

    tls: bool
    host: str
    port: int
    path: str

    @property
    def bracketed(self) -> str:
        """The host as it stands in a URL: an IPv6 address in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def authority(self) -> str:
        """Host and, where it is not the scheme's own, port: the value of the `Host` header."""
        default = 443 if self.tls else 80
        return self.bracketed if self.port == default else f"{self.bracketed}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme and authority, such as `http://localhost:7117`."""
        return f"{'https' if self.tls else 'http'}://{self.authority}"


def parse_address(url: str) -> Address:
    """Take a base URL apart; raises ValueError where it is no http(s) URL.

    >>> parse_address("http://localhost:7117/").origin
    'http://localhost:7117'
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise ValueError(f"server address {url!r} has no valid port; write it as http://HOST:PORT") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"server address {url!r} is not a URL; write it as http://HOST:PORT or https://HOST")
    tls = parts.scheme == "https"
    return Address(tls, parts.hostname, port or (443 if tls else 80), parts.path.rstrip("/"))


def find_proxy(address: Address) -> Address | None:
    """Return the proxy that `http_proxy`, `https_proxy` and `no_proxy` name for this server, if any.

    `HTTP_PROXY` in capitals is ignored, as everywhere, since a CGI request could set it.
    """
    if address.tls:
        url = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY")
    else:
        url = os.environ.get("http_proxy")
    if not url or _is_exempt(address.host):
        return None
    return parse_address(url if "://" in url else f"http://{url}")


def _is_exempt(host: str) -> bool:
    if host in ("localhost", "::1") or host.startswith("127."):
        return True
    names = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    for name in (part.strip().lstrip(".").lower() for part in names.split(",")):
        if name == "*" or (name and (host == name or host.endswith(f".{name}"))):
            return True
    return False
