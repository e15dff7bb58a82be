"""The judge of the kill loops itself: it must see each kind of harm, and only harm."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.journeys.account import Tally
from tests.journeys.kill_report import write_report
from tests.journeys.ledger import Ledger, Phase


@pytest.mark.parametrize(
    ("values", "harm"),
    [
        ([0, 1, 2, 3], (0, 0, 0)),
        ([0, 1, 2, 3, 4], (0, 0, 0)),  # written, but killed before log() returned
        ([0, 1, 2], (1, 0, 0)),
        ([0, 2, 3], (1, 0, 0)),
        ([0, 1, 1, 2, 3], (0, 1, 0)),
        ([0, 2, 1, 3], (0, 0, 1)),
    ],
)
def test_harm_is_seen(values: list[int], harm: tuple[int, int, int]) -> None:
    tally = Tally("training", 1)
    tally.compare("file", values, 4)
    assert (tally.lost, tally.doubled, tally.disordered) == harm
    assert bool(tally.faults) == any(harm)


def test_rows_that_were_never_logged_are_a_fault() -> None:
    tally = Tally("training", 1)
    tally.compare("file", [0, 1, 2, 3, 4, 5], 4)
    with pytest.raises(AssertionError, match="1 that were never logged"):
        tally.verdict()


def test_ledger_outlives_its_process(tmp_path: Path) -> None:
    mine, theirs = Ledger(tmp_path / "ledger"), Ledger(tmp_path / "ledger")
    mine.phase, mine.logged, mine.run_id = Phase.FORK, 2**40, "run-é"
    mine.close()
    assert (theirs.phase, theirs.logged, theirs.run_id) == (Phase.FORK, 2**40, "run-é")
    theirs.close()


def test_report_keeps_one_section_for_each_victim(tmp_path: Path) -> None:
    for name, kills in (("training", 1), ("server", 2), ("training", 3)):
        path = write_report(Tally(name, 7, kills=kills, aims={"start": kills}), tmp_path)
    text = path.read_text()
    assert text.count("## training") == text.count("## server") == 1
    assert "| 3 | 0 | 0 | 0 | 0 | 0 | 7 | " in text
