"""API keys of this user: which key belongs to which server, in files that only this user can read."""

from __future__ import annotations

import contextlib
import json
import os
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from kiseki.system.files import write_atomically
from kiseki.system.paths import config_home, servers_dir
from kiseki.system.process import start_time

KEY_PATTERN = re.compile(r"kk_[0-9a-f]{40}")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class LocalServer(NamedTuple):
    """A server that this user runs on this machine, as it announced itself."""

    url: str
    key: str
    server_id: str
    pid: int


def save_key(base_url: str, key: str) -> None:
    """Keep `key` for the server at `base_url`, instead of an earlier one.

    Raises ValueError for a text that is no key, OSError where the file cannot be written.
    """
    if not KEY_PATTERN.fullmatch(key):
        raise ValueError(f"a Kiseki key is kk_ and 40 hex digits, not {len(key)} other characters")
    keys = _saved_keys()
    keys[normal_url(base_url)] = key
    config_home().mkdir(parents=True, exist_ok=True)
    write_atomically(config_home() / "credentials.json", json.dumps(keys, indent=1) + "\n", mode=0o600)


def find_key(base_url: str) -> str | None:
    """The key for the server at `base_url`: saved by `login`, else of this user's own running server."""
    wanted = normal_url(base_url)
    saved = _saved_keys().get(wanted)
    if saved:
        return saved
    for server in local_servers():
        if normal_url(server.url) == wanted or _same_loopback(server.url, wanted):
            return server.key
    return None


def announce_server(server: LocalServer) -> None:
    """Let this user's other processes find the running `server` and its key (file mode 0600)."""
    servers_dir().mkdir(parents=True, exist_ok=True, mode=0o700)
    text = json.dumps(server._asdict()) + "\n"
    write_atomically(servers_dir() / f"{server.server_id}.json", text, mode=0o600)


def withdraw_server(server_id: str) -> None:
    """Take back what `announce_server` wrote."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(servers_dir() / f"{server_id}.json")


def local_servers() -> list[LocalServer]:
    """Every announced server of this user whose process lives."""
    found = []
    try:
        names = sorted(os.listdir(servers_dir()))
    except OSError:
        return []
    for name in names:
        if not name.endswith(".json"):
            continue
        try:
            data = json.loads((servers_dir() / name).read_text())
            server = LocalServer(str(data["url"]), str(data["key"]), str(data["server_id"]), int(data["pid"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
        # The port of a server that has gone may belong to another user now: never offer its key.
        if start_time(server.pid) is not None:
            found.append(server)
    return found


def normal_url(base_url: str) -> str:
    """One spelling for one server: scheme and host in lower case, default port and last slash gone."""
    parts = urlsplit(base_url if "//" in base_url else f"http://{base_url}")
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, default) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def _saved_keys() -> dict[str, str]:
    try:
        data = json.loads((config_home() / "credentials.json").read_text())
    except (OSError, ValueError):
        return {}
    return {str(url): str(key) for url, key in data.items()} if isinstance(data, dict) else {}


def _same_loopback(one: str, other: str) -> bool:
    first, second = urlsplit(one), urlsplit(other)
    return (
        first.hostname in _LOOPBACK
        and second.hostname in _LOOPBACK
        and (first.scheme, first.port, first.path.rstrip("/"))
        == (second.scheme, second.port, second.path.rstrip("/"))
    )
