"""When to measure, for whom, and what comes of it: one sampler for all runs of a sidecar."""

from __future__ import annotations

import contextlib
import math
import os
import select
from collections.abc import Callable
from typing import Any, Final

from kiseki.records.kinds import DATA_ROLES, Environment
from kiseki.sidecar.follow import RunFollow
from kiseki.sidecar.sampling.guard import Guard
from kiseki.sidecar.sampling.reading import Reading, Watched
from kiseki.sidecar.sampling.sources import make_guards

PREFIX: Final = "system."

_FIRST_S: Final = 1.0
_LEAST_SHARE: Final = 0.5
_PATIENCE_S: Final = 2.0
_FACTS_S: Final = 3.0
_LAST_FACTS_S: Final = 1.0
_OF_A_PROCESS: Final = (
    "gpu",
    "memory",
    "memoryAllocated",
    "memoryAllocatedBytes",
    "temp",
    "powerWatts",
    "powerPercent",
    "enforcedPowerLimitWatts",
)


class Sampler:
    """Measures this machine at each tick and writes a row into every run that is due then."""

    def __init__(
        self,
        interval: Callable[[RunFollow], float | None],
        guards: Callable[[Callable[[], None]], list[Guard]] = make_guards,
    ) -> None:
        """`interval`: seconds between two samples of a run, 0 for none, None while that is not known."""
        self._interval = interval
        self._make_guards = guards
        self._guards: list[Guard] = []
        self._runs: dict[RunFollow, _Sampled] = {}
        self._tick: _Tick | None = None
        self._turned_at = float("-inf")
        self._answered, self._answer = os.pipe()
        os.set_blocking(self._answered, False)
        os.set_blocking(self._answer, False)

    def attend(self, run: RunFollow, now: float) -> None:
        """Begin, end and take up ticks; say what the machine is."""
        if not self._guards:
            self._guards = self._make_guards(self._wake)
        sampled = self._runs.get(run)
        if sampled is None:
            sampled = self._runs[run] = _Sampled(now)
        if run.all_ended:
            sampled.end(now)
        sampled.plan(self._interval(run), now)
        if now != self._turned_at:
            self._turned_at = now
            self._turn(now)
        self._say_facts(run, sampled, now)

    def settled(self, run: RunFollow) -> bool:
        """Whether the last sample was taken and the facts are said."""
        sampled = self._runs.get(run)
        return sampled is not None and sampled.complete and sampled.explained

    def release(self, run: RunFollow) -> None:
        """Measure for this run no more."""
        self._runs.pop(run, None)

    def next_turn(self) -> float:
        """Return when the next sample is due, or the one under way is waited for no longer."""
        if self._tick is not None and self._runs:
            return self._tick.until
        return min((sampled.due for sampled in self._runs.values()), default=float("inf"))

    def register(self, poll: select.poll) -> None:
        """Let `poll` return when a source has answered."""
        if self._runs:  # Else nobody would take the answer, and `poll` would return for ever.
            poll.register(self._answered, select.POLLIN)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._answer, b"\0")

    def _turn(self, now: float) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._answered, 4096)
        for guard in self._guards:
            guard.check(now)
            readings = guard.take()
            # What comes after its tick was given up is of no use any more.
            if readings is not None and self._tick is not None and guard in self._tick.asked:
                self._tick.asked.remove(guard)
                self._tick.readings += readings
        tick = self._tick
        if tick is not None and (now >= tick.until or not any(guard.waiting for guard in tick.asked)):
            self._tick = None
            self._log(tick, now)
        if self._tick is None and any(sampled.due <= now for sampled in self._runs.values()):
            self._tick = self._begin_tick(now)

    def _begin_tick(self, now: float) -> _Tick:
        runs = [run for run, sampled in self._runs.items() if sampled.due <= now]
        watched = [_watched(run) for run in runs]
        asked = [guard for guard in self._guards if guard.ask(watched, now)]
        return _Tick(runs, asked, now + _PATIENCE_S)

    def _log(self, tick: _Tick, now: float) -> None:
        values, totals, gpu_memory = {}, {}, {}
        for reading in tick.readings:
            values.update(reading.values)
            totals.update(reading.totals)
            gpu_memory.update(reading.gpu_memory)
        for run in tick.runs:
            sampled = self._runs.get(run)
            if sampled is None:
                continue
            name = str(run.folder)
            row = values | sampled.since_first(totals)
            tree: frozenset[int] = frozenset()
            for reading in tick.readings:
                row |= reading.runs.get(name, {})
                tree |= reading.trees.get(name, frozenset())
            row |= _of_processes(values, gpu_memory, tree)
            if row and sampled.wants_row:
                run.own.log_row({PREFIX + key: float(value) for key, value in sorted(row.items())})
            sampled.sampled(now)

    def _say_facts(self, run: RunFollow, sampled: _Sampled, now: float) -> None:
        if sampled.explained:
            return
        open_ones = [guard for guard in self._guards if guard.facts is not None]
        all_open = len(open_ones) == len(self._guards)
        if not all_open and sampled.complete:  # No sample opens them.
            for guard in self._guards:
                if guard.facts is None:
                    guard.ask((), now)
        late = sampled.ended_at is not None and now - sampled.ended_at > _LAST_FACTS_S
        if not (all_open or late or now - sampled.began > _FACTS_S):
            return
        facts: dict[str, Any] = {}
        for guard in open_ones:
            for key, value in (guard.facts or {}).items():
                facts[key] = facts[key] + value if key == "gpus" and key in facts else value
        if facts and facts != sampled.facts and run.own.append(Environment(0, facts)):
            sampled.facts = facts
        sampled.explained = all_open or late


