"""Ingest's face: appends from the network and from local files, changes told to whoever listens."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, select

from kiseki.client.protocol import FULL, UNAVAILABLE, Answer, Part
from kiseki.ingest.append import LocalPart, Taken, take
from kiseki.ingest.background import Background
from kiseki.ingest.files import note_blob
from kiseki.ingest.flush import flush
from kiseki.ingest.liveness import Contacts, mark_dead
from kiseki.ingest.state import RunState, RunStates, WriterState
from kiseki.store.database import Store
from kiseki.store.errors import StoreError, StoreFull, is_full
from kiseki.store.tables import runs

T = TypeVar("T")

SWEEP_SECONDS = 1.0
"""How often silence is looked for, and the tails of ended writers are sealed."""

_log = logging.getLogger("kiseki.ingest")


@dataclass(frozen=True)
class Change:
    """A run changed and is at `at` now; `at` grows with every change of that run."""

    entity: str
    project: str
    run_id: str
    run_pk: int
    at: int


class Ingest:
    """The only writer of run data. One for a store; its work is done in the store's writer thread."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.states = RunStates()
        self.contacts = Contacts(store.opened_us)
        self.look_again: Callable[[str, str], None] | None = None
        """Asked before a question about a writer that is not followed is answered; set by LocalFollower."""
        self._listeners: list[Callable[[Change], None]] = []
        self._background = Background(store, self.states)
        self._looking = ThreadPoolExecutor(1, thread_name_prefix="kiseki-ingest-look")
        self._lock = threading.Lock()
        store.writer.before_commit.append(self._flush)
        store.writer.after_commit.append(self._committed)
        store.writer.on_rollback.append(self._rolled_back)
        self._changes: list[Change] = []
        self._closing = threading.Event()
        store.write(self.contacts.load)
        self._sweep = threading.Thread(target=self._sweep_on, name="kiseki-ingest-sweep", daemon=True)
        self._sweep.start()
        self.rebuild(outdated=True)

    def append(self, parts: Sequence[Part]) -> Future[list[Answer]]:
        """Answer each part, in order, once what it brought is on disk; the future holds no exception."""
        answers: list[Answer | None] = [None] * len(parts)
        result: Future[list[Answer]] = Future()
        # What is queued is taken whether its asker still waits or not.
        result.set_running_or_notify_cancel()
        left = len(parts)
        if not parts:
            result.set_result([])

        def settle(index: int, answer: Answer) -> None:
            nonlocal left
            with self._lock:
                answers[index] = answer
                left -= 1
                done = left == 0
            if done:
                result.set_result([found for found in answers if found is not None])

        for index, part in enumerate(parts):
            self._submit(part, partial(settle, index))
        return result

    def append_local(self, part: LocalPart) -> Future[Answer]:
        """Take bytes of a file on this machine, which keeps them: the store remembers position and path."""
        result: Future[Answer] = Future()
        self._submit(part, result.set_result)
        return result

    def seen(self, uid: str, writer: str, *, alive: bool) -> Future[None]:
        """A process on this machine was seen to be alive, or to be dead for good."""

        def job(connection: Connection) -> None:
            state = self.states.find(connection, uid)
            found = None if state is None else state.writers.get(writer)
            if state is None or found is None:
                return
            if alive:
                self._alive(state, found)
            elif not found.dead:
                mark_dead(connection, state, found)
                state.shown = self.contacts.shown(state)

        return self.store.write(job)

    def change_run(self, uid: str, change: Callable[[Connection, RunState], None]) -> Future[None]:
        """Run `change(connection, state)` on a run in the writer thread; a dirty state is written."""

        def job(connection: Connection) -> None:
            state = self.states.find(connection, uid)
            if state is not None:
                change(connection, state)

        return self.store.write(job)

    def note_blob(self, digest: str, size: int) -> Future[None]:
        """A content lies whole in the blob store: the runs that have a file of it show it from now on."""
        return self.store.write(lambda connection: note_blob(connection, self.states, digest, size))

    def refresh(self) -> Future[None]:
        """Bring the shown state of every run that may have fallen silent up to date, and tell the changes."""
        return self.store.write(self._refresh)

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Have `callback(change)` called after each commit, on the writer thread; returns the way to stop."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    def seal_ended(self) -> Future[None]:
        """Seal everything that is due now; the future resolves when it is done."""
        return self._background.seal_ended()

    def rebuild(self, run_pk: int | None = None, *, outdated: bool = False) -> Future[list[int]]:
        """Make the derived rows of a run, or of all, again; the future holds the runs done, when they are.

        `outdated`: only of those that an older version of the code made. Works piece by piece behind the
        appends. A run whose source files are gone is left as it is.
        """
        return self._background.rebuild(run_pk, outdated=outdated)

    def close(self) -> None:
        """End the sweep and the background work; queued appends are done when the store is closed."""
        self._closing.set()
        self._background.close()
        self._sweep.join()
        self._looking.shutdown(wait=True)
        self._listeners.clear()
        try:
            self.store.write(lambda connection: self.contacts.write(connection, at_once=True))
        except StoreError:
            # Closed before: what it said is at most ten seconds old.
            pass

    def _alive(self, state: RunState, writer: WriterState) -> None:
        self.contacts.note(writer.pk)
        if state.shown != "running" and (shown := self.contacts.shown(state)) != state.shown:
            state.shown = shown
            state.touch()

    def _refresh(self, connection: Connection) -> None:
        query = select(runs.c.uid).where(runs.c.state == "running", runs.c.shown_state != "crashed")
        for uid in connection.scalars(query).all():
            state = self.states.find(connection, uid)
            if state is not None and (shown := self.contacts.shown(state)) != state.shown:
                state.shown = shown
                state.touch()
        self.contacts.write(connection)

    def _sweep_on(self) -> None:
        """Every second: who has fallen silent, and what of ended writers is to be sealed."""
        while not self._closing.wait(SWEEP_SECONDS):
            try:
                self.refresh().result()
                self.seal_ended().result()
            except (StoreError, CancelledError):
                continue
            except Exception:
                _log.exception("the sweep over running runs failed")

    def _submit(self, part: Part | LocalPart, settle: Callable[[Answer], None]) -> None:
        if part.offset is None and self.look_again is not None:
            self._looking.submit(self._look_then_queue, part, settle)
        else:
            self._queue(part, settle)

    def _look_then_queue(self, part: Part, settle: Callable[[Answer], None]) -> None:
        try:
            if self.look_again is not None:
                self.look_again(part.run_uid, part.writer)
        except Exception:
            _log.exception("looking for a local run failed")
        self._queue(part, settle)

    def _queue(self, part: Part | LocalPart, settle: Callable[[Answer], None]) -> None:
        def job(connection: Connection) -> Taken:
            follows = self.look_again is not None
            taken = take(connection, self.store, self.states, part, follows=follows)
            alive = bool(part.data) if isinstance(part, LocalPart) else part.live
            if alive and taken.state is not None and taken.writer is not None:
                self._alive(taken.state, taken.writer)
            return taken

        def answered(future: Future[Taken]) -> None:
            if future.cancelled():
                settle(Answer(status=UNAVAILABLE, error="the server is closing"))
                return
            error = future.exception()
            settle(future.result().answer if error is None else _failure(error))

        try:
            future = self.store.write(job, weight=len(part.data))
        except StoreError as refused:
            settle(Answer(status=UNAVAILABLE, error=str(refused)))
            return
        future.add_done_callback(answered)

    def _flush(self, connection: Connection) -> None:
        for state in self.states.touched.values():
            if state.dirty:
                flush(connection, state)
                self._changes.append(Change(state.entity, state.project, state.run_id, state.pk, state.at))

    def _committed(self) -> None:
        due = [
            (state, writer)
            for state in self.states.touched.values()
            for writer in state.writers.values()
            if writer.sealed_to < writer.segment_offset
        ]
        self.states.committed()
        changes, self._changes = self._changes, []
        for change in changes:
            for listener in tuple(self._listeners):
                try:
                    listener(change)
                except Exception:
                    _log.exception("a listener for changes failed")
        for state, writer in due:
            self._background.seal_soon(state, writer)

    def _rolled_back(self) -> None:
        self._changes.clear()
        for state in self.states.rolled_back():
            for writer in state.writers.values():
                self.store.tails.forget(writer.pk)


def _failure(error: BaseException) -> Answer:
    """What the sender is told; the words of the database, with what was written, stay in the server's log."""
    if isinstance(error, StoreFull):
        return Answer(status=FULL, error=str(error))
    if is_full(error):
        return Answer(status=FULL, error="the server's disk is full; what was not taken comes again")
    return Answer(status=UNAVAILABLE, error="the server could not take it; its log says why")
