"""What is known of a column of values without reading it: counts, extremes, sum, first and last."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kiseki.store.columns import Column

_FEW = 8


@dataclass(frozen=True, slots=True)
class Statistics:
    """`count` finite numbers with their extremes, sum, first and last, and the others counted apart.

    `last_at` is the position of the last finite number, -1 where there is none.
    """

    rows: int
    count: int
    nan: int
    pinf: int
    ninf: int
    min: float | None
    max: float | None
    sum: float | None
    first: float | None
    last: float | None
    last_at: int


def statistics(column: Column) -> Statistics:
    """The statistics of a column; bools count as 0 and 1, strings, None and the like only as rows."""
    if column.type == "f64" and len(column) <= _FEW:
        return _of_few(column.objects())
    numbers, at = as_floats(column)
    finite = np.isfinite(numbers)
    if finite.all():
        kept, nan, pinf, ninf = numbers, 0, 0, 0
    else:
        kept = numbers[finite]
        nan = int(np.isnan(numbers).sum())
        pinf = int(np.isposinf(numbers).sum())
        ninf = len(numbers) - len(kept) - nan - pinf
    if len(kept) == 0:
        return Statistics(len(column), 0, nan, pinf, ninf, None, None, None, None, None, -1)
    last = len(numbers) - 1 if finite[-1] else int(np.flatnonzero(finite)[-1])
    with np.errstate(over="ignore"):
        total = float(kept.sum())
    return Statistics(
        rows=len(column),
        count=len(kept),
        nan=nan,
        pinf=pinf,
        ninf=ninf,
        min=float(kept.min()),
        max=float(kept.max()),
        sum=total,
        first=float(kept[0]),
        last=float(kept[-1]),
        last_at=last if at is None else int(at[last]),
    )


def _of_few(values: list[float]) -> Statistics:
    """The same for a handful of floats, where NumPy's calls would cost more than the numbers."""
    kept = [value for value in values if math.isfinite(value)]
    nan = sum(map(math.isnan, values))
    pinf = values.count(math.inf)
    ninf = len(values) - len(kept) - nan - pinf
    if not kept:
        return Statistics(len(values), 0, nan, pinf, ninf, None, None, None, None, None, -1)
    last = max(i for i, value in enumerate(values) if math.isfinite(value))
    return Statistics(
        len(values), len(kept), nan, pinf, ninf, min(kept), max(kept), sum(kept), kept[0], kept[-1], last
    )


def as_floats(column: Column) -> tuple[NDArray[np.float64], NDArray[np.int64] | None]:
    """The numbers of a column as float64, and their positions, or None where every value is a number."""
    if not isinstance(column.values, list):
        return column.values.astype(np.float64, copy=False), None
    if column.type == "str":
        return np.zeros(0), np.zeros(0, np.int64)
    found = [
        (i, _float(value)) for i, value in enumerate(column.values) if isinstance(value, (bool, int, float))
    ]
    return np.array([value for _, value in found], np.float64), np.array([i for i, _ in found], np.int64)


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
