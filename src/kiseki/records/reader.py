"""Reading a run file: whole, frame by frame, in batches per shape, or while it grows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from struct import unpack as unpack_values
from typing import Any, NamedTuple, TypeAlias
from zlib import crc32

import msgspec

from .framing import (
    FRAME,
    MAX_PAYLOAD,
    PRELUDE_BYTES,
    Damaged,
    Incomplete,
    check_prelude,
    split_frames,
)
from .kinds import KINDS, ROW, Clock, Header, Key, Other, Segment, Written, key_name, read_extension

MAX_SHAPES = 1024
"""Most shapes that a segment's table holds."""

_decode_any = msgspec.msgpack.Decoder(ext_hook=read_extension).decode
_decode_header = msgspec.msgpack.Decoder(Header).decode
_decode_kind: dict[int, Any] = {
    number: msgspec.msgpack.Decoder(kind, ext_hook=read_extension).decode for number, kind in KINDS.items()
}


class Shape(NamedTuple):
    """The keys of a row, and their flat names, in the order of the values."""

    keys: tuple[Key, ...]
    names: tuple[str, ...]


class DecodedRow(NamedTuple):
    """One row with its keys resolved; `t` is µs since the header, `time_us` unix µs."""

    t: int
    time_us: int
    step: int
    shape: Shape
    values: list[Any] | tuple[float, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The flat names of the values."""
        return self.shape.names


Record: TypeAlias = DecodedRow | Written | Other


class Entry(NamedTuple):
    """A record, the offset of its frame in the file, and its unix time in µs."""

    offset: int
    time_us: int
    record: Record


class RowGroup:
    """The rows of one batch that have the same shape and the same encoding, as parallel lists.

    `floats` says which: then each of `values` is a bin of little-endian float64, one for each key, so that
    `np.frombuffer(b"".join(group.values), "<f8").reshape(-1, len(group.shape.keys))` is the table; else each
    is a list. `offsets` are those of the frames, `ts` µs since the header, `times` unix µs.
    """

    __slots__ = ("floats", "offsets", "shape", "steps", "times", "ts", "values")

    def __init__(self, shape: Shape, floats: bool) -> None:
        self.shape = shape
        self.floats = floats
        self.offsets: list[int] = []
        self.ts: list[int] = []
        self.times: list[int] = []
        self.steps: list[int] = []
        self.values: list[Any] = []

    def row(self, index: int) -> DecodedRow:
        """One row of the group, decoded."""
        values = self.values[index]
        if self.floats:
            values = unpack_values(f"<{len(self.shape.keys)}d", values)
        return DecodedRow(self.ts[index], self.times[index], self.steps[index], self.shape, values)


class Batch(NamedTuple):
    """What a batch of frames holds: rows in groups of one shape, all other records in order."""

    groups: list[RowGroup]
    others: list[Entry]


class Reading(NamedTuple):
    """A file as far as it can be read. `header` is None where even that is missing.

    `end` is where the good frames end; `damage` is None, or one line that names the byte.
    """

    header: Header | None
    entries: list[Entry]
    end: int
    damage: str | None


def read_header(buf: bytes | bytearray | memoryview) -> tuple[Header, int]:
    """Read prelude and header; returns the header and the offset of frame 1.

    Raises Incomplete where more bytes are needed, Damaged where they are not a run file's.
    """
    check_prelude(buf)
    if len(buf) < PRELUDE_BYTES + 8:
        raise Incomplete("the run file's header is not complete")
    size, check = FRAME.unpack_from(buf, PRELUDE_BYTES)
    begin = PRELUDE_BYTES + 8
    if not 0 < size <= MAX_PAYLOAD:
        raise Damaged(PRELUDE_BYTES)
    if len(buf) < begin + size:
        raise Incomplete("the run file's header is not complete")
    payload = memoryview(buf)[begin : begin + size]
    if crc32(payload, crc32(size.to_bytes(4, "little"))) != check:
        raise Damaged(PRELUDE_BYTES)
    try:
        return _decode_header(payload), begin + size
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Damaged(PRELUDE_BYTES, f"unreadable header at byte {PRELUDE_BYTES}: {error}") from error


def read_records(buf: bytes | bytearray | memoryview) -> Reading:
    """Read a whole file, up to its end or its first damage; never raises for what the bytes say."""
    try:
        header, start = read_header(buf)
    except Incomplete:
        return Reading(None, [], 0, "torn or damaged at byte 0")
    except Damaged as error:
        return Reading(None, [], 0, str(error))
    frames = split_frames(buf, start)
    decoder = SegmentDecoder(header)
    entries: list[Entry] = []
    view = memoryview(buf)
    for begin, end in frames.spans:
        try:
            entries.append(decoder.decode(view[begin:end], begin - 8))
        except Damaged as error:
            return Reading(header, entries, begin - 8, str(error))
    damage = None if frames.end == len(view) else f"torn or damaged at byte {frames.end}"
    return Reading(header, entries, frames.end, damage)


class SegmentDecoder:
    """Decodes a writer's payloads in order, keeping the segment's key and shape tables from call to call.

    It starts at frame 1 of a file or at any segment record.
    """

    def __init__(self, header: Header) -> None:
        self.header = header
        self.segment = -1
        """Index of the segment that was entered last; -1 before the first."""
        self.segment_offset = 0
        """Offset of that segment's first frame."""
        self._base_us = header.wall_ns // 1000
        self._keys: list[Key] = []
        self._shapes: list[Shape] = []
        self._inline: dict[tuple[Key, ...], Shape] = {}

    def decode(self, payload: bytes | memoryview, offset: int) -> Entry:
        """Decode one payload whose frame starts at `offset`. Raises Damaged where it makes no sense."""
        batch = self.decode_batch(payload, [(0, len(payload))], offset + 8)
        if batch.groups:
            row = batch.groups[0].row(0)
            return Entry(offset, row.time_us, row)
        return batch.others[0]

    def decode_batch(
        self, buf: bytes | bytearray | memoryview, spans: Sequence[tuple[int, int]], base: int = 0
    ) -> Batch:
        """Decode the payloads at `spans` of `buf`, whose first byte has the offset `base` in the file.

        Raises Damaged at the first payload that makes no sense; what came before it in the batch is lost to
        the caller, who can decode up to `Damaged.byte` with a fresh decoder.
        """
        view = memoryview(buf)
        base -= 8
        groups: dict[tuple[int, bool], RowGroup] = {}
        others: list[Entry] = []
        shapes = self._shapes
        base_us = self._base_us
        for begin, end in spans:
            try:
                fields = _decode_any(view[begin:end])
                if fields[0] == ROW:
                    _, t, step, ref, values, *_ = fields
                    shape = shapes[ref] if type(ref) is int and ref >= 0 else self._shape(ref)
                    floats = type(values) is bytes
                    if len(values) != len(shape.keys) * (8 if floats else 1) or type(step) is not int:
                        raise ValueError("values do not fit the shape")
                    group = groups.get((id(shape), floats))
                    if group is None:
                        group = groups[id(shape), floats] = RowGroup(shape, floats)
                    group.times.append(base_us + t)
                    group.ts.append(t)
                    group.steps.append(step)
                    group.values.append(values)
                    group.offsets.append(base + begin)
                else:
                    record = self._other(fields, view[begin:end], base + begin)
                    base_us = self._base_us
                    others.append(Entry(base + begin, base_us + record.t, record))
            except (msgspec.MsgspecError, LookupError, TypeError, ValueError) as error:
                raise Damaged(
                    base + begin, f"unreadable record at byte {base + begin}: {error or type(error).__name__}"
                ) from error
        return Batch(list(groups.values()), others)

    def _shape(self, refs: list[Any]) -> Shape:
        """Resolve a shape list, giving ids to the new keys, and to the shape while there is room."""
        known = self._keys
        keys: list[Key] = []
        for ref in refs:
            if type(ref) is int:
                if ref < 0:
                    raise ValueError("negative key id")
                keys.append(known[ref])
                continue
            key: Key = ref if type(ref) is str else tuple(ref)
            known.append(key)
            keys.append(key)
        found = tuple(keys)
        shape = self._inline.get(found)
        if shape is None:
            shape = self._inline[found] = Shape(found, tuple(map(key_name, found)))
        if len(self._shapes) < MAX_SHAPES:
            self._shapes.append(shape)
        return shape

    def _other(self, fields: Any, payload: memoryview, offset: int) -> Written | Other:
        kind, t = fields[0], fields[1]
        if type(kind) is not int or type(t) is not int or t < 0:
            raise ValueError("not a record")
        decode = _decode_kind.get(kind)
        if decode is None:
            return Other(kind, t, fields[2:])
        record: Written = decode(payload)
        if isinstance(record, Segment):
            self._keys.clear()
            self._shapes.clear()
            self._inline.clear()
            self.segment, self.segment_offset = record.index, offset
        if isinstance(record, (Segment, Clock)):
            self._base_us = record.wall_ns // 1000 - t
        return record


class Follower:
    """Follows a file that another process appends to: whole, checked frames only, from the first byte on.

    `offset` and `crc` (of all bytes before it) move with what was handed out; both can be given to go on
    where an earlier follower stopped. `damage` is None, or one line that names the byte at which following
    ended.
    """

    def __init__(self, path: str | os.PathLike[str], offset: int = 0, crc: int = 0) -> None:
        self.path = Path(path)
        self.offset = offset
        self.crc = crc
        self.damage: str | None = None
        self.pending = 0
        """Bytes that lay behind `offset` at the last read and were no whole frame yet."""
        self._fd = -1

    def read_new(self, max_bytes: int = 256 * 1024) -> bytes:
        """The next whole frames, at most `max_bytes` unless a single one is larger; b"" where none is new.

        The file is opened at need and stays open until `close`. Raises OSError where it cannot be read.
        """
        if self.damage is not None:
            return b""
        if self._fd < 0:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        data = os.pread(self._fd, max_bytes, self.offset)
        end = self._whole(data)
        if end == 0 and self.damage is None and len(data) == max_bytes:
            data = os.pread(self._fd, max_bytes + MAX_PAYLOAD + 8 + PRELUDE_BYTES, self.offset)
            end = self._whole(data[: self._first_frame(data)])
        if not data and os.fstat(self._fd).st_size < self.offset:
            self.damage = f"cut below byte {self.offset}, which was read before"
        self.pending = len(data) - end
        data = data[:end]
        self.offset += end
        self.crc = crc32(data, self.crc)
        return data

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _first_frame(self, data: bytes) -> int:
        start = PRELUDE_BYTES if self.offset == 0 else 0
        if len(data) < start + 8:
            return 0
        size, _ = FRAME.unpack_from(data, start)
        return int(start + 8 + size)

    def _whole(self, data: bytes) -> int:
        """How many bytes of `data` are good; notes the damage behind them."""
        start = 0
        if self.offset == 0:
            try:
                check_prelude(data)
            except Incomplete:
                return 0
            except Damaged as error:
                self.damage = str(error)
                return 0
            start = PRELUDE_BYTES
        frames = split_frames(data, start)
        if frames.damage is not None:
            self.damage = f"torn or damaged at byte {self.offset + frames.damage}"
        return frames.end if frames.spans else 0
