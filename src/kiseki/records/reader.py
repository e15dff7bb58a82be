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

MAX_STEP = 2**63 - 1
"""Steps are signed 64-bit integers."""

MAX_TIME = 2**62
"""Times are below this many µs."""

_decode_any = msgspec.msgpack.Decoder(ext_hook=read_extension).decode
_decode_header = msgspec.msgpack.Decoder(Header).decode
decode_kind: dict[int, Any] = {
    number: msgspec.msgpack.Decoder(kind, ext_hook=read_extension).decode for number, kind in KINDS.items()
}
"""Kind number → decoder of its payload, rows left out."""


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


class RowGroup(NamedTuple):
    """The rows of one batch that have the same shape and the same encoding, as parallel sequences.

    `floats` says which: then each of `values` is a bin of little-endian float64, one for each key, so that
    `np.frombuffer(b"".join(group.values), "<f8").reshape(-1, len(group.shape.keys))` is the table; else each
    is a list. `offsets` are those of the frames, `ts` µs since the header, `times` unix µs.
    """

    shape: Shape
    floats: bool
    offsets: Sequence[int]
    ts: Sequence[int]
    times: Sequence[int]
    steps: Sequence[int]
    values: Sequence[Any]

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
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(PRELUDE_BYTES, f"unreadable header at byte {PRELUDE_BYTES}: {error}") from error


def read_records(buf: bytes | bytearray | memoryview) -> Reading:
    """Read a whole file, up to its end or its first damage; never raises for what the bytes say."""
    try:
        header, start = read_header(buf)
    except Incomplete:
        end = 0 if len(buf) < PRELUDE_BYTES else PRELUDE_BYTES
        return Reading(None, [], end, f"torn or damaged at byte {end}")
    except Damaged as error:
        return Reading(None, [], 0, str(error))
    frames = split_frames(buf, start)
    try:
        entries = _entries(header, buf, frames.spans)
    except Damaged as error:
        good = [span for span in frames.spans if span[0] - 8 < error.byte]
        return Reading(header, _entries(header, buf, good), error.byte, str(error))
    damage = None if frames.end == len(buf) else f"torn or damaged at byte {frames.end}"
    return Reading(header, entries, frames.end, damage)


