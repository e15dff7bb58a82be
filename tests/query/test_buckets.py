"""Buckets are exact: equal to what brute force finds in the range that they report."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiseki.query.buckets import Buckets, Points, bucket_points

_VALUES = st.one_of(
    st.floats(-1e9, 1e9), st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.7976931348623157e308])
)
_X = st.one_of(st.integers(-50, 50).map(float), st.floats(-1e15, 1e15))
_SERIES = st.lists(st.tuples(_X, _VALUES), max_size=60)


def _points(pairs: list[tuple[float, float]]) -> Points:
    return Points(np.array([x for x, _ in pairs], dtype=float), np.array([v for _, v in pairs], dtype=float))


def _rows(buckets: Buckets) -> list[dict[str, Any]]:
    names = list(Buckets.__dataclass_fields__)
    columns = [getattr(buckets, name).tolist() for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


@settings(max_examples=300, deadline=None)
@given(
    series=st.lists(_SERIES, min_size=1, max_size=4),
    buckets=st.integers(1, 12),
    bounds=st.one_of(st.none(), st.tuples(_X, _X).map(sorted)),
)
def test_bucket_equals_brute_force_over_its_range(
    series: list[list[tuple[float, float]]], buckets: int, bounds: list[float] | None
) -> None:
    x_min, x_max = bounds or (None, None)
    rows = _rows(bucket_points([_points(one) for one in series], buckets, x_min=x_min, x_max=x_max))
    for number, pairs in enumerate(series):
        inside = [(x, v) for x, v in pairs if bounds is None or bounds[0] <= x <= bounds[1]]
        inside.sort(key=lambda pair: pair[0])
        own = [row for row in rows if row["series"] == number]
        assert len(own) <= max(buckets, 1)
        assert sum(row["count"] + row["nan"] + row["pinf"] + row["ninf"] for row in own) == len(inside)
        assert all(one["x_last"] < two["x_first"] for one, two in itertools.pairwise(own))
        for row in own:
            covered = [v for x, v in inside if row["x_first"] <= x <= row["x_last"]]
            finite = [v for v in covered if math.isfinite(v)]
            assert row["count"] == len(finite)
            assert row["nan"] == sum(map(math.isnan, covered))
            assert row["pinf"] == covered.count(math.inf)
            assert row["ninf"] == covered.count(-math.inf)
            assert _same(row["min"], min(finite, default=math.nan))
            assert _same(row["max"], max(finite, default=math.nan))
            assert _same(row["first"], finite[0] if finite else math.nan)
            assert _same(row["last"], finite[-1] if finite else math.nan)
            with np.errstate(over="ignore", invalid="ignore"):
                total = float(np.sum(np.array(finite)))
            if math.isfinite(total):
                assert row["sum"] == pytest.approx(total, rel=1e-9, abs=1e-3)


def test_range_with_few_points_keeps_each_point() -> None:
    found = bucket_points([Points(np.array([0.0, 1.0, 100.0]), np.array([1.0, 2.0, 3.0]))], 3)
    assert found.x_first.tolist() == found.x_last.tolist() == [0.0, 1.0, 100.0]
    assert found.count.tolist() == [1, 1, 1]


def test_series_share_the_edges_of_their_buckets() -> None:
    long = Points(np.arange(100.0), np.zeros(100))
    late = Points(np.arange(50.0, 100.0), np.zeros(50))
    found = bucket_points([long, late], 10)
    of_late = found.series == 1
    assert set(found.x_first[of_late]) <= set(found.x_first[~of_late])


def test_unsorted_x_is_sorted_and_equal_x_keep_their_order() -> None:
    found = bucket_points([Points(np.array([2.0, 1.0, 1.0]), np.array([30.0, 10.0, 20.0]))], 5)
    assert found.x_first.tolist() == [1.0, 2.0]
    assert (found.first.tolist(), found.last.tolist()) == ([10.0, 30.0], [20.0, 30.0])


def test_bucket_without_a_finite_value_still_counts_the_others() -> None:
    found = bucket_points([Points(np.arange(4.0), np.array([math.nan, math.inf, -math.inf, math.nan]))], 1)
    assert (found.count[0], found.nan[0], found.pinf[0], found.ninf[0]) == (0, 2, 1, 1)
    assert math.isnan(found.min[0])
    assert math.isnan(found.last[0])
    assert found.sum[0] == 0.0


def test_no_points_are_no_buckets() -> None:
    assert len(bucket_points([], 5).x_first) == 0
    assert len(bucket_points([Points(np.empty(0), np.empty(0))], 5).x_first) == 0
