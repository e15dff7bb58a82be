"""Attendants in the sidecar's loop: what they record, when they are waited for, what a failing one costs."""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any

import pytest

from kiseki.records.kinds import Environment, State
from kiseki.records.reader import read_records
from kiseki.sidecar.attendant import Attendants
from kiseki.sidecar.follow import RunFollow
from kiseki.sidecar.loop import Sidecar
from kiseki.sidecar.spool import Spool
from kiseki.system.process import hostname

Wait = Callable[..., Any]
Arrived = Callable[[Any], bool]


class _Recorder:
    """Records once while the training runs and once when it has ended; fails for folders named `bad`."""

    def __init__(self) -> None:
        self.released: list[str] = []
        self._seen: dict[RunFollow, set[bool]] = {}

    def attend(self, run: RunFollow, now: float) -> None:
        if run.folder.name == "bad":
            raise RuntimeError("no luck")
        seen = self._seen.setdefault(run, set())
        if run.all_ended not in seen:
            seen.add(run.all_ended)
            run.own.append(Environment(0, {"ended": run.all_ended}))

    def settled(self, run: RunFollow) -> bool:
        return True in self._seen.get(run, set())

    def release(self, run: RunFollow) -> None:
        self.released.append(run.folder.name)

    def next_turn(self) -> float:
        return float("inf")

    def register(self, poll: select.poll) -> None:
        pass


def _own_files(folder: Any) -> list[Any]:
    readings = [read_records(path.read_bytes()) for path in folder.glob("*.kiseki")]
    return [reading for reading in readings if reading.header.role == "sidecar"]


def test_what_they_record_stands_in_the_sidecars_own_file_and_is_sent(
    world: Any, server: Any, url: str
) -> None:
    trainer = world.trainer(base_url=url)
    trainer.do("log 5")
    recorder = _Recorder()
    spool = Spool(world.spool)
    assert spool.acquire()
    sidecar = Sidecar(spool, linger=0.1, attendants=[recorder])
    trainer.do("finish")
    sidecar.run()
    (own,) = _own_files(trainer.run_dir)
    assert (own.header.label, own.header.primary, own.header.lane) == (
        hostname(),
        False,
        own.header.writer,
    )
    kinds = [type(entry.record) for entry in own.entries]
    assert kinds[-2:] == [Environment, State]
    path = trainer.run_dir / f"{own.header.writer}.kiseki"
    assert bytes(server.writers[own.header.writer]) == path.read_bytes()
    assert recorder.released == [trainer.run_dir.name]
    assert world.pointers() == []


def test_one_that_fails_costs_its_run_nothing_else(
    world: Any, url: str, capsys: pytest.CaptureFixture[str], arrived: Arrived
) -> None:
    trainer = world.trainer(base_url=url, run_dir=world.folder / "bad")
    trainer.do("log 5")
    trainer.do("finish")
    recorder = _Recorder()
    spool = Spool(world.spool)
    assert spool.acquire()
    Sidecar(spool, linger=0.1, attendants=[recorder]).run()
    assert arrived(trainer)
    assert capsys.readouterr().err.count("_Recorder ends: RuntimeError: no luck") == 1
    assert recorder.released == ["bad"]


def test_together_they_are_due_when_the_first_is(world: Any) -> None:
    class Due(_Recorder):
        def next_turn(self) -> float:
            return 5.0

    assert Attendants([]).next_turn() == float("inf")
    assert Attendants([_Recorder(), Due()]).next_turn() == 5.0
