"""What can go wrong with a store, each in one line for people."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError


class StoreError(Exception):
    """The store cannot be opened or used; the text says what is wrong, where, and what to do."""


class StoreBusy(StoreError):
    """The writer's queue is full; ask again in a moment."""


class StoreFull(StoreError):
    """The disk below the store has no room left for more data."""


def is_full(error: BaseException) -> bool:
    """Whether a write failed for want of room: refused beforehand, or by SQLite in the middle."""
    return isinstance(error, StoreFull) or (
        isinstance(error, DBAPIError) and "disk is full" in str(error.orig)
    )
