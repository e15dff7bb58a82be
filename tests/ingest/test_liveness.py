"""Silence is shown as no contact and heals by itself; after a day it is a crash."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from kiseki.client.protocol import Part
from kiseki.ingest import Change, Ingest, liveness
from kiseki.records.kinds import State
from kiseki.store import Store
from kiseki.store.tables import runs

from .conftest import UID, RunDirectory, header, send


class Clock:
    """The wall clock of the liveness rules, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead = 0.0
        real = liveness.now_us
        monkeypatch.setattr(liveness, "now_us", lambda: real() + int(self._ahead * 1e6))

    def forward(self, seconds: float) -> None:
        self._ahead += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def shown(store: Store, ingest: Ingest) -> str:
    ingest.refresh().result(20)
    with store.read() as connection:
        return str(connection.execute(select(runs.c.shown_state)).scalar_one())


def beat(ingest: Ingest, answer: Any) -> None:
    part = Part(run_uid=UID, writer=header().writer, offset=answer.offset, crc=answer.crc, live=True)
    ingest.append([part]).result(20)


@pytest.fixture
def sent(run_directory: RunDirectory, ingest: Ingest) -> Any:
    """The answer to a run that was sent and goes on."""
    writer = run_directory.writer(header())
    writer.log_row({"loss": 0.5}, 0)
    writer.close()
    ((head, data),) = run_directory.files()
    return send(ingest, data, head)


def test_silence_is_no_contact_heals_and_ends_as_a_crash(
    sent: Any, store: Store, ingest: Ingest, clock: Clock
) -> None:
    changes: list[Change] = []
    ingest.subscribe(changes.append)
    assert shown(store, ingest) == "running"
    clock.forward(14)
    assert shown(store, ingest) == "running"
    clock.forward(2)
    assert shown(store, ingest) == "no_contact"
    assert len(changes) == 1
    beat(ingest, sent)
    assert shown(store, ingest) == "running"
    assert len(changes) == 2
    clock.forward(23 * 3600)
    assert shown(store, ingest) == "no_contact"
    clock.forward(3601)
    assert shown(store, ingest) == "crashed"
    beat(ingest, sent)
    assert shown(store, ingest) == "running"
    assert changes[-1].at > changes[0].at


def test_an_end_that_was_recorded_stands(
    run_directory: RunDirectory, store: Store, ingest: Ingest, clock: Clock
) -> None:
    writer = run_directory.writer(header())
    writer.append(State(writer.now(), "finished", 0))
    writer.close()
    ((head, data),) = run_directory.files()
    send(ingest, data, head)
    clock.forward(48 * 3600)
    assert shown(store, ingest) == "finished"


def test_the_sweep_notices_silence_by_itself(
    sent: Any, store: Store, clock: Clock, wait_until: Callable[..., Any]
) -> None:
    clock.forward(20)

    def state() -> bool:
        with store.read() as connection:
            return bool(connection.execute(select(runs.c.shown_state)).scalar_one() == "no_contact")

    wait_until(state)
