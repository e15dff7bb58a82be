"""What one benchmark says: figures beside their floor or peer, as a table for people and one JSON line."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from typing import Literal

import msgspec


class Bar(msgspec.Struct, frozen=True):
    """The ratio (ours / other) a figure must keep; `op` says on which side it has to lie."""

    op: Literal["<=", ">="]
    value: float

    def met_by(self, ratio: float) -> bool:
        """True if `ratio` lies on the right side."""
        return ratio <= self.value if self.op == "<=" else ratio >= self.value

    def __str__(self) -> str:
        part = round(1 / self.value)
        value = f"1/{part}" if part > 1 and abs(part * self.value - 1) < 1e-9 else f"{self.value:g}×"
        return f"{'≤' if self.op == '<=' else '≥'} {value}"


class Result(msgspec.Struct, frozen=True):
    """One figure of ours beside one of something else, both measured in this run and in the same unit."""

    what: str
    unit: str
    ours: float
    other: str
    theirs: float
    bar: Bar | None = None
    """None = for orientation only."""
    note: str = ""

    @property
    def ratio(self) -> float:
        """Ours over theirs; where theirs is 0, 0 if ours is too, else infinite."""
        if self.theirs:
            return self.ours / self.theirs
        return float("inf") if self.ours else 0.0

    @property
    def met(self) -> bool:
        """True unless the bar is missed."""
        return self.bar is None or self.bar.met_by(self.ratio)


class Report(msgspec.Struct, frozen=True):
    """All figures of one script."""

    name: str
    results: list[Result]


HEAD = ["what", "ours", "other", "", "unit", "ratio", "bar", "kept"]


def limit(what: str, unit: str, ours: float, most: float, note: str = "") -> Result:
    """A figure with an absolute bar: at most `most` of `unit`."""
    return Result(what, unit, ours, "the bar", most, Bar("<=", 1.0), note)


def rows_of(report: Report) -> list[list[str]]:
    """The table's cells, one list per figure, in the order of `HEAD`."""
    return [
        [r.what, _figure(r.ours), _figure(r.theirs), r.other, r.unit, f"{r.ratio:.3g}",
         str(r.bar) if r.bar else "–", ("yes" if r.met else "NO") if r.bar else "–"]
        for r in report.results
    ]  # fmt: skip


def markdown(report: Report) -> str:
    """The figures as a Markdown table, with the notes below."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    lines += ["| " + " | ".join(row) + " |" for row in rows_of(report)]
    notes = [f"- {r.what}: {r.note}" for r in report.results if r.note]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def show(report: Report) -> None:
    """Print the table, then the report as one JSON line (the last line of the output)."""
    rows = [HEAD, *rows_of(report)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for result in report.results:
        if result.note:
            print(f"  {result.what}: {result.note}")
    print(to_line(report), flush=True)


def to_line(report: Report) -> str:
    """The JSON line: the report with each figure's ratio and verdict."""
    return msgspec.json.encode(
        {
            "name": report.name,
            "results": [
                {**msgspec.to_builtins(r), "ratio": round(r.ratio, 5), "met": r.met} for r in report.results
            ],
        }
    ).decode()


def from_output(output: str) -> Report:
    """The report in a script's output; raises ValueError where its last line is none."""
    lines = output.strip().splitlines()
    try:
        return msgspec.json.decode(lines[-1] if lines else "", type=Report)
    except msgspec.DecodeError as error:
        raise ValueError(f"no JSON line at the end of a benchmark's output: {error}") from error


def median(values: Sequence[float]) -> float:
    """The middle of several runs: what a machine shared with others leaves of a figure."""
    return statistics.median(values)


def main(report: Report) -> None:
    """Show `report` and leave with 1 if a bar was missed."""
    show(report)
    sys.exit(0 if all(r.met for r in report.results) else 1)


def _figure(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
