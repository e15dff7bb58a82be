"""What else is done for a run beside following its files: one interface for measuring, errands and files."""

from __future__ import annotations

import select
from collections.abc import Sequence
from typing import Protocol

from kiseki.sidecar.follow import RunFollow
from kiseki.sidecar.log import log


class Attendant(Protocol):
    """Something that attends to every run of the sidecar. No method blocks; what may hang is an errand.

    An exception costs the run this attendant, with one line in the log, and nothing else.
    """

    def attend(self, run: RunFollow, now: float) -> None:
        """Do what is due for `run`; called at each turn of the loop once a writer's header is known.

        `run.all_ended` says that the training has said its last word. `now` is monotonic, in seconds.
        """

    def settled(self, run: RunFollow) -> bool:
        """Whether nothing more will be recorded or sent for a run whose writers have all ended."""

    def release(self, run: RunFollow) -> None:
        """Forget the run: it is done, its folder is gone, or the sidecar leaves. What runs for it ends."""

    def next_turn(self) -> float:
        """Return the monotonic time at which something will be due; infinity where nothing is."""

    def register(self, poll: select.poll) -> None:
        """Let `poll` return when something happened that `attend` should look at."""


class Attendants:
    """All attendants of a sidecar as one; whatever fails is logged once and left out for that run."""

    def __init__(self, attendants: Sequence[Attendant]) -> None:
        self._all = tuple(attendants)
        self._failed: dict[RunFollow, set[Attendant]] = {}

    def attend(self, run: RunFollow, now: float) -> None:
        """Have every attendant do what is due for `run`."""
        for attendant in self._working_for(run):
            try:
                attendant.attend(run, now)
            except Exception as error:  # What a run is watched with must not cost it its upload.
                self._failed.setdefault(run, set()).add(attendant)
                log(f"{run.folder}: {type(attendant).__name__} ends: {type(error).__name__}: {error}")
                self._release(attendant, run)

    def settled(self, run: RunFollow) -> bool:
        """Whether nothing more will be recorded of a run whose writers have all ended."""
        return all(attendant.settled(run) for attendant in self._working_for(run))

    def release(self, run: RunFollow) -> None:
        """Forget the run."""
        for attendant in self._working_for(run):
            self._release(attendant, run)
        self._failed.pop(run, None)

    def next_turn(self) -> float:
        """Return the monotonic time at which anything is due."""
        return min((attendant.next_turn() for attendant in self._all), default=float("inf"))

    def register(self, poll: select.poll) -> None:
        """Let `poll` return when something happened to any of them."""
        for attendant in self._all:
            attendant.register(poll)

    def _working_for(self, run: RunFollow) -> list[Attendant]:
        failed = self._failed.get(run, ())
        return [attendant for attendant in self._all if attendant not in failed]

    def _release(self, attendant: Attendant, run: RunFollow) -> None:
        try:
            attendant.release(run)
        except Exception as error:
            log(f"{run.folder}: {type(attendant).__name__}: {type(error).__name__}: {error}")
