"""Logged values as columns: the blocks that decoded rows become, for hot tails, sealing and reading alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kiseki.records.kinds import Console
from kiseki.records.reader import Batch, Entry, RowGroup

Ints = NDArray[np.int64]
Values: TypeAlias = NDArray[Any] | list[Any]

NUMERIC = {"f64": np.dtype("<f8"), "i64": np.dtype("<i8"), "bool": np.dtype("?")}
"""Types of columns that are arrays; columns of type `str` and `any` are lists."""

_BY_PYTHON_TYPE = {float: "f64", int: "i64", bool: "bool", str: "str"}
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


@dataclass(frozen=True)
class Column:
    """The values of one key: `type` is f64, i64, bool (arrays), str or any (lists)."""

    type: str
    values: Values

    def __len__(self) -> int:
        return len(self.values)

    def objects(self) -> list[Any]:
        """The values as Python objects, of the types that were logged."""
        return self.values if isinstance(self.values, list) else list(self.values.tolist())

    def take(self, where: NDArray[Any] | slice) -> Column:
        """The values at these positions (integers, a mask, a slice), in the narrowest type that fits."""
        if not isinstance(self.values, list):
            return Column(self.type, self.values[where])
        if isinstance(where, slice):
            return column_of(self.values[where])
        positions = np.flatnonzero(where) if where.dtype == bool else where
        return column_of([self.values[i] for i in positions])


@dataclass(frozen=True)
class Field:
    """A key's column inside a block; `rows` are the indices of the block's rows that hold a value."""

    rows: Ints
    column: Column


@dataclass(frozen=True)
class Block:
    """Rows that lie between two bytes of one writer's file, inside one segment, in the file's order.

    `offsets` are the bytes where the rows' frames start, `steps` the rows' steps, `times` unix microseconds;
    `others` are the records that are no rows.
    """

    segment: int
    start: int
    end: int
    offsets: Ints
    steps: Ints
    times: Ints
    fields: dict[str, Field]
    others: list[Entry]

    def __len__(self) -> int:
        return len(self.steps)

    def weight(self) -> int:
        """About how many bytes of memory the block holds."""
        total = 24 * len(self.steps)
        total += sum(200 + len(e.record.data) for e in self.others if isinstance(e.record, Console))
        for field in self.fields.values():
            values = field.column.values
            total += 64 * len(values) if isinstance(values, list) else int(values.nbytes)
            total += int(field.rows.nbytes)
        return total

    def between(self, start: int, end: int) -> Block:
        """The part of the block whose frames start at or after byte `start` and before byte `end`."""
        if start <= self.start and end >= self.end:
            return self
        low, high = (int(i) for i in np.searchsorted(self.offsets, [start, end]))
        fields: dict[str, Field] = {}
        for key, field in self.fields.items():
            first, last = (int(i) for i in np.searchsorted(field.rows, [low, high]))
            if first < last:
                fields[key] = Field(field.rows[first:last] - low, field.column.take(slice(first, last)))
        return Block(
            self.segment,
            max(start, self.start),
            min(end, self.end),
            self.offsets[low:high],
            self.steps[low:high],
            self.times[low:high],
            fields,
            [entry for entry in self.others if start <= entry.offset < end],
        )


def column_of(values: Sequence[Any]) -> Column:
    """Python values as a column of the narrowest type that keeps each of them exactly."""
    types = set(map(type, values))
    kind = _BY_PYTHON_TYPE.get(types.pop(), "any") if len(types) == 1 else "any"
    if kind == "i64" and not (min(values) >= _INT64_MIN and max(values) <= _INT64_MAX):
        kind = "any"
    if kind in NUMERIC:
        return Column(kind, np.array(values, dtype=NUMERIC[kind]))
    return Column(kind, list(values))


def join(columns: Sequence[Column]) -> Column:
    """Columns one after the other; of type any where their types differ."""
    if len(columns) == 1:
        return columns[0]
    kinds = {column.type for column in columns}
    kind = kinds.pop() if len(kinds) == 1 else "any"
    if kind in NUMERIC:
        return Column(kind, np.concatenate([np.asarray(column.values) for column in columns]))
    return Column(kind, [value for column in columns for value in column.objects()])


def merge(blocks: Sequence[Block]) -> Block:
    """Blocks of one segment that follow each other, as one."""
    if len(blocks) == 1:
        return blocks[0]
    parts: dict[str, list[tuple[Ints, Column]]] = {}
    base = 0
    for block in blocks:
        for key, field in block.fields.items():
            parts.setdefault(key, []).append((field.rows + base if base else field.rows, field.column))
        base += len(block)
    return Block(
        blocks[0].segment,
        blocks[0].start,
        blocks[-1].end,
        np.concatenate([block.offsets for block in blocks]),
        np.concatenate([block.steps for block in blocks]),
        np.concatenate([block.times for block in blocks]),
        {
            key: Field(np.concatenate([rows for rows, _ in found]), join([column for _, column in found]))
            for key, found in parts.items()
        },
        [entry for block in blocks for entry in block.others],
    )


def empty_block(segment: int, start: int, end: int) -> Block:
    """A block without a row."""
    none = np.zeros(0, np.int64)
    return Block(segment, start, end, none, none, none, {}, [])


def block_of(batch: Batch, segment: int, start: int, end: int) -> Block:
    """The block of a decoded batch that lies inside one segment."""
    groups = batch.groups
    if not groups:
        block = empty_block(segment, start, end)
        block.others.extend(batch.others)
        return block
    offsets = _joined([group.offsets for group in groups])
    steps = _joined([group.steps for group in groups])
    times = _joined([group.times for group in groups])
    place: Ints
    if len(groups) == 1:
        place = np.arange(len(offsets), dtype=np.int64)
    else:
        order = np.argsort(offsets)
        offsets, steps, times = offsets[order], steps[order], times[order]
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order), dtype=np.int64)
    parts: dict[str, list[tuple[Ints, Column]]] = {}
    first = 0
    for group in groups:
        rows = place[first : first + len(group.offsets)]
        first += len(group.offsets)
        for name, column in _columns(group):
            parts.setdefault(name, []).append((rows, column))
    fields = {name: _field(found) for name, found in parts.items()}
    return Block(segment, start, end, offsets, steps, times, fields, batch.others)


def _columns(group: RowGroup) -> Iterable[tuple[str, Column]]:
    """A group's keys and columns. Where a flat and a nested key share a name, the later one counts."""
    names = group.shape.names
    if group.floats:
        table = np.frombuffer(b"".join(group.values), "<f8").reshape(len(group.values), len(names)).T.copy()
        return {name: Column("f64", table[i]) for i, name in enumerate(names)}.items()
    return {name: column_of([row[i] for row in group.values]) for i, name in enumerate(names)}.items()


def _joined(parts: list[Sequence[int]]) -> Ints:
    if len(parts) == 1:
        return np.array(parts[0], np.int64)
    return np.concatenate([np.array(part, np.int64) for part in parts])


def _field(found: list[tuple[Ints, Column]]) -> Field:
    if len(found) == 1:
        rows, column = found[0]
    else:
        rows, column = np.concatenate([rows for rows, _ in found]), join([column for _, column in found])
    if len(rows) > 1 and np.any(rows[1:] < rows[:-1]):
        order = np.argsort(rows)
        return Field(rows[order], column.take(order))
    return Field(rows, column)
