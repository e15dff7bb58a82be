"""Work behind the appends: sealing what is due, and making derived rows again, piece by piece."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy import Connection, or_, select

from kiseki.ingest.state import RunState, RunStates, WriterState
from kiseki.store.commits import GROUP_SECONDS
from kiseki.store.database import Store
from kiseki.store.errors import StoreError
from kiseki.store.tables import DERIVED_VERSION, runs, writers

T = TypeVar("T")


class Background:
    """Jobs of the writer thread that run one at a time behind the others, each followed by the next.

    Their futures are cancelled once `close` was called.
    """

    def __init__(self, store: Store, states: RunStates) -> None:
        self._store = store
        self._states = states
        self._sealing: set[int] = set()
        self._closing = threading.Event()

    def seal_ended(self) -> Future[None]:
        """Seal everything that is due now; the future resolves when it is done."""
        done: Future[None] = Future()

        def find(connection: Connection) -> list[tuple[str, str]]:
            query = select(writers.c.uid, writers.c.writer).where(
                writers.c.sealed_to < writers.c.offset,
                or_(writers.c.ended, writers.c.sealed_to < writers.c.segment_offset),
            )
            return [(uid, writer) for uid, writer in connection.execute(query)]

        self._behind(find, lambda found: self._seal_all(found.result(), done), done)
        return done

    def rebuild(self, run_pk: int | None = None, *, outdated: bool = False) -> Future[list[int]]:
        """Make the derived rows of a run, or of all, again; the future holds the runs done, when they are.

        `outdated`: only of those that an older version of the code made.

        A run whose source files are gone is left as it is.
        """
        done: Future[list[int]] = Future()

        def find(connection: Connection) -> list[int]:
            query = select(runs.c.id).order_by(runs.c.id)
            if run_pk is not None:
                query = query.where(runs.c.id == run_pk)
            if outdated:
                query = query.where(runs.c.version < DERIVED_VERSION, runs.c.source_gone.is_(False))
            return list(connection.scalars(query))

        self._behind(find, lambda found: self._rebuild_all(found.result(), [], done), done)
        return done

    def seal_soon(self, state: RunState, writer: WriterState) -> None:
        """Seal what is due of a writer; nothing where that is under way."""
        if writer.pk in self._sealing:
            return
        self._sealing.add(writer.pk)
        done: Future[None] = Future()
        done.add_done_callback(lambda _: self._sealing.discard(writer.pk))
        self._seal_all([(state.uid, writer.header.writer)], done)

    def close(self) -> None:
        """Let no more work begin; what is left is found again at the next start."""
        self._closing.set()

    def _seal_all(self, left: list[tuple[str, str]], done: Future[None]) -> None:
        if not left:
            done.set_result(None)
            return

        def job(connection: Connection) -> list[tuple[str, str]]:
            from kiseki.ingest.sealing import seal_next

            deadline = time.monotonic() + GROUP_SECONDS
            waiting = list(left)
            while waiting:
                uid, writer = waiting[0]
                state = self._states.find(connection, uid)
                found = None if state is None else state.writers.get(writer)
                if state is None or found is None or not seal_next(connection, self._store, state, found):
                    waiting.pop(0)
                if time.monotonic() > deadline:
                    break
            return waiting

        def sealed(future: Future[list[tuple[str, str]]]) -> None:
            self._seal_all(left[1:] if future.exception() is not None else future.result(), done)

        self._behind(job, sealed, done)

    def _rebuild_all(self, left: list[int], made: list[int], done: Future[list[int]]) -> None:
        if not left:
            done.set_result(made)
            return
        from kiseki.ingest.rebuild import Rebuild

        run_pk = left[0]
        work: list[Rebuild] = []

        def job(connection: Connection) -> bool:
            live = self._states.find_pk(connection, run_pk)
            if live is None:
                return False
            if not work:
                work.append(Rebuild(live))
            if work[0].step(connection, live):
                return True
            self._states.replace(work[0].finish(connection, live))
            made.append(run_pk)
            return False

        def stepped(future: Future[bool]) -> None:
            if future.exception() is not None or not future.result():
                self._rebuild_all(left[1:], made, done)
            else:
                self._behind(job, stepped, done)

        self._behind(job, stepped, done)

    def _behind(
        self, job: Callable[[Connection], T], then: Callable[[Future[T]], None], done: Future[Any]
    ) -> None:
        """Run `job` behind the appends, then `then(its future)`; `done` is cancelled once ingest closes.

        What `then` raises becomes the exception of `done`.
        """

        def ran(future: Future[T]) -> None:
            if future.cancelled() or self._closing.is_set():
                done.cancel()
                return
            try:
                then(future)
            except Exception as error:
                done.set_exception(error)

        try:
            self._store.write(job, low=True).add_done_callback(ran)
        except StoreError:  # Closed: the next start finds again what was left.
            done.cancel()
