"""Reading a run's points: sealed chunks and hot tails together, one point a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, bindparam, select

from kiseki.records.kinds import DEFAULT_STREAM, SYSTEM_STREAM, Header, stream_of
from kiseki.records.lanes import order_lanes
from kiseki.store.chunks import REST, STEP, TIME, SealedSegment, unseal
from kiseki.store.columns import Block, Column, Ints, Values, join
from kiseki.store.source import SourceGone
from kiseki.store.statistics import as_floats
from kiseki.store.tables import chunks, metrics, writers
from kiseki.store.tails import Unsealed, decode_header

if TYPE_CHECKING:
    from kiseki.store.database import Store


# Built once: for a run of a few chunks, making a statement costs more than running it.
_WRITERS = (
    select(
        writers.c.id,
        writers.c.writer,
        writers.c.role,
        writers.c.lane,
        writers.c.header,
        writers.c.path,
        writers.c.offset,
        writers.c.sealed_to,
        writers.c.sealed_segments,
    )
    .where(writers.c.run_pk == bindparam("run"))
    .order_by(writers.c.id)
)
_OF_WRITERS = (
    chunks.c.run_pk == bindparam("run"),
    chunks.c.writer_pk.in_(bindparam("writers", expanding=True)),
)
_CHUNKS = select(chunks).where(*_OF_WRITERS).order_by(chunks.c.writer_pk, chunks.c.segment)
_KEYS = chunks.c.key.in_(bindparam("keys", expanding=True))
_CHUNK_POINTS = select(chunks.c.key, chunks.c.rows).where(*_OF_WRITERS, _KEYS)
_TOTALS = select(metrics.c.key, metrics.c.points).where(
    metrics.c.run_pk == bindparam("run"),
    metrics.c.stream == bindparam("stream"),
    metrics.c.key.in_(bindparam("keys", expanding=True)),
)

_STEPS = np.iinfo(np.int64)


class Lane(NamedTuple):
    """A lane of a stream: number, label and id.

    Of the default stream number 0 is the primary lane, with the label ""; of the system stream each lane is a
    sidecar's, labelled with its host.
    """

    lane: int
    label: str
    id: str


@dataclass(frozen=True)
class LanePoints:
    """The points of one metric in one lane, sorted by step, one a step.

    `times` are unix microseconds. `type` is f64, i64, bool (`values` is an array of float64, int64, bool),
    str or any (`values` is a list).
    """

    lane: int
    label: str
    steps: Ints
    times: Ints
    values: Values
    type: str

    def __len__(self) -> int:
        return len(self.steps)


class _Piece(NamedTuple):
    """Values of one key from one stretch of one writer's file."""

    steps: Ints
    times: Ints
    column: Column


def lanes_of(connection: Connection, run_pk: int, stream: str = DEFAULT_STREAM) -> list[Lane]:
    """The lanes of a run's stream in order: the primary one first, then by when they began."""
    return [lane for lane, _ in _lanes(_writers(connection, run_pk, stream), stream)]


def read_points(
    store: Store,
    connection: Connection,
    run_pk: int,
    keys: Sequence[str] | None,
    *,
    step_min: int | None = None,
    step_max: int | None = None,
    rows: bool = False,
    stream: str = DEFAULT_STREAM,
) -> dict[str, list[LanePoints]]:
    """The points of a run's metrics (all where `keys` is None): for each a list of lanes, in order.

    `step_min` and `step_max` are inclusive. Within a lane the last record of a step wins; other lanes are
    series of their own. Metrics without a point in the range are left out. `connection` is a snapshot of
    `store.read()`. With `rows` the key `_step` holds every row, one without values too: its step, with the
    time of its last record.
    """
    if (step_min is not None and step_min > _STEPS.max) or (step_max is not None and step_max < _STEPS.min):
        return {}
    step_min = None if step_min is None else max(step_min, _STEPS.min)
    step_max = None if step_max is None else min(step_max, _STEPS.max)
    found = _writers(connection, run_pk, stream)
    wanted = None if keys is None else frozenset(keys)
    tails = {writer.id: _tail(store, connection, writer) for writer in found}
    tail_points: dict[str, int] = {}
    for blocks in tails.values():
        for block in blocks:
            for key, field in block.fields.items():
                tail_points[key] = tail_points.get(key, 0) + len(field.rows)
    of = {"run": run_pk, "writers": [writer.id for writer in found]}
    sealed = _sealed_rows(connection, of, stream, wanted, tail_points, step_min, step_max)
    result: dict[str, list[LanePoints]] = {}
    for lane, members in _lanes(found, stream):
        pieces: dict[str, list[_Piece]] = {}
        for writer in members:
            for chunk_rows in sealed.get(writer.id, {}).values():
                segment = unseal(chunk_rows, wanted)
                if segment is not None:
                    _collect(pieces, segment, wanted, rows)
            for block in tails[writer.id]:
                _collect(pieces, block, wanted, rows)
        for key, parts in pieces.items():
            points = _lane_points(lane, parts, step_min, step_max)
            if len(points):
                result.setdefault(key, []).append(points)
    return result


def numeric(points: LanePoints) -> LanePoints:
    """The points whose values are numbers, as float64: true is 1, false 0; others left out."""
    numbers, at = as_floats(Column(points.type, points.values))
    if at is None:
        return LanePoints(points.lane, points.label, points.steps, points.times, numbers, "f64")
    return LanePoints(points.lane, points.label, points.steps[at], points.times[at], numbers, "f64")


def _writers(connection: Connection, run_pk: int, stream: str) -> Sequence[Any]:
    found = connection.execute(_WRITERS, {"run": run_pk})
    return [writer for writer in found if stream_of(writer.role) == stream]


