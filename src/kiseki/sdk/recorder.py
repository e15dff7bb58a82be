"""Recording what a process logs: one record after the other, through threads, signals and forks."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from struct import error as LayoutError
from typing import Any

from kiseki.records.kinds import Header, State, Written
from kiseki.records.kinds import Summary as SummaryRecord
from kiseki.records.values import Skipped
from kiseki.sdk import lane
from kiseki.sdk.steps import StepCounter, whole_step
from kiseki.sdk.summary import Changes, SummaryTree, paths_of
from kiseki.sdk.terminal import warn, warn_once

MAX_LEFT_OUT = 100
"""How many keys of values that cannot be stored are named in warnings."""


class Recorder:
    """The one way to a run's writer in this process; it also counts the steps and folds the summary.

    A re-entrant lock is held around each record. A call from a signal handler or `__del__` in the middle of
    another one waits in a queue until that is written. Nothing here raises for what cannot be recorded: it is
    one warning. A forked child opens a writer, and a lane, of its own for its first record.
    """

    def __init__(self, writer: lane.Writer, run_dir: Path | None, on_new_lane: Callable[[], None]) -> None:
        """`on_new_lane` is called in a forked child that has begun a lane of its own."""
        self.steps = StepCounter(writer.header.step)
        self.tree = SummaryTree()
        self.forked = False
        """Whether this process is a forked child of the one that began the run."""
        self.lane = writer.header
        """The lane that this process writes or, in a forked child that has not begun one, its parent's."""
        self._run_dir = run_dir
        self._on_new_lane = on_new_lane
        self._began_us = writer.header.wall_ns // 1000
        self._lock = threading.RLock()
        self._busy = False
        self._queued: deque[Callable[[], object]] = deque()
        # None once closed, and in a forked child before its first record.
        self._writer: lane.Writer | None = writer
        self._closed = False
        self._left_out = 0
        self._last_step: int | None = None
        self._last_time_us = 0

    def log_row(self, data: Mapping[str, Any], step: int | None, commit: bool | None) -> None:
        """Record a row, see `Run.log`."""
        try:
            with self._lock:
                if self._busy:
                    copied = dict(data)
                    self._queued.append(lambda: self._tell_skipped(self._checked_row(copied, step, commit)))
                    return
                self._busy = True
                try:
                    if step is None and self._writer is not None and type(data) is dict:
                        skipped = self._row(self._writer, data, self.steps.place(None, commit))
                    else:
                        skipped = self._checked_row(data, step, commit)
                finally:
                    # Also when an exception passes: a handler may have finished the run and called sys.exit.
                    self._busy = False
                    if self._queued:
                        self._run_queued()
        except Exception as error:
            warn_once(("log", type(error), str(error)[:40]), f"log: {error}")
            return
        if skipped:
            self._tell_skipped(skipped)

    def write(self, make: Callable[[lane.Writer], Written]) -> None:
        """Record what `make` returns; it is called with the writer when its turn has come."""

        def act() -> None:
            writer = self._writer or self._open_own_lane("the change")
            if writer is not None:
                writer.append(make(writer))

        self.exclusively(act)

    def write_console(self, stream: int, data: bytes) -> None:
        """Record bytes that go to the terminal, at most 64 KiB; nothing where this process has no writer."""
        with self._lock:
            if self._busy:
                self._queued.append(lambda: self._console(stream, data))
                return
            self._busy = True
            try:
                self._console(stream, data)
            finally:
                self._busy = False
                if self._queued:
                    self._run_queued()

    def change_summary(self, changes: Changes) -> None:
        """Record summary values set or deleted by hand."""

        def act() -> None:
            assigned, deleted = paths_of(changes)
            for path, value in assigned:
                self.tree.set(path, value)
            for path in deleted:
                self.tree.delete(path)
            writer = self._writer or self._open_own_lane("the change")
            if writer is not None:
                writer.append(SummaryRecord(writer.now(), list(changes[0]), changes[1]))

        self.exclusively(act)

    def last_row(self) -> dict[str, Any]:
        """What the summary says of the last row: `_step`, `_runtime` (s) and `_timestamp` (unix s)."""
        if self._last_step is None:
            return {}
        writer = self._writer
        if writer is not None and writer.row_time:
            self._last_time_us = self.lane.wall_ns // 1000 + writer.row_time
        runtime = (self._last_time_us - self._began_us) / 1e6
        return {"_step": self._last_step, "_runtime": runtime, "_timestamp": self._last_time_us / 1e6}

    def note_clock(self) -> None:
        """Record a wall clock that has drifted."""
        self.exclusively(lambda: self._writer.check_clock() if self._writer is not None else None)

    def close(self, state: str, exit_code: int | None, reason: str | None) -> lane.Writer | None:
        """Record the end and close; the writer, None where this process has none (open)."""
        writer, self._closed = self._writer, True
        if writer is not None:
            self.exclusively(lambda: self._close(writer, State(writer.now(), state, exit_code, reason)))
        return writer

    def exclusively(self, act: Callable[[], object]) -> None:
        """Do `act` between two records; within one of this thread, right after that is written."""
        with self._lock:
            self._queued.append(act)
            if not self._busy:
                self._run_queued()

    def lock_for_fork(self) -> None:
        """Hold the writer across a fork, so that the child finds it between two records."""
        self._lock.acquire()

    def unlock_after_fork(self) -> None:
        """Let go in the parent."""
        self._lock.release()

    def continue_in_child(self) -> None:
        """Become the recorder of a forked child, which touches nothing until it has something to record."""
        self.forked = True
        self._busy = False
        self._queued.clear()
        self.last_row()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close_inherited()
        self._lock.release()

    def _checked_row(
        self, data: Mapping[str, Any], step: int | None, commit: bool | None
    ) -> Sequence[Skipped]:
        writer = self._writer or self._open_own_lane("log")
        if writer is None:
            return ()
        if not isinstance(data, Mapping):
            raise TypeError(f"takes a dict of names and values, not {type(data).__name__} {data!r:.50}")
        at = None if step is None else _usable_step(step)
        return self._row(writer, data, self.steps.place(at, commit))

    def _row(self, writer: lane.Writer, data: Mapping[str, Any], step: int) -> Sequence[Skipped]:
        try:
            skipped = writer.log_row(data, step)
        except (RuntimeError, LayoutError):
            # Another thread is changing the dictionary; a copy is made in one go.
            data = dict(data)
            skipped = writer.log_row(data, step)
        # A tuple says that all keys are strings and all values plain.
        if type(skipped) is tuple:
            self.tree.take_plain_row(data)
        elif writer.row_flattened is not None:
            self.tree.take_row(writer.row_flattened)
        self._last_step = step
        return skipped

    def _console(self, stream: int, data: bytes) -> None:
        writer = self._writer
        if writer is None:
            return
        try:
            writer.append_console(stream, data)
        except Exception as error:
            warn_once(("console", type(error), str(error)[:40]), f"output is not recorded: {error}")

    def _run_queued(self) -> None:
        while self._queued:
            act = self._queued.popleft()
            self._busy = True
            try:
                act()
            except Exception as error:
                warn_once(("write", type(error), str(error)[:40]), str(error))
            finally:
                self._busy = False

    def _close(self, writer: lane.Writer, ending: State) -> None:
        self.last_row()
        self._writer = None
        writer.append(ending)
        lost = writer.close()
        if lost:
            warn(f"{lost} records of run {self.lane.run_id} are lost: the disk took no more")

    def _open_own_lane(self, what: str) -> lane.Writer | None:
        """The writer of a forked child, opened for its first record; None where there is none to be had."""
        if self._closed or not self.forked:
            run_id = self.lane.run_id
            warn_once(("finished", run_id), f"run {run_id} has finished: {what} is not recorded")
            return None
        header: Header = lane.fork_header(self.lane, self.steps.current)
        if self._run_dir is None:
            self._writer = lane.DiscardingWriter(header)
            return self._writer
        try:
            self._writer = lane.open_writer(self._run_dir, header, warn)
        except OSError as error:
            warn_once(("fork", header.run_id), f"a forked process cannot record: {error}")
            self._writer = lane.DiscardingWriter(header)
            return self._writer
        self.lane = header
        self._on_new_lane()
        return self._writer

    def _tell_skipped(self, skipped: Sequence[Skipped]) -> None:
        for one in skipped:
            if self._left_out >= MAX_LEFT_OUT:
                return  # a script whose every row has a key of its own
            key = ("value", one.name, one.type_name)
            if warn_once(key, f'log: "{one.name:.80}" is left out: {one.why}'):
                self._left_out += 1
                if self._left_out == MAX_LEFT_OUT:
                    warn("log: values of further keys that are left out are not named any more")


def _usable_step(step: Any) -> int | None:
    """The step as an int; None, after one warning, where it cannot be one: the row is kept."""
    try:
        return whole_step(step)
    except (TypeError, ValueError) as error:
        warn_once(("step", type(step), type(error)), f"{error}; the row goes to the open step")
        return None
