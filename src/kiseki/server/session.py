"""Browser sessions: a key becomes a cookie, and the cookie ends."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from kiseki.server.auth import SESSION_S, Auth
from kiseki.server.context import Context, ServerSettings
from kiseki.server.endpoint import Call, endpoint
from kiseki.server.errors import ApiError


class NewSession(msgspec.Struct, frozen=True):
    """The API key that a person pasted."""

    key: str


@endpoint("POST", "/session", public=True, status=204)
def open_session(context: Context, call: Call, body: NewSession) -> Response:
    """Log a browser in: the answer sets the session's cookie."""
    if not context.auth.accepts_key(body.key.strip()):
        raise ApiError(401, "this key is not valid here; `kiseki key create` on the server makes one")
    response = Response(status_code=204)
    set_session_cookie(response, context.auth, context.settings, call.request)
    return response


@endpoint("DELETE", "/session", status=204)
def close_session(context: Context, call: Call) -> Response:
    """Log a browser out."""
    name = context.auth.cookie_name
    token = call.request.cookies.get(name)
    if token is not None:
        context.auth.close_session(token)
    response = Response(status_code=204)
    response.delete_cookie(name, path=_cookie_path(context.settings), httponly=True, samesite="strict")
    return response


def set_session_cookie(response: Response, auth: Auth, settings: ServerSettings, request: Request) -> None:
    """Open a session and let `response` set its cookie; writes the store, so call it in a worker thread."""
    response.set_cookie(
        auth.cookie_name,
        auth.open_session(),
        max_age=SESSION_S,
        path=_cookie_path(settings),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def _cookie_path(settings: ServerSettings) -> str:
    return settings.base_path or "/"


ENDPOINTS = (open_session, close_session)
