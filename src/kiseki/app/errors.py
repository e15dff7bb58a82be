"""What keeps an instance from starting, each in one line for people."""

from __future__ import annotations


class CannotServe(Exception):
    """The server cannot start; the text says why and what to do."""


class StoreTaken(CannotServe):
    """Another process owns the store and answers at `url` ("" where it answers nobody)."""

    def __init__(self, message: str, url: str) -> None:
        super().__init__(message)
        self.url = url
