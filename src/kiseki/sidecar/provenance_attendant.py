"""What a run was started from (git, packages, code), found out by an errand once for each run."""

from __future__ import annotations

import select
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from kiseki.records.kinds import SIDECAR, Environment
from kiseki.records.reader import read_records
from kiseki.sidecar.errand import Errand
from kiseki.sidecar.follow import RunFollow
from kiseki.sidecar.log import log
from kiseki.sidecar.provenance.request import request
from kiseki.system.recording import Choice

MODULE: Final = "kiseki.sidecar.provenance"

LIMIT_S: Final = 600.0
"""An errand that takes longer than this is ended; it has narrower limits of its own."""

AFTER_END_S: Final = 60.0
"""A run that has ended waits this long for its errand."""

_AT_ONCE: Final = 2
_HEAD: Final = 256 * 1024


class Provenance:
    """Runs the errand of every run, a few at a time, and records what it finds."""

    def __init__(self, choices: Callable[[RunFollow], Mapping[str, Choice] | None]) -> None:
        """`choices`: what applies to a run, None while that is not known yet."""
        self._choices = choices
        self._errands: dict[RunFollow, _Doing] = {}
        self._done: set[RunFollow] = set()

    def attend(self, run: RunFollow, now: float) -> None:
        """Start the errand, or take up what it found; end it where it takes too long."""
        if run in self._done:
            return
        doing = self._errands.get(run)
        if doing is None:
            self._start(run, now)
            return
        for line in doing.errand.lines():
            found = line.get("environment")
            if isinstance(found, dict) and found:
                run.own.append(Environment(0, found))
        if run.all_ended:
            doing.until = min(doing.until, now + AFTER_END_S)
        if doing.errand.finished:
            self._conclude(run)
            if doing.errand.status != 0:
                log(f"{run.folder}: the look at its code ended with status {doing.errand.status}")
        elif now >= doing.until:
            doing.errand.abandon()
            self._conclude(run)
            log(f"{run.folder}: the look at its code took too long and was ended")

    def settled(self, run: RunFollow) -> bool:
        """Whether all is recorded that will be."""
        return run in self._done

    def release(self, run: RunFollow) -> None:
        """End what is under way for the run."""
        self._done.discard(run)
        doing = self._errands.pop(run, None)
        if doing is not None:
            doing.errand.abandon()

    def next_turn(self) -> float:
        """Return when the first errand has taken too long."""
        return min((doing.until for doing in self._errands.values()), default=float("inf"))

    def register(self, poll: select.poll) -> None:
        """Let `poll` return when an errand said something."""
        for doing in self._errands.values():
            doing.errand.register(poll)

    def _start(self, run: RunFollow, now: float) -> None:
        choices = self._choices(run)
        pointer = next(iter(run.pointers.values()), None)
        if choices is None or pointer is None or len(self._errands) >= _AT_ONCE:
            return
        if _was_recorded(run):
            self._done.add(run)
            return
        self._errands[run] = _Doing(Errand(MODULE, request(pointer, choices)), now + LIMIT_S)

    def _conclude(self, run: RunFollow) -> None:
        del self._errands[run]
        self._done.add(run)


class _Doing:
    """An errand, and until when it may take."""

    def __init__(self, errand: Errand, until: float) -> None:
        self.errand = errand
        self.until = until


def _was_recorded(run: RunFollow) -> bool:
    """Whether an earlier sidecar of this run found it out: the code may have been edited since."""
    for follow in run.writers.values():
        if follow.header.role == SIDECAR and follow.header.writer != run.own.writer:
            with Path(follow.path).open("rb") as file:
                reading = read_records(file.read(_HEAD))
            for entry in reading.entries:
                if isinstance(entry.record, Environment) and _KEYS & entry.record.info.keys():
                    return True
    return False


_KEYS: Final = frozenset({"git", "packages_file", "code_file"})
