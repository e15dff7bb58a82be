"""What the API says when it cannot do what was asked: a status and one line for people."""

from __future__ import annotations

import msgspec
from starlette.responses import Response


class ApiError(Exception):
    """Ends a request with `status` and the one-line `message`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class ErrorAnswer(msgspec.Struct, frozen=True):
    """The body of every answer that is no success."""

    error: str
    """One line: what is wrong, where, what to do."""


def error_response(status: int, message: str) -> Response:
    """Return the JSON answer for an error; line breaks in `message` become spaces."""
    body = msgspec.json.encode(ErrorAnswer(" ".join(message.split())))
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return Response(body, status, headers, media_type="application/json")
