"""What can go wrong with a store, each in one line for people."""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot be opened or used; the text says what is wrong, where, and what to do."""


class StoreBusy(StoreError):
    """The writer's queue is full; ask again in a moment."""


class StoreFull(StoreError):
    """The disk below the store has no room left for more data."""