class _Sampled:
    """A run: when its next sample is due, and what it was told."""

    def __init__(self, now: float) -> None:
        self.began = now
        self.due = float("inf")
        self.ended_at: float | None = None
        self.complete = False
        """No more samples will be taken."""
        self.facts: dict[str, Any] = {}
        self.explained = False
        """All facts are recorded that will be."""
        self._interval: float | None = None
        self._compared = False
        self._first: dict[str, float] = {}

    @property
    def wants_row(self) -> bool:
        """Whether a sample is written: the first one is what the second is compared with."""
        return self._compared or self.ended_at is not None

    def plan(self, interval: float | None, now: float) -> None:
        """Take an interval, which may have changed."""
        if interval is None or interval == self._interval:
            return
        if interval <= 0:
            self.due = float("inf")
            self.complete = True
        elif self._interval is None or self.ended_at is not None:
            self.due = now
        else:
            self.complete = False
            self.due = _next_on_grid(interval, now)
        self._interval = interval

    def end(self, now: float) -> None:
        """Take the last sample now."""
        if self.ended_at is None:
            self.ended_at = now
            if self._interval:
                self.due = now

    def sampled(self, now: float) -> None:
        """Note that a sample was taken: the next one is due together with those of other runs."""
        if self.ended_at is not None or not self._interval:
            self.complete = True
            self.due = float("inf")
        elif self._compared:
            self.due = _next_on_grid(self._interval, now)
        else:
            self.due = now + min(_FIRST_S, self._interval)
        self._compared = True

    def since_first(self, totals: dict[str, float]) -> dict[str, float]:
        """Return how much came since this run's first sample; never less than nothing."""
        return {key: max(0.0, total - self._first.setdefault(key, total)) for key, total in totals.items()}


class _Tick:
    """One look at the machine, under way."""

    def __init__(self, runs: list[RunFollow], asked: list[Guard], until: float) -> None:
        self.runs = runs
        self.asked = asked
        self.until = until
        self.readings: list[Reading] = []


def _next_on_grid(interval: float, now: float) -> float:
    """The next multiple of `interval` that is not too near."""
    return (math.floor(now / interval + _LEAST_SHARE) + 1) * interval


def _watched(run: RunFollow) -> Watched:
    writers = run.writers.values()
    return Watched(str(run.folder), tuple({f.process for f in writers if f.header.role in DATA_ROLES}))


def _of_processes(
    values: dict[str, float], gpu_memory: dict[int, dict[int, int]], tree: frozenset[int]
) -> dict[str, float]:
    """The metrics of those GPUs that a run's processes hold memory of, and how much that is."""
    found = {}
    for number, holders in gpu_memory.items():
        held = [size for pid, size in holders.items() if pid in tree]
        if held:
            found[f"gpu.process.{number}.memoryUsedBytes"] = float(sum(held))
            for name in _OF_A_PROCESS:
                if f"gpu.{number}.{name}" in values:
                    found[f"gpu.process.{number}.{name}"] = values[f"gpu.{number}.{name}"]
    return found