def _tail(store: Store, connection: Connection, writer: Any) -> list[Block]:
    """The blocks of a writer that are not sealed; none where their source is gone."""
    header = decode_header(writer.header)
    stretch = Unsealed(
        writer.id, header, writer.path, writer.sealed_to, writer.offset, writer.sealed_segments
    )
    try:
        return store.tails.read(connection, stretch)
    except SourceGone:
        return []


def _lanes(found: Sequence[Any], stream: str) -> list[tuple[Lane, list[Any]]]:
    """The lanes in order, each with its writers in the order in which the later one wins."""
    rows = {writer.writer: writer for writer in found}
    ordered = order_lanes(decode_header(writer.header) for writer in found)
    return [
        (
            Lane(number, _label(headers[0], stream), headers[0].lane),
            [rows[header.writer] for header in headers],
        )
        for number, headers in enumerate(ordered)
    ]


def _label(first: Header, stream: str) -> str:
    if stream == SYSTEM_STREAM:
        return first.label or first.host
    return "" if first.primary else first.label


def _collect(
    pieces: dict[str, list[_Piece]],
    block: Block | SealedSegment,
    wanted: frozenset[str] | None,
    rows: bool,
) -> None:
    steps, times, fields = block.steps, block.times, block.fields
    if rows:
        pieces.setdefault(STEP, []).append(_Piece(steps, times, Column("i64", steps)))
    for key in fields if wanted is None else wanted & fields.keys():
        if rows and key == STEP:
            continue
        field = fields[key]
        whole = len(field.rows) == len(steps)
        piece = _Piece(
            steps if whole else steps[field.rows],
            times if whole else times[field.rows],
            field.column,
        )
        pieces.setdefault(key, []).append(piece)


def _sealed_rows(
    connection: Connection,
    of: dict[str, Any],
    stream: str,
    wanted: frozenset[str] | None,
    tail_points: dict[str, int],
    step_min: int | None,
    step_max: int | None,
) -> dict[int, dict[int, list[Any]]]:
    """Chunk rows of the segments that have steps in the range, by writer and segment, as in the file.

    `of` names the run and the writers of the stream.
    """
    ranged = step_min is not None or step_max is not None
    query = _CHUNKS.where(_segment_in_range(step_min, step_max)) if ranged else _CHUNKS
    if wanted is None:
        rows = connection.execute(query, of).all()
    else:
        query = query.where(_KEYS)
        rows = connection.execute(query, of | {"keys": [STEP, TIME, *wanted]}).all()
        # Every segment with rows has a column of steps: without one there is no rest row to read either.
        if rows and _rest_needed(connection, of, stream, wanted, tail_points, None if ranged else rows):
            rows = [*rows, *connection.execute(query, of | {"keys": [REST]})]
    found: dict[int, dict[int, list[Any]]] = {}
    for row in rows:
        found.setdefault(row.writer_pk, {}).setdefault(row.segment, []).append(row)
    return found


def _segment_in_range(step_min: int | None, step_max: int | None) -> ColumnElement[bool]:
    # Whole segments, for every record of a step must be seen to know the last one.
    steps = chunks.alias("steps")
    query = select(1).where(
        steps.c.run_pk == chunks.c.run_pk,
        steps.c.key == STEP,
        steps.c.writer_pk == chunks.c.writer_pk,
        steps.c.segment == chunks.c.segment,
    )
    if step_min is not None:
        query = query.where(steps.c.step_max >= step_min)
    if step_max is not None:
        query = query.where(steps.c.step_min <= step_max)
    return query.exists()


def _rest_needed(
    connection: Connection,
    of: dict[str, Any],
    stream: str,
    wanted: frozenset[str],
    tail_points: dict[str, int],
    rows: Sequence[Any] | None,
) -> bool:
    """Whether some point of these metrics lies in a rest row: in no chunk of its own and in no tail.

    `rows` are all chunk rows of these metrics, or None where they must be counted.
    """
    held = dict(tail_points)
    keys = [key for key in wanted if key not in (STEP, TIME, REST)]
    if rows is None:
        own = connection.execute(_CHUNK_POINTS, of | {"keys": keys}).all()
    else:
        own = [row for row in rows if row.key not in (STEP, TIME, REST)]
    for row in own:
        held[row.key] = held.get(row.key, 0) + row.rows
    totals = connection.execute(_TOTALS, {"run": of["run"], "stream": stream, "keys": [*wanted]})
    return any(total > held.get(key, 0) for key, total in totals)


def _lane_points(lane: Lane, parts: list[_Piece], step_min: int | None, step_max: int | None) -> LanePoints:
    steps = np.concatenate([part.steps for part in parts])
    times = np.concatenate([part.times for part in parts])
    column = join([part.column for part in parts])
    order = _last_of_each_step(steps)
    if order is not None:
        steps, times, column = steps[order], times[order], column.take(order)
    if step_min is not None or step_max is not None:
        low = 0 if step_min is None else int(np.searchsorted(steps, step_min, "left"))
        high = len(steps) if step_max is None else int(np.searchsorted(steps, step_max, "right"))
        steps, times, column = steps[low:high], times[low:high], column.take(slice(low, high))
    return LanePoints(lane.lane, lane.label, steps, times, column.values, column.type)


def _last_of_each_step(steps: Ints) -> NDArray[np.int64] | None:
    """Positions of the points to keep, by step; None where all are kept as they stand."""
    if len(steps) < 2 or (np.diff(steps) > 0).all():
        return None
    order = np.argsort(steps, kind="stable")
    ordered = steps[order]
    last = np.append(ordered[1:] != ordered[:-1], True)
    kept: NDArray[np.int64] = order[last]
    return kept
