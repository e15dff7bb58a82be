"""A sealed segment as rows of the table `chunks`, and back, as specified in docs/formats/chunks.md."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from kiseki.records.kinds import Console, File, Other, Segment, read_extension
from kiseki.records.reader import Entry
from kiseki.store.codec import compress, decode_column, decompress, encode_column, packable
from kiseki.store.columns import Block, Column, Field, Ints, column_of
from kiseki.store.statistics import Statistics, statistics
from kiseki.store.tables import DERIVED_VERSION

CHUNK_ROWS = 256
"""A key with fewer values in a segment goes to the segment's rest row."""

STEP, TIME, REST = "_step", "_time", ""
"""Keys of the columns that a segment's metrics share, and of its rest row."""

_ELSEWHERE = (Segment, Console, File)
"""Records that a rest row leaves out: what they say lies in tables of their own."""

_RESERVED = frozenset({STEP, TIME, REST})

_encode = msgspec.msgpack.Encoder().encode
_decode_rest = msgspec.msgpack.Decoder(list[Any], ext_hook=read_extension).decode


def seal(block: Block, run_pk: int, writer_pk: int) -> list[dict[str, Any]]:
    """The chunk rows of one whole segment: shared columns, one for each key with enough values, and the rest.

    They depend on the segment's bytes alone, not on how these arrived.
    """
    rows: list[dict[str, Any]] = []
    if len(block):
        rows.append(_row(block, run_pk, writer_pk, STEP, Column("i64", block.steps), None))
        rows.append(_row(block, run_pk, writer_pk, TIME, Column("i64", block.times), None))
    rest: list[list[Any]] = []
    for key in sorted(block.fields):
        field = block.fields[key]
        if len(field.rows) >= CHUNK_ROWS and key not in _RESERVED:
            rows.append(_row(block, run_pk, writer_pk, key, field.column, field.rows))
        else:
            rest.append([key, np.diff(field.rows, prepend=0).tolist(), packable(field.column.objects())])
    others = [_other(entry) for entry in block.others if not isinstance(entry.record, _ELSEWHERE)]
    if not (rest or others):
        return rows
    rows.append(
        {
            **_of(Statistics(len(rest), 0, 0, 0, 0, None, None, None, None, None, -1)),
            "run_pk": run_pk,
            "writer_pk": writer_pk,
            "key": REST,
            "segment": block.segment,
            "type": "rest",
            "step_min": None,
            "step_max": None,
            "data": compress(_encode([rest, others])),
            "version": DERIVED_VERSION,
        }
    )
    return rows


@dataclass(frozen=True)
class SealedSegment:
    """What was read back of one segment: its shared columns and the keys that were asked for."""

    steps: Ints
    times: Ints
    fields: dict[str, Field]


def unseal(rows: Sequence[Any], keys: Collection[str] | None) -> SealedSegment | None:
    """Read rows of the table `chunks` that belong to one segment; `keys` limits what the rest row gives.

    None where the segment has no shared columns, so no rows.
    """
    shared = {row.key: row for row in rows if row.key in (STEP, TIME)}
    if len(shared) != 2:
        return None
    of = int(shared[STEP].rows)
    steps, times = (_ints(decode_column(shared[key].data, "i64", of)[0]) for key in (STEP, TIME))
    fields: dict[str, Field] = {}
    for row in rows:
        if row.key == REST:
            for key, gaps, values in _decode_rest(decompress(row.data))[0]:
                if keys is None or key in keys:
                    fields[key] = Field(np.cumsum(np.array(gaps, np.int64)), column_of(values))
        elif row.key not in shared:
            column, present = decode_column(row.data, row.type, of)
            fields[row.key] = Field(np.arange(of, dtype=np.int64) if present is None else present, column)
    return SealedSegment(steps, times, fields)


def _row(
    block: Block, run_pk: int, writer_pk: int, key: str, column: Column, rows: Ints | None
) -> dict[str, Any]:
    steps = block.steps if rows is None or len(rows) == len(block) else block.steps[rows]
    return {
        **_of(statistics(column)),
        "run_pk": run_pk,
        "writer_pk": writer_pk,
        "key": key,
        "segment": block.segment,
        "type": column.type,
        "step_min": int(steps.min()) if len(steps) else None,
        "step_max": int(steps.max()) if len(steps) else None,
        "data": encode_column(column, rows, len(block)),
        "version": DERIVED_VERSION,
    }


def _of(found: Statistics) -> dict[str, Any]:
    return {
        "rows": found.rows,
        "count": found.count,
        "nan": found.nan,
        "pinf": found.pinf,
        "ninf": found.ninf,
        "min": found.min,
        "max": found.max,
        "sum": found.sum,
        "first": found.first,
        "last": found.last,
    }


def _other(entry: Entry) -> list[Any]:
    record = entry.record
    if isinstance(record, Other):
        return [entry.offset, entry.time_us, packable([record.kind, record.t, *record.fields])]
    return [entry.offset, entry.time_us, packable(msgspec.to_builtins(record, builtin_types=(bytes,)))]


def _ints(column: Column) -> Ints:
    return np.asarray(column.values, np.int64)
