"""The gate before the API: without a credential only the public endpoints answer, and nothing leaks."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from kiseki.server.endpoint import Endpoint
from kiseki.server.errors import error_response
from kiseki.store import StoreError

if TYPE_CHECKING:
    from kiseki.server.auth import Auth

_UNAUTHORIZED = "this server needs a key: send Authorization: Bearer KEY, or log in with `kiseki login`"


class Gate:
    """ASGI middleware that asks for a credential on every path of the API but the public endpoints'."""

    def __init__(
        self, app: ASGIApp, auth: Auth, endpoints: Collection[Endpoint], *, open_to_all: bool
    ) -> None:
        self._app = app
        self._auth = auth
        self._public = frozenset(
            (each.method, each.full_path) for each in endpoints if each.public or each.checks_key
        )
        self._open_to_all = open_to_all

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            known = not self._needs_credential(scope) or await is_authenticated(self._auth, Request(scope))
        except StoreError as error:
            await error_response(503, str(error))(scope, receive, send)
            return
        if known:
            await self._app(scope, receive, send)
        else:
            await error_response(401, _UNAUTHORIZED)(scope, receive, send)

    def _needs_credential(self, scope: Scope) -> bool:
        if self._open_to_all or scope["type"] != "http":
            return False
        path: str = scope["path"]
        if path != "/api" and not path.startswith("/api/"):
            return False
        return (scope["method"], path) not in self._public


async def is_authenticated(auth: Auth, request: Request) -> bool:
    """Whether the request carries a valid API key or the cookie of a session."""
    key = bearer_key(request)
    if key is not None:
        return auth.remembers(key) or await run_in_threadpool(auth.accepts_key, key)
    token = request.cookies.get(auth.cookie_name)
    if token is None:
        return False
    return auth.remembers(token) or await run_in_threadpool(auth.accepts_session, token)


def bearer_key(request: Request) -> str | None:
    """Return the key of the `Authorization: Bearer` header, None where there is none."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" and key.strip() else None
