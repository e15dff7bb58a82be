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

QUEUE_BYTES = 256 * 1024 * 1024
"""Memory that waiting jobs may keep."""

GROUP_SECONDS = 0.02
"""For how long jobs are taken into one transaction before it is committed."""

_log = logging.getLogger("kiseki.store")


class _Job:
    __slots__ = ("fn", "future", "weight")

    def __init__(self, fn: Callable[[Connection], Any], weight: int) -> None:
        self.fn = fn
        self.weight = weight
        self.future: Future[Any] = Future()


class CommitThread:
    """Runs jobs in the order given, many in one transaction; background jobs (`low=True`) one a group.

    Where a job of a group fails, the whole group is undone and its jobs run again, each in a transaction of
    its own, so that a failing one undoes only itself: jobs must bear that. `connect` is called once, in the
    thread. `before_commit` may write what the jobs left to be written; `after_commit` runs once the group is
    durable and before its futures resolve; `on_rollback` runs where what jobs did was undone;
    `between_groups` is given the connection outside of any transaction.
    """

    def __init__(self, connect: Callable[[], Connection], *, queue_limit: int = QUEUE_LIMIT) -> None:
        self._connect = connect
        self._queue_limit = queue_limit
        self._condition = threading.Condition()
        self._high: deque[_Job] = deque()
        self._low: deque[_Job] = deque()
        self._weight = 0
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

    def submit(self, fn: Callable[[Connection], T], *, low: bool = False, weight: int = 0) -> Future[T]:
        """Queue `fn(connection)`; its future resolves once it is durable.

        `weight` is the memory in bytes that the job keeps while it waits. Raises StoreBusy where too many or
        too heavy jobs wait already; background jobs are never refused.
        """
        job = _Job(fn, weight)
        with self._condition:
            if self._closing:
                raise StoreError("the store is closed")
            if low:
                self._low.append(job)
            else:
                if len(self._high) >= self._queue_limit or (
                    self._high and self._weight + weight > QUEUE_BYTES
                ):
                    raise StoreBusy(f"{len(self._high)} writes wait already; try again in a moment")
                self._high.append(job)
                self._weight += weight
            self._condition.notify()
        return job.future

    @property
    def waiting(self) -> int:
        """Jobs in the queue, background ones not counted."""
        return len(self._high)

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
                    job = self._high.popleft()
                    self._weight -= job.weight
                    return job
                if not wait or self._closing:
                    return None
                if self._low:
                    return self._low.popleft()
                self._condition.wait()

    def _take_low(self) -> _Job | None:
        with self._condition:
            return self._low.popleft() if self._low and not self._closing else None

    def _group(self, connection: Connection, first: _Job) -> None:
        jobs: list[_Job] = []
        results: list[Any] = []
        deadline = time.monotonic() + GROUP_SECONDS
        job: _Job | None = first
        try:
            with connection.begin():
                while job is not None:
                    if job.future.set_running_or_notify_cancel():
                        jobs.append(job)
                        results.append(job.fn(connection))
                    job = self._take(wait=False) if time.monotonic() < deadline else None
                background = self._take_low()
                if background is not None and background.future.set_running_or_notify_cancel():
                    jobs.append(background)
                    results.append(background.fn(connection))
                for write in self.before_commit:
                    write(connection)
        except Exception as error:
            self._call(self.on_rollback)
            if len(jobs) == 1:
                _log.warning("a write was not committed: %s", error)
                jobs[0].future.set_exception(error)
            else:
                self._one_by_one(connection, jobs)
            return
        self._done(jobs, results)

    def _one_by_one(self, connection: Connection, jobs: list[_Job]) -> None:
        for job in jobs:
            try:
                with connection.begin():
                    result = job.fn(connection)
                    for write in self.before_commit:
                        write(connection)
            except Exception as error:
                _log.warning("a write was not committed: %s", error)
                self._call(self.on_rollback)
                job.future.set_exception(error)
            else:
                self._done([job], [result])

    def _done(self, jobs: list[_Job], results: list[Any]) -> None:
        self.commits += 1
        self._call(self.after_commit)
        for job, result in zip(jobs, results, strict=True):
            job.future.set_result(result)

    @staticmethod
    def _call(hooks: Sequence[Callable[[], None]]) -> None:
        for hook in hooks:
            try:
                hook()
            except Exception:
                _log.exception("a hook of the store's writer failed")
