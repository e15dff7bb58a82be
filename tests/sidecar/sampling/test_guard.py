"""Guards around sources that fail, hang and come back; and a sampler that nobody needs any more."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from kiseki.sidecar.follow import RunFollow
from kiseki.sidecar.sampling.guard import HANG_S, Guard
from kiseki.sidecar.sampling.reading import Reading, Watched
from kiseki.sidecar.sampling.sampler import Sampler
from kiseki.sidecar.spool import Pointer

Wait = Callable[..., Any]


class _Source:
    """Reads `values`, when it is let."""

    def __init__(self, values: dict[str, float]) -> None:
        self.values = values
        self.let = threading.Event()
        self.let.set()

    def facts(self) -> dict[str, Any]:
        return {"known": sorted(self.values)}

    def read(self, watched: Sequence[Watched]) -> Reading:
        self.let.wait()
        return Reading({key: 1 / value for key, value in self.values.items()})


def _broken() -> _Source:
    raise OSError("no such device")


def test_a_source_that_fails_costs_only_its_own_values(
    wait_until: Wait, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = _Source({"good": 2.0}), _Source({"bad": 0.0})
    guard = Guard("test", [lambda: good, lambda: bad, _broken, lambda: None], lambda: None)
    for now in (0.0, 1.0):
        assert guard.ask((), now)
        readings = wait_until(guard.take)
        assert [reading.values for reading in readings] == [{"good": 0.5}]
    assert guard.facts == {"known": ["bad"]}
    said = capsys.readouterr().err
    assert said.count("test metrics: ZeroDivisionError") == 1
    assert said.count("test metrics: OSError: no such device") == 1


def test_one_that_hangs_is_given_up_and_taken_back(
    wait_until: Wait, capsys: pytest.CaptureFixture[str]
) -> None:
    source = _Source({"a": 1.0})
    guard = Guard("test", [lambda: source], lambda: None)
    source.let.clear()
    assert guard.ask((), 100.0)
    guard.check(100.0 + HANG_S)
    assert guard.waiting
    for late in (1.0, 2.0):
        guard.check(100.0 + HANG_S + late)
        assert not guard.waiting
        assert not guard.ask((), 100.0 + HANG_S + late)
    source.let.set()
    wait_until(guard.take)
    assert guard.ask((), 200.0)
    assert wait_until(guard.take)[0].values == {"a": 1.0}
    said = capsys.readouterr().err.splitlines()
    assert [line.partition("test metrics: ")[2] for line in said] == [
        f"no answer for {HANG_S:.0f} s, left out while that lasts",
        "they answer again",
    ]


def test_a_guard_without_sources_is_asked_for_nothing(wait_until: Wait) -> None:
    guard = Guard("test", [lambda: None], lambda: None)
    guard.ask((), 0.0)
    assert wait_until(lambda: guard.facts is not None and guard.take() == [])
    assert not guard.ask((), 1.0)


def test_an_answer_that_comes_after_the_last_run_wakes_nobody(tmp_path: Path) -> None:
    source = _Source({"a": 1.0})
    source.let.clear()
    answered = threading.Event()
    run = RunFollow(tmp_path)

    def guards(wake: Callable[[], None]) -> list[Guard]:
        def wake_and_tell() -> None:
            wake()
            answered.set()

        return [Guard("test", [lambda: source], wake_and_tell)]

    sampler = Sampler(lambda run: 1.0, guards)
    sampler.attend(run, 0.0)
    assert sampler.next_turn() < 10.0
    sampler.release(run)
    assert sampler.next_turn() == float("inf")
    source.let.set()
    assert answered.wait(20)
    poll = select.poll()
    sampler.register(poll)
    assert poll.poll(0) == []


def test_an_interval_that_changes_takes_effect_at_once(tmp_path: Path) -> None:
    source, run, interval = _Source({"a": 1.0}), RunFollow(tmp_path), 0.0
    run.add_pointer(Pointer(1, 2, "boot", 3, str(tmp_path), "wa"))  # Of a writer that has yet to come.
    sampler = Sampler(lambda run: interval, lambda wake: [Guard("test", [lambda: source], wake)])
    sampler.attend(run, 100.0)
    assert sampler.next_turn() == float("inf")
    interval = 5.0
    sampler.attend(run, 101.0)
    assert sampler.next_turn() == 105.0
    interval = 0.0
    sampler.attend(run, 102.0)
    assert sampler.next_turn() == float("inf")
