"""Puts the endpoints, the pages and the layers before them together into one ASGI app."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from kiseki.server import (
    append,
    blobs,
    console,
    files,
    history,
    info,
    keys,
    live,
    openapi,
    pages,
    projects,
    runs,
    series,
    session,
    settings,
)
from kiseki.server.access import Gate
from kiseki.server.context import Context
from kiseki.server.endpoint import Endpoint, routes
from kiseki.server.errors import error_response
from kiseki.server.guard import Guard

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    *append.ENDPOINTS,
    *info.ENDPOINTS,
    *session.ENDPOINTS,
    *projects.ENDPOINTS,
    *runs.ENDPOINTS,
    *series.ENDPOINTS,
    *history.ENDPOINTS,
    *console.ENDPOINTS,
    *files.ENDPOINTS,
    *blobs.ENDPOINTS,
    *live.ENDPOINTS,
    *keys.ENDPOINTS,
    *settings.ENDPOINTS,
    *openapi.ENDPOINTS,
)
"""Every endpoint of the API; the one that is called most comes first."""


def create_app(context: Context) -> ASGIApp:
    """Return the ASGI app that serves API and pages over `context`."""

    async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
        await (await _answer_elsewhere(context, scope, receive))(scope, receive, send)

    router = Router(routes(context, ENDPOINTS), default=elsewhere, redirect_slashes=False)
    gate = Gate(router, context.auth, ENDPOINTS, open_to_all=context.settings.in_process)
    return Guard(gate, context.settings)


async def _answer_elsewhere(context: Context, scope: Scope, receive: Receive) -> Response:
    path: str = scope["path"]
    if path == "/api" or path.startswith("/api/"):
        return error_response(404, f"the API has no {path}; /api/v1/openapi.json lists what it has")
    return await pages.serve_page(context, Request(scope, receive))
