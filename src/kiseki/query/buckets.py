"""Exact bucketing of many series at once: min, max, sum, count, first and last of the points in each range.

A bucket reports the x of its first and its last point; its figures are those of all points of its series
between these two, which is what a test compares with brute force.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Points:
    """One series: n values over n x, in any order of x (equal x keep their order)."""

    x: Floats
    values: Floats


@dataclass(frozen=True)
class Buckets:
    """Non-empty buckets of all series, ordered by (series, x); every array has one entry a bucket.

    `count`, `min`, `max`, `sum`, `first` and `last` are of the finite values alone (all NaN and a sum of
    0 where there is none); `nan`, `pinf` and `ninf` count the others.
    """

    series: Indices
    x_first: Floats
    x_last: Floats
    count: Indices
    min: Floats
    max: Floats
    sum: Floats
    first: Floats
    last: Floats
    nan: Indices
    pinf: Indices
    ninf: Indices


def bucket_points(
    series: Sequence[Points], buckets: int, *, x_min: float | None = None, x_max: float | None = None
) -> Buckets:
    """Cut the range `x_min`..`x_max` (both inclusive; None: where the points end) in equal parts.

    A series with at most `buckets` points in the range is not cut: each of its x is a row. `buckets` ≥ 1.
    """
    lengths = [len(one.x) for one in series]
    owner = np.repeat(np.arange(len(series)), lengths)
    x = np.concatenate([one.x for one in series]) if series else np.empty(0)
    values = np.concatenate([one.values for one in series]) if series else np.empty(0)
    inside = np.ones(len(x), dtype=bool)
    if x_min is not None:
        inside &= x >= x_min
    if x_max is not None:
        inside &= x <= x_max
    if not inside.all():
        owner, x, values = owner[inside], x[inside], values[inside]
    if len(x) == 0:
        return _summarise(owner, x, values, np.empty(0, dtype=np.int64))
    if np.any((x[1:] < x[:-1]) & (owner[1:] == owner[:-1])):
        order = np.lexsort((x, owner))
        owner, x, values = owner[order], x[order], values[order]
    low = float(x.min()) if x_min is None else x_min
    high = float(x.max()) if x_max is None else x_max
    part = _part_of(x, low, high, buckets)
    uncut = (np.bincount(owner, minlength=len(series)) <= buckets)[owner[1:]]
    apart = np.where(uncut, x[1:] != x[:-1], part[1:] != part[:-1])
    starts = np.flatnonzero(np.concatenate([[True], apart | (owner[1:] != owner[:-1])]))
    return _summarise(owner, x, values, starts)


def _part_of(x: Floats, low: float, high: float, buckets: int) -> Indices:
    # Halves, so that the width of the widest range stays finite.
    width = high / 2 - low / 2
    if width <= 0:
        return np.zeros(len(x), dtype=np.int64)
    parts = np.floor((x / 2 - low / 2) / width * buckets).astype(np.int64)
    return np.clip(parts, 0, buckets - 1)


def _summarise(owner: Indices, x: Floats, values: Floats, starts: Indices) -> Buckets:
    finite = np.isfinite(values)
    if len(starts) == 0:
        none, zero = np.empty(0), np.empty(0, dtype=np.int64)
        return Buckets(zero, none, none, zero, none, none, none, none, none, zero, zero, zero)
    ends = np.concatenate([starts[1:], [len(x)]])
    if finite.all():
        lowest = highest = summands = values
        first_at, last_at = starts, ends - 1
        count = ends - starts
        nan = pinf = ninf = np.zeros(len(starts), dtype=np.int64)
    else:
        lowest = np.where(finite, values, np.inf)
        highest = np.where(finite, values, -np.inf)
        summands = np.where(finite, values, 0.0)
        place = np.arange(len(x))
        first_at = np.minimum.reduceat(np.where(finite, place, len(x)), starts)
        last_at = np.maximum.reduceat(np.where(finite, place, -1), starts)
        count = _count(finite, starts)
        nan = _count(np.isnan(values), starts)
        pinf = _count(np.isposinf(values), starts)
        ninf = _count(np.isneginf(values), starts)
    some = count > 0
    with np.errstate(over="ignore"):
        total = np.add.reduceat(summands, starts)
    return Buckets(
        series=owner[starts],
        x_first=x[starts],
        x_last=x[ends - 1],
        count=count,
        min=np.where(some, np.minimum.reduceat(lowest, starts), np.nan),
        max=np.where(some, np.maximum.reduceat(highest, starts), np.nan),
        sum=total,
        first=np.where(some, values[np.minimum(first_at, len(x) - 1)], np.nan),
        last=np.where(some, values[last_at], np.nan),
        nan=nan,
        pinf=pinf,
        ninf=ninf,
    )


def _count(flags: NDArray[np.bool_], starts: Indices) -> Indices:
    return np.add.reduceat(flags, starts, dtype=np.int64)
