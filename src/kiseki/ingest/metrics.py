"""What is known of each metric of a run, kept up to date batch by batch; the result depends on the values
alone.
"""

from __future__ import annotations

from typing import Any

from kiseki.store.columns import Block, Column, Ints
from kiseki.store.statistics import statistics
from kiseki.store.tables import DERIVED_VERSION

_TYPES = {float: "f64", int: "i64", bool: "bool", str: "str"}
_NUMBERS = frozenset({"f64", "i64", "bool"})


class MetricState:
    """Counts, extremes and the last finite number of one metric, over all lanes of a run."""

    __slots__ = (
        "count",
        "last",
        "last_stamp",
        "max",
        "min",
        "nan",
        "ninf",
        "pinf",
        "points",
        "step_max",
        "step_min",
        "type",
    )

    def __init__(self) -> None:
        self.type: str | None = None
        self.points = self.count = self.nan = self.pinf = self.ninf = 0
        self.min: float | None = None
        self.max: float | None = None
        self.last: float | None = None
        self.last_stamp: tuple[int, str, int] | None = None
        self.step_min: int | None = None
        self.step_max: int | None = None

    @classmethod
    def of_row(cls, row: Any) -> MetricState:
        """The state that a row of the table `metrics` holds."""
        state = cls()
        for name in ("type", "points", "count", "nan", "pinf", "ninf", "min", "max", "last"):
            setattr(state, name, getattr(row, name))
        state.step_min, state.step_max = row.step_min, row.step_max
        if row.last_us is not None:
            state.last_stamp = (row.last_us, row.last_writer, row.last_offset)
        return state

    def row(self, run_pk: int, stream: str, key: str) -> dict[str, Any]:
        """The row of the table `metrics`."""
        last_us, last_writer, last_offset = self.last_stamp or (None, None, None)
        return {
            "run_pk": run_pk,
            "stream": stream,
            "key": key,
            "type": self.type or "any",
            "points": self.points,
            "count": self.count,
            "nan": self.nan,
            "pinf": self.pinf,
            "ninf": self.ninf,
            "min": self.min,
            "max": self.max,
            "last": self.last,
            "step_min": self.step_min,
            "step_max": self.step_max,
            "last_us": last_us,
            "last_writer": last_writer,
            "last_offset": last_offset,
            "version": DERIVED_VERSION,
        }

    def add(self, column: Column, low: int, high: int, offsets: Ints, stamps: Ints, writer: str) -> None:
        """Add values: lowest and highest step, frames' bytes, and unix µs by the writer's clock."""
        found = statistics(column)
        self._widen(column)
        self.points += found.rows
        self.count += found.count
        self.nan += found.nan
        self.pinf += found.pinf
        self.ninf += found.ninf
        self.step_min = low if self.step_min is None else min(self.step_min, low)
        self.step_max = high if self.step_max is None else max(self.step_max, high)
        if found.min is None or found.max is None:
            return
        self.min = found.min if self.min is None else min(self.min, found.min)
        self.max = found.max if self.max is None else max(self.max, found.max)
        stamp = (int(stamps[found.last_at]), writer, int(offsets[found.last_at]))
        if self.last_stamp is None or self.last_stamp < stamp:
            self.last_stamp, self.last = stamp, found.last

    def _widen(self, column: Column) -> None:
        """The type that holds what was there and what came: f64 for numbers of several types, else any."""
        kinds = {column.type}
        if column.type == "any":
            kinds = {_TYPES.get(kind, "any") for kind in set(map(type, column.values))}
        if self.type is not None:
            kinds.add(self.type)
        if len(kinds) == 1:
            (self.type,) = kinds
        else:
            self.type = "f64" if kinds <= _NUMBERS else "any"


def add_block(metrics: dict[str, MetricState], block: Block, stamps: Ints, writer: str) -> set[str]:
    """Add a block's values to the metrics of its run; returns the keys that changed.

    `stamps` are the rows' unix µs by the writer's own clock, one for each row of the block.
    """
    if not len(block):
        return set()
    low, high = int(block.steps.min()), int(block.steps.max())
    for key, field in block.fields.items():
        state = metrics.get(key)
        if state is None:
            state = metrics[key] = MetricState()
        if len(field.rows) == len(block):
            state.add(field.column, low, high, block.offsets, stamps, writer)
        else:
            rows = field.rows
            steps = block.steps[rows]
            state.add(
                field.column, int(steps.min()), int(steps.max()), block.offsets[rows], stamps[rows], writer
            )
    return set(block.fields)
