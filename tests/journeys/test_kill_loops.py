"""`kill -9` of anything at any moment: 0 lost, 0 double, 0 out of order, and the run is shown as crashed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.journeys.kill_loops import LOOPS, seed_of_today
from tests.journeys.kill_report import write_report

KILLS = 10
KILLS_LONG = 200


@pytest.mark.timeout(600)
@pytest.mark.parametrize("what", list(LOOPS))
def test_kill_loses_nothing(what: str, tmp_path: Path) -> None:
    LOOPS[what](tmp_path, KILLS, seed_of_today()).verdict()


@pytest.mark.long
@pytest.mark.timeout(3 * 3600)
@pytest.mark.parametrize("what", list(LOOPS))
def test_two_hundred_kills_lose_nothing(what: str, tmp_path: Path) -> None:
    tally = LOOPS[what](tmp_path, KILLS_LONG, seed_of_today())
    write_report(tally)
    tally.verdict()
