"""The outermost layer: which hosts and origins are answered, the base path, and security headers."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kiseki.server.context import ServerSettings
from kiseki.server.errors import error_response

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})

_DEFAULT_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class Guard:
    """ASGI middleware that lets through what this server is meant to answer, and nothing else."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        if not self._settings.in_process:
            refusal = self._refusal(scope)
            if refusal is not None:
                await error_response(403, refusal)(scope, receive, send)
                return
        await self._app(self._below_base_path(scope), receive, _with_security_headers(send))

    def _refusal(self, scope: Scope) -> str | None:
        host, origin = _single(scope, b"host"), _single(scope, b"origin")
        if host is None:
            return "the request names no single Host"
        name = host_name(host)
        if not self._answers_to(name, scope):
            return f"this server does not answer to the host {name!r}; start it with --allowed-host {name}"
        if origin is not None:
            netloc = origin.partition("://")[2].lower()
            if netloc != host.lower():
                return f"the origin {origin!r} is not this server: a page of another site may not ask it"
        return None

    def _answers_to(self, name: str, scope: Scope) -> bool:
        if name in LOOPBACK_HOSTS or name in self._settings.allowed_hosts:
            return True
        if not self._settings.own_address:
            return False
        # An address, unlike a name, cannot be pointed here by someone else's DNS.
        server = scope.get("server")
        return server is not None and name.strip("[]") == server[0]

    def _below_base_path(self, scope: Scope) -> Scope:
        base = self._settings.base_path
        path: str = scope["path"]
        if not base or not (path == base or path.startswith(base + "/")):
            return scope
        return {**scope, "path": path[len(base) :] or "/", "raw_path": None}


def host_name(host: str) -> str:
    """Return the name in a `Host` header in lower case, without its port.

    >>> host_name("LocalHost:7117"), host_name("[::1]:80")
    ('localhost', '[::1]')
    """
    host = host.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _single(scope: Scope, name: bytes) -> str | None:
    found = [value for key, value in scope["headers"] if key == name]
    return found[0].decode("latin-1") if len(found) == 1 else ("\0" if found else None)


def _with_security_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = message["headers"]
            named = {name for name, _ in own}
            message["headers"] = [*own, *(header for header in _DEFAULT_HEADERS if header[0] not in named)]
        await send(message)

    return send_with_headers
