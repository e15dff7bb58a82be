"""Fans "run X is at N" out to the open event streams, from the ingest's thread to the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import msgspec


class RunAt(msgspec.Struct, frozen=True):
    """One run has changed: `at` grows with every change of it."""

    entity: str
    project: str
    run: str
    at: int


_RunKey = tuple[str, str, str]


class Subscription:
    """What one stream has not told yet: the newest `at` of each changed run, so its size is bounded."""

    def __init__(self, wants: Callable[[RunAt], bool]) -> None:
        self.closed = False
        self._wants = wants
        self._pending: dict[_RunKey, RunAt] = {}
        self._wakeup = asyncio.Event()

    async def next_changes(self, timeout_s: float) -> list[RunAt]:
        """Wait for changes; [] after `timeout_s` seconds without one, or once the hub has closed."""
        if not self._pending and not self.closed:
            try:
                await asyncio.wait_for(self._wakeup.wait(), timeout_s)
            except asyncio.TimeoutError:
                return []
        self._wakeup.clear()
        changes, self._pending = list(self._pending.values()), {}
        return changes

    def _offer(self, changes: list[RunAt]) -> None:
        for change in changes:
            if self._wants(change):
                self._pending[change.entity, change.project, change.run] = change
        if self._pending:
            self._wakeup.set()

    def _close(self) -> None:
        self.closed = True
        self._wakeup.set()


class LiveHub:
    """All open streams of one server; `publish` is for any thread, everything else for the event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes: dict[_RunKey, RunAt] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    def subscribe(self, wants: Callable[[RunAt], bool]) -> Subscription:
        """Open a stream of the changes that `wants` is true for."""
        with self._lock:
            self._loop = asyncio.get_running_loop()
        subscription = Subscription(wants)
        if self._closed:
            subscription._close()
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Forget a stream that has ended."""
        self._subscriptions.discard(subscription)

    def publish(self, change: RunAt) -> None:
        """Tell all streams, without waiting for any: the caller is the store's writer thread."""
        with self._lock:
            if self._loop is None:
                return
            first = not self._changes
            self._changes[change.entity, change.project, change.run] = change
            if first and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._distribute)

    def close(self) -> None:
        """End all streams, so that the server can stop."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription._close()

    def _distribute(self) -> None:
        with self._lock:
            changes, self._changes = list(self._changes.values()), {}
        for subscription in self._subscriptions:
            subscription._offer(changes)
