"""The rows of a run as they were logged: all of them in windows of steps, or an even sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from kiseki.query.errors import NotFound
from kiseki.records.kinds import DEFAULT_STREAM, SYSTEM_STREAM
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
    stream: str = DEFAULT_STREAM,
) -> Iterator[Row]:
    """Yield the rows of a run's stream, ordered by (lane, step), equal to `records.directory.history`.

    A row is `{"_step", "_runtime" (s since the run's start), "_timestamp" (unix s), **values}`, and
    `"_lane"` (its label) where the lane is not the primary one. With `keys`, only rows that have all of
    them, with these alone (and the four above, which every row has). `min_step` is inclusive, `max_step`
    exclusive. Rows of the system stream have no `_step` (the steps above count samples), and `_lane`, the
    host's name, where that is not the first one's. Raises NotFound.
    """
    extent = _extent(store, run_pk, stream)
    for lane, label in extent.labels.items():
        for first, last in extent.windows(min_step, None if max_step is None else max_step - 1):
            found = _read_lanes(store, run_pk, keys, first, last, stream)
            if lane in found:
                yield from _rows(found[lane], keys, None, extent, label)


def sampled_history(
    store: Store,
    run_pk: int,
    keys: Sequence[str] | None = None,
    *,
    samples: int = 500,
    stream: str = DEFAULT_STREAM,
) -> list[Row]:
    """Return at most `samples` rows of `history_rows`, evenly spaced, the first and the last among them."""
    import numpy as np

    extent = _extent(store, run_pk, stream)
    lanes = sorted(_read_lanes(store, run_pk, keys, None, None, stream).items())
    steps = [_common_steps(points, keys) for _, points in lanes]
    total = sum(map(len, steps))
    if samples == 1:
        chosen = np.array([total - 1])
    else:
        chosen = np.unique(np.linspace(0, total - 1, min(samples, total)).round().astype(np.int64))
    rows: list[Row] = []
    before = 0
    for (lane, points), own in zip(lanes, steps, strict=True):
        here = chosen[(chosen >= before) & (chosen < before + len(own))] - before
        rows.extend(_rows(points, keys, own[here], extent, extent.labels.get(lane)))
        before += len(own)
    return rows


@dataclass(frozen=True)
class _Extent:
    """About which steps a run's stream has, how many of them make a window, and what its rows carry.

    `labels`: each lane's, None where its rows do not carry it.
    """

    start_us: int
    first: int
    last: int
    window: int
    labels: dict[int, str | None]
    with_step: bool

    def windows(self, first: int | None, last: int | None) -> Iterator[tuple[int | None, int | None]]:
        """Cut the steps from `first` to `last` (None: no bound), both inclusive, into windows."""
        start = self.first if first is None else max(first, self.first)
        end = self.last if last is None else min(last, self.last)
        edges = range(start + self.window, end + 1, self.window)
        for edge in edges:
            yield first, edge - 1
            first = edge
        yield first, last


def _extent(store: Store, run_pk: int, stream: str) -> _Extent:
    from kiseki.store.series import lanes_of

    known = select(
        func.min(metrics.c.step_min), func.max(metrics.c.step_max), func.max(metrics.c.points)
    ).where(metrics.c.run_pk == run_pk, metrics.c.stream == stream)
    with store.read() as connection:
        run = connection.execute(select(runs.c.started_us, runs.c.rows).where(runs.c.id == run_pk)).first()
        if run is None:
            raise NotFound(f"there is no run with the key {run_pk} in this store")
        first, last, points = connection.execute(known).one()
        lanes = lanes_of(connection, run_pk, stream)
    first, last = first or 0, last or 0
    system = stream == SYSTEM_STREAM
    rows = points if system else run.rows
    window = max(1, (last - first + 1) * WINDOW_ROWS // max(rows or 0, 1))
    labels = {
        lane.lane: None if lane.lane == 0 or (system and lane.label == lanes[0].label) else lane.label
        for lane in lanes
    }
    return _Extent(run.started_us or 0, first, last, window, labels, not system)


def _logged(keys: Sequence[str] | None) -> frozenset[str] | None:
    """The keys that a row may lack; None for all keys of the run."""
    return frozenset(keys) - _EVERY_ROW if keys else None


def _read_lanes(
    store: Store,
    run_pk: int,
    keys: Sequence[str] | None,
    first: int | None,
    last: int | None,
    stream: str,
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
            stream=stream,
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


def _rows(
    points: Points, keys: Sequence[str] | None, at: Ints | None, extent: _Extent, label: str | None
) -> Iterator[Row]:
    """The rows of one lane, by step; `at` names steps that have every key asked for, None takes all."""
    rows: dict[int, Row] = {}
    for step, time_us, _ in _points_at(points[ROWS], at):
        row: Row = {"_step": step} if extent.with_step else {}
        rows[step] = row
        row |= {"_runtime": (time_us - extent.start_us) / 1e6, "_timestamp": time_us / 1e6}
        if label is not None:
            row["_lane"] = label
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
