"""The one thread that writes to the store: a bounded queue of jobs, committed in groups."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection

from kiseki.store.errors import StoreBusy, StoreError

T = TypeVar("T")

QUEUE_LIMIT = 1024
"""Jobs that may wait; one more is refused with StoreBusy."""

GROUP_SECONDS = 0.02
"""For how long jobs are taken into one transaction before it is committed."""

_log = logging.getLogger("kiseki.store")


class _Job:
    __slots__ = ("fn", "future")

    def __init__(self, fn: Callable[[Connection], Any]) -> None:
        self.fn = fn
        self.future: Future[Any] = Future()


class CommitThread:
    """Runs jobs in the order given, many in one transaction, each in a savepoint of its own.

    `connect` is called once, in the thread. `before_commit` may write what the jobs of the group left to be
    written (its failure fails the whole group); `after_commit` runs once the group is durable and before its
    futures resolve; `on_rollback` runs where jobs that had run were undone; `between_groups` is given the
    connection outside of any transaction. Background jobs (`low=True`) get one turn a group.
    """

    def __init__(self, connect: Callable[[], Connection], *, queue_limit: int = QUEUE_LIMIT) -> None:
        self._connect = connect
        self._queue_limit = queue_limit
        self._condition = threading.Condition()
        self._high: deque[_Job] = deque()
        self._low: deque[_Job] = deque()
        self._closing = False
        self.before_commit: list[Callable[[Connection], None]] = []
        self.after_commit: list[Callable[[], None]] = []
        self.on_rollback: list[Callable[[], None]] = []
        self.between_groups: list[Callable[[Connection], None]] = []
        self.commits = 0
        self._failed: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kiseki-store-writer", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            raise self._failed

    def submit(self, fn: Callable[[Connection], T], *, low: bool = False) -> Future[T]:
        """Queue `fn(connection)`; its future resolves once it is durable. StoreBusy where full."""
        job = _Job(fn)
        with self._condition:
            if self._closing:
                raise StoreError("the store is closed")
            queue = self._low if low else self._high
            if not low and len(queue) >= self._queue_limit:
                raise StoreBusy(f"{len(queue)} writes wait already; try again in a moment")
            queue.append(job)
            self._condition.notify()
        return job.future

    @property
    def waiting(self) -> int:
        """Jobs in the queue, background ones not counted."""
        return len(self._high)

    def inside(self) -> bool:
        """Whether the caller runs in the writer thread."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """Do what is queued, then end; background jobs are dropped, for the next start finds them again."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            connection = self._connect()
        except BaseException as error:
            self._failed = error
            self._ready.set()
            return
        self._ready.set()
        try:
            while (job := self._take(wait=True)) is not None:
                self._group(connection, job)
                self._call([partial(hook, connection) for hook in self.between_groups])
        finally:
            for left in (*self._high, *self._low):
                left.future.cancel()
            connection.close()

    def _take(self, *, wait: bool) -> _Job | None:
        with self._condition:
            while True:
                if self._high:
                    return self._high.popleft()
                if not wait or self._closing:
                    return None
                if self._low:
                    return self._low.popleft()
                self._condition.wait()

    def _take_low(self) -> _Job | None:
        with self._condition:
            return self._low.popleft() if self._low and not self._closing else None

    def _group(self, connection: Connection, first: _Job) -> None:
        done: list[tuple[_Job, Any]] = []
        deadline = time.monotonic() + GROUP_SECONDS
        job: _Job | None = first
        undone = False
        try:
            with connection.begin():
                while job is not None:
                    undone |= self._one(connection, job, done)
                    job = self._take(wait=False) if time.monotonic() < deadline else None
                if (background := self._take_low()) is not None:
                    undone |= self._one(connection, background, done)
                if undone:
                    self._call(self.on_rollback)
                for write in self.before_commit:
                    write(connection)
        except BaseException as error:
            _log.warning("a group of %d writes was not committed: %s", len(done), error)
            self._call(self.on_rollback)
            for failed, _ in done:
                failed.future.set_exception(error)
            return
        self.commits += 1
        self._call(self.after_commit)
        for succeeded, result in done:
            succeeded.future.set_result(result)

    @staticmethod
    def _one(connection: Connection, job: _Job, done: list[tuple[_Job, Any]]) -> bool:
        """Run one job in its savepoint; True where it failed and what it did was undone."""
        if not job.future.set_running_or_notify_cancel():
            return False
        try:
            with connection.begin_nested():
                result = job.fn(connection)
        except Exception as error:
            job.future.set_exception(error)
            return True
        done.append((job, result))
        return False

    @staticmethod
    def _call(hooks: Sequence[Callable[[], None]]) -> None:
        for hook in hooks:
            try:
                hook()
            except Exception:
                _log.exception("a hook of the store's writer failed")
