"""The rows of a run as they were logged: all of them in windows of steps, or an even sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from kiseki.query.errors import NotFound
from kiseki.store.tables import metrics, runs

if TYPE_CHECKING:
    from kiseki.store import Store
    from kiseki.store.columns import Ints
    from kiseki.store.series import LanePoints

    Points = dict[str, LanePoints]

Row = dict[str, Any]

WINDOW_ROWS: Final = 20_000
"""About how many rows of a run lie in memory at once."""

ROWS: Final = "_step"
"""Under this name the store gives the rows themselves."""

_EVERY_ROW: Final = frozenset({"_step", "_runtime", "_timestamp", "_lane"})


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
    them, with these alone (and the four above, which every row has). `min_step` is inclusive, `max_step`
    exclusive. Raises NotFound.
    """
    extent = _extent(store, run_pk)
    for lane in extent.lanes:
        for first, last in extent.windows(min_step, None if max_step is None else max_step - 1):
            found = _read_lanes(store, run_pk, keys, first, last)
            if lane in found:
                yield from _rows(found[lane], keys, None, extent.start_us)


def sampled_history(
    store: Store, run_pk: int, keys: Sequence[str] | None = None, *, samples: int = 500
) -> list[Row]:
    """Return at most `samples` rows of `history_rows`, evenly spaced, the first and the last among them."""
    import numpy as np

    extent = _extent(store, run_pk)
    lanes = [points for _, points in sorted(_read_lanes(store, run_pk, keys, None, None).items())]
    steps = [_common_steps(points, keys) for points in lanes]
    total = sum(map(len, steps))
    if samples == 1:
        chosen = np.array([total - 1])
    else:
        chosen = np.unique(np.linspace(0, total - 1, min(samples, total)).round().astype(np.int64))
    rows: list[Row] = []
    before = 0
    for points, own in zip(lanes, steps, strict=True):
        here = chosen[(chosen >= before) & (chosen < before + len(own))] - before
        rows.extend(_rows(points, keys, own[here], extent.start_us))
        before += len(own)
    return rows


@dataclass(frozen=True)
class _Extent:
    """About which steps a run has, and how many of them make a window."""

    start_us: int
    first: int
    last: int
    window: int
    lanes: list[int]

    def windows(self, first: int | None, last: int | None) -> Iterator[tuple[int | None, int | None]]:
        """Cut the steps from `first` to `last` (None: no bound), both inclusive, into windows."""
        start = self.first if first is None else max(first, self.first)
        end = self.last if last is None else min(last, self.last)
        edges = range(start + self.window, end + 1, self.window)
        for edge in edges:
            yield first, edge - 1
            first = edge
        yield first, last


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
    first, last = first or 0, last or 0
    window = max(1, (last - first + 1) * WINDOW_ROWS // max(run.rows, 1))
    return _Extent(run.started_us or 0, first, last, window, lanes)


def _logged(keys: Sequence[str] | None) -> frozenset[str] | None:
    """The keys that a row may lack; None for all keys of the run."""
    return frozenset(keys) - _EVERY_ROW if keys else None


def _read_lanes(
    store: Store, run_pk: int, keys: Sequence[str] | None, first: int | None, last: int | None
) -> dict[int, Points]:
    from kiseki.store.series import read_points

    wanted = _logged(keys)
    with store.read() as connection:
        found = read_points(
            store,
            connection,
            run_pk,
            None if wanted is None else sorted(wanted),
            step_min=first,
            step_max=last,
            rows=True,
        )
    lanes: dict[int, Points] = {}
    for key, series in found.items():
        for points in series:
            lanes.setdefault(points.lane, {})[key] = points
    return lanes


def _common_steps(points: Points, keys: Sequence[str] | None) -> Ints:
    """The steps of the rows that have all keys asked for, or of all rows."""
    import numpy as np

    common = points[ROWS].steps
    for key in _logged(keys) or ():
        own = points[key].steps if key in points else common[:0]
        common = np.intersect1d(common, own, assume_unique=True)
    return common


def _rows(points: Points, keys: Sequence[str] | None, at: Ints | None, start_us: int) -> Iterator[Row]:
    """The rows of one lane, by step; `at` names steps that have every key asked for, None takes all."""
    rows: dict[int, Row] = {}
    for step, time_us, _ in _points_at(points[ROWS], at):
        rows[step] = {"_step": step, "_runtime": (time_us - start_us) / 1e6, "_timestamp": time_us / 1e6}
        if points[ROWS].lane:
            rows[step]["_lane"] = points[ROWS].label
    values: dict[int, Row] = {}
    for key, one in points.items():
        if key != ROWS:
            for step, _, value in _points_at(one, at):
                values.setdefault(step, {})[key] = value
    least = len(_logged(keys) or ())
    for step, row in rows.items():
        own = values.get(step, {})
        if len(own) >= least:
            yield row | own


def _points_at(points: LanePoints, at: Ints | None) -> Iterator[tuple[int, int, Any]]:
    steps, times, values = points.steps, points.times, points.values
    if at is not None:
        place = steps.searchsorted(at)
        place = place[place < len(steps)]
        place = place[steps[place] == at[: len(place)]]
        steps, times = steps[place], times[place]
        values = [values[index] for index in place.tolist()] if isinstance(values, list) else values[place]
    listed = values if isinstance(values, list) else values.tolist()
    return zip(steps.tolist(), times.tolist(), listed, strict=True)
