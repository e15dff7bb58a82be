"""What a server's refusal is to a caller of the public API."""

from __future__ import annotations


class ApiError(RuntimeError):
    """A server refused a request; the text is its one line, `status` the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class NotFoundError(ApiError, ValueError):
    """There is no such run or project."""

    def __init__(self, message: str) -> None:
        super().__init__(404, message)
