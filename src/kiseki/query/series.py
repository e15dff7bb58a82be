"""The points of charts: exact buckets of many runs and metrics, as an Arrow stream."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import select

from kiseki.query.errors import InvalidQuery
from kiseki.records.kinds import DEFAULT_STREAM
from kiseki.store.tables import runs

if TYPE_CHECKING:
    from kiseki.query.buckets import Floats, Points
    from kiseki.store import Store
    from kiseki.store.series import LanePoints

XAxis = Literal["_step", "_runtime", "_timestamp"]

ROWS: Final = "_step"
"""Under this name the store gives the rows themselves."""

MAX_BUCKETS: Final = 10_000
"""Most buckets a series."""

MAX_SERIES: Final = 100_000
"""Most series an answer: runs times keys."""


def series(
    store: Store,
    run_pks: Sequence[int],
    keys: Sequence[str],
    x: XAxis = "_step",
    x_min: float | None = None,
    x_max: float | None = None,
    buckets: int = 500,
    stream: str = DEFAULT_STREAM,
) -> bytes:
    """Return the buckets of every run's metrics of a stream as an Arrow IPC stream.

    The key `_step` is each row's own step.

    Columns: `run` u32 (index into `run_pks`), `key` u32 (index into `keys`), `lane` u16 (0: the primary
    one), `x_first`, `x_last` f64, `count` u32, `min`, `max`, `sum`, `first`, `last` f64 (of the `count`
    finite points; NaN, sum 0, where there is none), `nan`, `pinf`, `ninf` u32; ordered by (run, key,
    lane, x). x is a step, seconds since the run's start, or unix seconds; `x_min` and `x_max` are
    inclusive. Raises InvalidQuery for a range or a number of buckets that cannot be cut, or too many series.
    """
    # NumPy and Arrow take 0.1 s to load, which a server's first answer does not wait for.
    import numpy as np

    from kiseki.query.arrow import arrow_stream
    from kiseki.query.buckets import bucket_points

    _check(x_min, x_max, buckets)
    if len(run_pks) * len(keys) > MAX_SERIES:
        raise InvalidQuery(
            f"{len(run_pks)} runs × {len(keys)} keys are more than {MAX_SERIES} series; ask for fewer at once"
        )
    places: list[tuple[int, int, int]] = []
    points: list[Points] = []
    for run, run_pk in enumerate(run_pks):
        for key, lane, one in _points_of_run(store, run_pk, keys, x, x_min, x_max, stream):
            places.append((run, key, lane))
            points.append(one)
    cut = bucket_points(points, buckets, x_min=x_min, x_max=x_max)
    place = np.array(places, dtype=np.uint32).reshape(-1, 3)[cut.series]
    return arrow_stream(
        {
            "run": place[:, 0],
            "key": place[:, 1],
            "lane": place[:, 2].astype(np.uint16),
            "x_first": cut.x_first,
            "x_last": cut.x_last,
            "count": cut.count.astype(np.uint32),
            "min": cut.min,
            "max": cut.max,
            "sum": cut.sum,
            "first": cut.first,
            "last": cut.last,
            "nan": cut.nan.astype(np.uint32),
            "pinf": cut.pinf.astype(np.uint32),
            "ninf": cut.ninf.astype(np.uint32),
        }
    )


def _check(x_min: float | None, x_max: float | None, buckets: int) -> None:
    if not 1 <= buckets <= MAX_BUCKETS:
        raise InvalidQuery(f"buckets is {buckets}; it takes 1 to {MAX_BUCKETS}")
    for name, bound in (("min", x_min), ("max", x_max)):
        if bound is not None and not math.isfinite(bound):
            raise InvalidQuery(f"{name} is {bound}; it takes a finite number or null")
    if x_min is not None and x_max is not None and x_min > x_max:
        raise InvalidQuery(f"min {x_min} is above max {x_max}")


def _points_of_run(
    store: Store,
    run_pk: int,
    keys: Sequence[str],
    x: XAxis,
    x_min: float | None,
    x_max: float | None,
    stream: str,
) -> list[tuple[int, int, Points]]:
    import numpy as np

    from kiseki.query.buckets import Points
    from kiseki.store.series import numeric, read_points

    step_min = math.ceil(x_min) if x == "_step" and x_min is not None else None
    step_max = math.floor(x_max) if x == "_step" and x_max is not None else None
    with store.read() as connection:
        start_us = connection.execute(select(runs.c.started_us).where(runs.c.id == run_pk)).scalar() or 0
        found = read_points(
            store,
            connection,
            run_pk,
            keys,
            step_min=step_min,
            step_max=step_max,
            rows=ROWS in keys,
            stream=stream,
        )
    series_of_run = []
    for index, key in enumerate(keys):
        for lane_points in sorted(found.get(key, ()), key=lambda one: one.lane):
            numbers = numeric(lane_points)
            if len(numbers.steps):
                one = Points(_x_of(numbers, x, start_us), np.asarray(numbers.values, dtype=np.float64))
                series_of_run.append((index, lane_points.lane, one))
    return series_of_run


def _x_of(points: LanePoints, x: XAxis, start_us: int) -> Floats:
    match x:
        case "_step":
            return points.steps.astype("f8")
        case "_runtime":
            return (points.times - start_us) / 1e6
        case "_timestamp":
            return points.times / 1e6
