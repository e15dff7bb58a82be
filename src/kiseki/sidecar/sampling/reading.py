"""What one look at a source gives, and what a source is."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

from kiseki.system.process import ProcessId


class Watched(NamedTuple):
    """A run that is sampled: the processes that it began with, and where it writes."""

    run: str
    """Its directory, which names it here."""
    processes: tuple[ProcessId, ...]


class Reading(Struct, frozen=True):
    """Measured values by key, without the `system.` in front."""

    values: dict[str, float] = {}
    """The same for every run."""
    totals: dict[str, float] = {}
    """The same for every run, and growing for ever: a run is told how much came since its first sample."""
    runs: dict[str, dict[str, float]] = {}
    """By run, what concerns it alone."""
    trees: dict[str, frozenset[int]] = {}
    """By run, the pids of its processes and of all that they started."""
    gpu_memory: dict[int, dict[int, int]] = {}
    """By GPU and pid, bytes of GPU memory."""


class Source(Protocol):
    """One thing that can be measured. Any exception is taken as: not this time."""

    def facts(self) -> dict[str, Any]:
        """What does not change, as keys of the environment record."""

    def read(self, watched: Sequence[Watched]) -> Reading:
        """Measure the machine, and the runs that are `watched`."""


class Rates:
    """Turns totals into what came a second since the look before."""

    MIN_S = 0.5
    """A rate over less than this is noise: the one before is said again."""

    def __init__(self) -> None:
        self._at = float("-inf")
        self._totals: Mapping[str, float] = {}
        self._rates: dict[str, float] = {}

    def since(self, totals: Mapping[str, float]) -> dict[str, float]:
        """Return what came a second by key; nothing for a key that is new, or whose total went back."""
        now = time.monotonic()
        elapsed = now - self._at
        if elapsed < self.MIN_S:
            return self._rates
        before = self._totals
        self._rates = {
            key: (total - before[key]) / elapsed
            for key, total in totals.items()
            if key in before and total >= before[key]
        }
        self._totals, self._at = dict(totals), now
        return self._rates
