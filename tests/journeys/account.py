"""The account of a journey: the rows that must be there against those that are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from tests.journeys.ledger import Ledger

from kiseki.records.reader import DecodedRow, read_records


@dataclass
class Tally:
    """What a loop of kills has found; `faults` names each round that went wrong."""

    name: str
    seed: int
    kills: int = 0
    rows: int = 0
    lost: int = 0
    doubled: int = 0
    disordered: int = 0
    faults: list[str] = field(default_factory=list)
    aims: dict[str, int] = field(default_factory=dict)

    def struck(self, aim: str) -> None:
        """Count one kill aimed at `aim`."""
        self.kills += 1
        self.aims[aim] = self.aims.get(aim, 0) + 1

    def fault(self, text: str) -> None:
        """Note what went wrong beside rows."""
        self.faults.append(f"kill {self.kills}: {text}")

    def compare(self, where: str, values: Sequence[int], must: Sequence[int] | int) -> None:
        """Take rows `values` against `must`: exactly those, or 0..must-1 with at most one row more.

        A count stands for the rows whose `log()` had returned: the kill may have come between the write of
        the next row and its return.
        """
        expected = list(range(must)) if isinstance(must, int) else list(must)
        may = expected + [must] if isinstance(must, int) else expected
        lost = len(set(expected) - set(values))
        doubled = len(values) - len(set(values))
        alien = len(set(values) - set(may))
        disordered = sum(1 for one, following in pairwise(values) if following < one)
        self.lost += lost
        self.doubled += doubled
        self.disordered += disordered
        if lost or doubled or alien or disordered:
            self.fault(
                f"{where}: {len(values)} rows for {len(expected)} that must be there: {lost} lost, "
                f"{doubled} double, {disordered} out of order, {alien} that were never logged"
            )

    def verdict(self) -> None:
        """Fail with every fault unless there is none."""
        assert not self.faults, f"{self.name}, KISEKI_TEST_SEED={self.seed}:\n" + "\n".join(self.faults)


def rows_in_files(folder: Path) -> dict[str, list[int]]:
    """The numbers in the raw row records of a run directory, by column ("i" or "child"), in file order.

    Read record by record and not merged by step, so that a record written twice shows.
    """
    found: dict[str, list[int]] = {"i": [], "child": []}
    for path in sorted(folder.glob("*.kiseki")):
        reading = read_records(path.read_bytes())
        for entry in reading.entries:
            if isinstance(entry.record, DecodedRow):
                for name, value in zip(entry.record.names, entry.record.values, strict=True):
                    if name in found:
                        found[name].append(int(value))
    return found


def rows_in_export(rows: Sequence[dict[str, object]]) -> dict[str, list[int]]:
    """The same from a server's export."""
    found: dict[str, list[int]] = {"i": [], "child": []}
    for row in rows:
        for name, column in found.items():
            value = row.get(name)
            if isinstance(value, (int, float)):
                column.append(int(value))
    return found


def check_file(tally: Tally, folder: Path, ledger: Ledger) -> dict[str, list[int]]:
    """Compare a run directory with the training's ledger; the rows that are in the files."""
    found = rows_in_files(folder)
    tally.compare(f"files of {folder.name}", found["i"], ledger.logged)
    tally.compare(f"files of {folder.name}, child", found["child"], ledger.child_logged)
    tally.rows += len(found["i"]) + len(found["child"])
    return found