def _entries(
    header: Header, buf: bytes | bytearray | memoryview, spans: Sequence[tuple[int, int]]
) -> list[Entry]:
    """All records at `spans`, in order."""
    decoder = SegmentDecoder(header)
    entries: list[Entry] = []
    for at in range(0, len(spans), 4096):
        batch = decoder.decode_batch(buf, spans[at : at + 4096])
        found = batch.others
        for group in batch.groups:
            for index, offset in enumerate(group.offsets):
                row = group.row(index)
                found.append(Entry(offset, row.time_us, row))
        found.sort(key=lambda entry: entry.offset)
        entries += found
    return entries


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

        Raises Damaged at the first payload that makes no sense; this decoder and what came before in the
        batch are of no use then. Whoever wants the good part decodes it anew, up to `Damaged.byte`.
        """
        view = memoryview(buf)
        base -= 8
        collected: list[_Rows] = []
        others: list[Entry] = []
        # The rows of each shape id, as bins and as lists; new ones after each segment and clock record.
        bins: dict[int, _Rows] = {}
        lists: dict[int, _Rows] = {}
        shaped: dict[tuple[int, bool], _Rows] = {}
        fault: tuple[int, Exception] | None = None
        begin = 0
        try:
            for begin, end in spans:
                fields = _decode_any(view[begin:end])
                if fields[0] == ROW:
                    ref = fields[3]
                    known = bins if type(fields[4]) is bytes else lists
                    rows = known.get(ref) if type(ref) is int else None
                    if rows is None:
                        shape = self._find_shape(ref)
                        rows = shaped.get((id(shape), known is bins))
                        if rows is None:
                            rows = shaped[id(shape), known is bins] = _Rows(
                                shape, known is bins, self._base_us
                            )
                            collected.append(rows)
                        if type(ref) is int:
                            known[ref] = rows
                    rows.fields.append(fields)
                    rows.offsets.append(base + begin)
                else:
                    record = self._other(fields, view[begin:end], base + begin)
                    others.append(Entry(base + begin, self._base_us + record.t, record))
                    if isinstance(record, (Segment, Clock)):
                        bins, lists, shaped = {}, {}, {}
        except (msgspec.MsgspecError, LookupError, TypeError, ValueError, RecursionError) as error:
            fault = base + begin, error
        groups: list[RowGroup] = []
        for rows in collected:
            try:
                groups.append(rows.group())
            except (TypeError, ValueError, OverflowError) as error:
                offset = rows.first_fault()
                if fault is None or offset < fault[0]:
                    fault = offset, error
        if fault is not None:
            offset, cause = fault
            what = f"unreadable record at byte {offset}: {cause or type(cause).__name__}"
            raise Damaged(offset, what) from cause
        return Batch(groups, others)

    def _find_shape(self, ref: Any) -> Shape:
        """The shape that a row names by its id or spells out."""
        if type(ref) is not int:
            return self._shape(ref)
        if ref < 0:
            raise ValueError("negative shape id")
        return self._shapes[ref]

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
            names = tuple(map(key_name, found))
            if "" in names or len(set(found)) < len(found):
                raise ValueError("a key without a name, or twice")
            shape = self._inline[found] = Shape(found, names)
        if len(self._shapes) < MAX_SHAPES:
            self._shapes.append(shape)
        return shape

    def _other(self, fields: Any, payload: memoryview, offset: int) -> Written | Other:
        kind, t = fields[0], fields[1]
        if type(kind) is not int or type(t) is not int or not 0 <= t < MAX_TIME:
            raise ValueError("not a record")
        decode = decode_kind.get(kind)
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


class _Rows:
    """Undecoded rows of one shape and encoding on their way to a group."""

    __slots__ = ("base_us", "fields", "floats", "offsets", "shape")

    def __init__(self, shape: Shape, floats: bool, base_us: int) -> None:
        self.shape = shape
        self.floats = floats
        self.base_us = base_us
        self.fields: list[list[Any]] = []
        self.offsets: list[int] = []

    def group(self) -> RowGroup:
        """Check all rows together and turn them into columns; raises where one of them makes no sense."""
        if {*map(type, self.fields)} != {list}:
            raise TypeError("not an array")
        # Fields that a later version may append fall away here.
        fields = self.fields if {*map(len, self.fields)} == {5} else [row[:5] for row in self.fields]
        kinds, ts, steps, _, values = zip(*fields, strict=True)
        if {*map(type, kinds), *map(type, ts), *map(type, steps)} != {int}:
            raise TypeError("kind, time and step must be integers")
        if min(ts) < 0 or max(ts) >= MAX_TIME or min(steps) < -MAX_STEP - 1 or max(steps) > MAX_STEP:
            raise OverflowError("time or step out of range")
        if {*map(type, values)} != {bytes if self.floats else list}:
            raise TypeError("values are neither bin nor array")
        if {*map(len, values)} != {len(self.shape.keys) * (8 if self.floats else 1)}:
            raise ValueError("values do not fit the shape")
        base_us = self.base_us
        return RowGroup(self.shape, self.floats, self.offsets, ts, [base_us + t for t in ts], steps, values)

    def first_fault(self) -> int:
        """The offset of the first row that makes no sense."""
        one = _Rows(self.shape, self.floats, self.base_us)
        for fields, offset in zip(self.fields, self.offsets, strict=True):
            one.fields, one.offsets = [fields], [offset]
            try:
                one.group()
            except (TypeError, ValueError, OverflowError):
                return offset
        raise AssertionError("no row of a faulty group is faulty")


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
