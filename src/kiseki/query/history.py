"""The rows of a run as they were logged: all of them in windows of steps, or an even sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from kiseki.query.errors import NotFound
from kiseki.store.tables import metrics, runs

if TYPE_CHECKING:
    from kiseki.store import Store
    from kiseki.store.series import LanePoints

Row = dict[str, Any]

WINDOW_ROWS: Final = 20_000
"""About how many rows of a run lie in memory at once."""


def history_rows(
    store: Store,
    run_pk: int,
    keys: Sequence[str] | None = None,
    min_step: int | None = None,
    max_step: int | None = None,
) -> Iterator[Row]:
    """Yield the rows of a run, ordered by (lane, step), equal to `records.directory.history`.

    A row is `{"_step", "_runtime" (s since the run's start), "_timestamp" (unix s), **values}`, and
    `"_lane"` (its label) where the lane is not the primary one. With `keys`, only rows that have all of
    them, with these alone. `min_step` is inclusive, `max_step` exclusive. Raises NotFound.
    """
    extent = _extent(store, run_pk)
    first = extent.first if min_step is None else max(extent.first, min_step)
    last = extent.last if max_step is None else min(extent.last, max_step - 1)
    for lane in extent.lanes:
        for start in range(first, last + 1, extent.window):
            end = min(last, start + extent.window - 1)
            yield from _rows(store, run_pk, lane, keys, start, end, extent.start_us)


def sampled_history(
    store: Store, run_pk: int, keys: Sequence[str] | None = None, *, samples: int = 500
) -> list[Row]:
    """Return at most `samples` rows of `history_rows`, evenly spaced, the first and the last among them."""
    rows = list(history_rows(store, run_pk, keys))
    if len(rows) <= samples:
        return rows
    if samples == 1:
        return rows[-1:]
    stride = (len(rows) - 1) / (samples - 1)
    return [rows[round(index * stride)] for index in range(samples)]


@dataclass(frozen=True)
class _Extent:
    start_us: int
    first: int
    last: int
    window: int
    """Steps read at once."""
    lanes: list[int]


def _extent(store: Store, run_pk: int) -> _Extent:
    from kiseki.store.series import lanes_of

    steps = select(func.min(metrics.c.step_min), func.max(metrics.c.step_max)).where(
        metrics.c.run_pk == run_pk
    )
    with store.read() as connection:
        run = connection.execute(select(runs.c.started_us, runs.c.rows).where(runs.c.id == run_pk)).first()
        if run is None:
            raise NotFound(f"there is no run with the key {run_pk} in this store")
        first, last = connection.execute(steps).one()
        lanes = [lane.lane for lane in lanes_of(connection, run_pk)]
    if first is None:
        first, last = 0, -1
    span = last - first + 1
    window = max(1, span * WINDOW_ROWS // max(run.rows, 1))
    return _Extent(run.started_us or 0, first, last, window, lanes)


def _rows(
    store: Store, run_pk: int, lane: int, keys: Sequence[str] | None, first: int, last: int, start_us: int
) -> Iterator[Row]:
    from kiseki.store.series import read_points

    with store.read() as connection:
        found = read_points(store, connection, run_pk, keys, step_min=first, step_max=last)
    of_lane = {key: one for key, lanes in found.items() for one in lanes if one.lane == lane}
    rows, times = _merge(of_lane)
    label = next((one.label for one in of_lane.values()), "")
    for step in sorted(rows):
        row = rows[step]
        if keys and len(row) < len(keys):
            continue
        time_us = times[step]
        base: Row = {"_step": step, "_runtime": (time_us - start_us) / 1e6, "_timestamp": time_us / 1e6}
        if lane:
            base["_lane"] = label
        yield base | row


def _merge(points: Mapping[str, LanePoints]) -> tuple[dict[int, Row], dict[int, int]]:
    rows: dict[int, Row] = {}
    times: dict[int, int] = {}
    for key, one in points.items():
        values = one.values if isinstance(one.values, list) else one.values.tolist()
        for step, time_us, value in zip(one.steps.tolist(), one.times.tolist(), values, strict=True):
            rows.setdefault(step, {})[key] = value
            # The row's time is that of the last record that is still seen in it.
            times[step] = max(times.get(step, time_us), time_us)
    return rows, times
