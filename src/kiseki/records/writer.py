"""Writing a run file: one `write()` a record, whole frames after any exception, memory for a full disk."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import index
from pathlib import Path
from struct import Struct as Layout
from typing import Any, TypeAlias
from zlib import crc32

import msgspec

from .descriptor import close_if_still, out_of_the_way
from .framing import (
    FRAME,
    MAX_PAYLOAD,
    PRELUDE_BYTES,
    SEGMENT_BYTES,
    frame_bytes,
    prelude,
    split_frames,
)
from .kinds import CONSOLE, ROW, Clock, Gap, Header, Key, Segment, Written
from .reader import MAX_SHAPES, MAX_STEP, decode_kind
from .values import FlatRow, Skipped, flatten_row, to_storable

WAITING_BYTES = 16 * 1024 * 1024
"""How many bytes wait in memory while the file cannot be written."""

_FLOATS = {float}
_PLAIN = frozenset({float, int, str, bool, type(None)})
_LENGTH = Layout("<I")
_DRIFT_NS = 1_000_000_000

_FLUSH_BYTES = 64 * 1024

_Shape: TypeAlias = tuple[int | list[int], Callable[..., bytes]]
"""How a row of known keys is written: the shape's id, or key ids, and the packer of its float64 values."""

_encoder = msgspec.msgpack.Encoder()
_encode = _encoder.encode
_encode_into = _encoder.encode_into
_pack_length = _LENGTH.pack_into
_pack_frame = FRAME.pack_into
_write = os.write

boot_ns: Callable[[], int] = (
    partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
    if hasattr(time, "CLOCK_BOOTTIME")
    else time.monotonic_ns
)
"""The clock that records are timed with: ns since boot, suspend included where the system counts it."""


class TooLarge(ValueError):
    """A record of more than 16 MiB."""


class RecordWriter:
    """The one writer of a run file. It takes no lock: threads that share it hold one around each call.

    A record is in the kernel when a method returns. What the disk refuses waits in memory, at most 16 MB of
    it; what is newer than that is dropped and counted, and a gap record says how many once there is room
    again. Any exception may cut a call short (Ctrl-C too): the next one goes on at a frame boundary, in a new
    segment. No method may be entered from a signal handler or `__del__` while another one runs.
    """

    def __init__(self, path: Path, fd: int, header: Header, on_trouble: Callable[[str], None] | None) -> None:
        """Use `create`."""
        self.path = path
        self.header = header
        self._fd = fd
        self._inode = os.fstat(fd).st_ino
        self._on_trouble = on_trouble
        self.row_time = 0
        """Time of the newest row: µs since the header."""
        self.row_flattened: FlatRow | None = None
        """The newest row as it was stored, where `log_row` answered with a list."""
        self._origin_ns = header.boot_ns
        self._base_ns = header.wall_ns
        self._step = header.step
        self._rows = 0
        # The file's size, always a frame boundary.
        self._position = 0
        # The position from which on a row needs `_prepare`; 0 while anything is out of the ordinary.
        self._room_until = 0
        # True while a call is under way, so also after one that was cut short.
        self._unsettled = False
        self._segment = -1
        self._segment_until = 0
        self._buffer = bytearray()
        self._keys: dict[Key, int] = {}
        self._shapes_defined = 0
        # Rows of string keys only, so that a tuple as a dictionary key is never taken for a path.
        self._shapes: dict[tuple[Any, ...], _Shape] = {}
        self._nested_shapes: dict[tuple[Any, ...], _Shape] = {}
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._dropped = 0
        self._trouble = ""

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        header: Header,
        *,
        on_trouble: Callable[[str], None] | None = None,
    ) -> RecordWriter:
        """Create the file, which must not exist, with its header and first segment.

        `header.boot_ns` and `header.wall_ns` are set where they are 0. `on_trouble` is called with one
        line whenever the disk begins to refuse. Raises OSError where the file cannot be created at all; a
        disk that is merely full does not.
        """
        header = msgspec.structs.replace(
            header, boot_ns=header.boot_ns or boot_ns(), wall_ns=header.wall_ns or time.time_ns()
        )
        opening = prelude() + frame_bytes(_encode(to_storable(msgspec.structs.asdict(header))))
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        writer = cls(Path(path), out_of_the_way(os.open(path, flags, 0o644)), header, on_trouble)
        writer._unsettled = True
        writer._accept(opening)
        writer._begin_segment()
        writer._end_call()
        return writer

    @property
    def position(self) -> int:
        """How many bytes of whole frames the file holds."""
        return self._position

    @property
    def rows(self) -> int:
        """How many rows were taken."""
        return self._rows

    @property
    def waiting(self) -> int:
        """How many bytes wait in memory for the disk."""
        return self._waiting_bytes

    @property
    def closed(self) -> bool:
        """Whether `close` or `close_inherited` was called."""
        return self._fd < 0

    def now(self) -> int:
        """The time of a record that is written now: µs since the header."""
        return (boot_ns() - self._origin_ns) // 1000

    def log_row(self, data: Mapping[Any, Any], step: int) -> Sequence[Skipped]:
        """Append one row; returns the values that could not be stored.

        The answer is the empty tuple where all keys were strings and all values float, int, str, bool or None
        of exactly that type; else a list, mostly empty.

        `step` is a signed 64-bit integer, else ValueError or TypeError. Nested dictionaries are flattened,
        see `flatten_row`. Raises TooLarge for a row of more than 16 MiB and ValueError on a closed writer.
        """
        if self._position >= self._room_until or type(step) is not int or step > MAX_STEP:
            return self._log_slowly(data, step)
        buffer = self._buffer
        try:
            ref, pack = self._shapes[tuple(data)]
            values = data.values()
            types = {*map(type, values)}
            if types == _FLOATS:
                t = (boot_ns() - self._origin_ns) // 1000
                _encode_into((1, t, step, ref, pack(*values)), buffer, 8)
            elif types <= _PLAIN:
                t = (boot_ns() - self._origin_ns) // 1000
                _encode_into((1, t, step, ref, [*values]), buffer, 8)
            else:
                return self._log_slowly(data, step)
        except (KeyError, TypeError, OverflowError, UnicodeEncodeError):
            return self._log_slowly(data, step)
        size = len(buffer)
        if size > MAX_PAYLOAD:
            return self._log_slowly(data, step)
        # Length before checksum for a moment: the checksum is over the length and then the payload.
        _pack_length(buffer, 4, size - 8)
        _pack_frame(buffer, 0, size - 8, crc32(memoryview(buffer)[4:]))
        room_until = self._room_until
        self._room_until = 0
        self._unsettled = True
        try:
            written = _write(self._fd, buffer)
        except OSError:
            written = 0
        except BaseException:
            self._settle()
            raise
        if written != size:
            return self._log_slowly(data, step)
        self._position += size
        self._rows += 1
        self._step = step
        self.row_time = t
        self._unsettled = False
        self._room_until = room_until
        return ()

    def append(self, record: Written) -> bool:
        """Append any record but a row; its `t` comes from `now`. False where it had to be dropped.

        Raises Unstorable for a value of a foreign type, TypeError for a field of a wrong type, TooLarge
        beyond 16 MiB, ValueError on a closed writer.
        """
        kind: Any = type(record).__struct_config__.tag
        fields = [getattr(record, name) for name in record.__struct_fields__]
        payload = _encode([kind, *to_storable(fields)])
        try:
            decode_kind[kind](payload)
        except msgspec.ValidationError as error:
            raise TypeError(f"{type(record).__name__} record that no reader could read: {error}") from error
        frame = _framed(payload)
        self._prepare()
        accepted = self._accept(frame)
        self._end_call()
        return accepted

    def append_console(self, stream: int, data: bytes) -> bool:
        """The same for a console record of now, at most CONSOLE_BYTES of `data`, without the checks."""
        frame = _framed(_encode((CONSOLE, self.now(), stream, data)))
        self._prepare()
        accepted = self._accept(frame)
        self._end_call()
        return accepted

    def check_clock(self) -> None:
        """Append a clock record where the wall clock drifted by more than a second from the record times."""
        t = self.now()
        wall_ns = time.time_ns()
        if abs(wall_ns - (self._base_ns + t * 1000)) > _DRIFT_NS and self.append(Clock(t, wall_ns)):
            self._base_ns = wall_ns - t * 1000

    def close(self) -> int:
        """Write what still waits, if the disk takes it, and close; returns how many records are lost."""
        if self._fd < 0:
            return 0
        if self._unsettled:
            self._settle()
        self._flush()
        lost = len(self._waiting) + self._dropped
        self._release()
        return lost

    def close_inherited(self) -> None:
        """Close a forked child's copy of the descriptor; nothing is written."""
        if self._fd >= 0:
            self._release()

    def _log_slowly(self, data: Mapping[Any, Any], step: int) -> Sequence[Skipped]:
        """Append a row with new keys, nested values or foreign types, or where the file needs care first."""
        step = index(step)
        if not -MAX_STEP - 1 <= step <= MAX_STEP:
            raise ValueError(f"step {step} does not fit into 64 bits")
        flat = flatten_row(data)
        values: bytes | list[Any] = flat.values
        self._prepare()
        keys = tuple(flat.keys)
        shapes = self._shapes if all(type(key) is str for key in keys) else self._nested_shapes
        known = shapes.get(keys)
        new_keys: list[Key] = []
        ref: Any
        if known is not None:
            ref, pack = known
        else:
            new_keys = [key for key in keys if key not in self._keys]
            ref = [self._keys.get(key, key) for key in keys]
            pack = Layout(f"<{len(keys)}d").pack
        if all(type(value) is float for value in flat.values):
            values = pack(*flat.values)
        try:
            t = self.now()
            frame = _framed(_encode((1, t, step, ref, values)))
        except BaseException:
            self._end_call()
            raise
        if self._accept(frame):
            self._rows += 1
            self._step = step
            if known is None:
                self._define(shapes, keys, new_keys, pack)
        self._end_call()
        self.row_time = t
        self.row_flattened = flat
        return flat.skipped

    def _define(
        self,
        shapes: dict[tuple[Any, ...], _Shape],
        keys: tuple[Key, ...],
        new_keys: list[Key],
        pack: Callable[..., bytes],
    ) -> None:
        """Enter into the tables what a frame that is written has just defined."""
        for key in new_keys:
            self._keys[key] = len(self._keys)
        if self._shapes_defined < MAX_SHAPES:
            shapes[keys] = (self._shapes_defined, pack)
            self._shapes_defined += 1
        else:
            shapes[keys] = ([self._keys[key] for key in keys], pack)

    def _prepare(self) -> None:
        """Open a call: settle what an exception cut short, flush what waits, begin a segment when due."""
        if self._fd < 0:
            raise ValueError(f"{self.path} is closed")
        if self._unsettled:
            self._settle()
        # Until `_end_call`: no row takes the short way past a call that an exception cut short.
        self._room_until = 0
        self._unsettled = True
        if self._waiting or self._dropped:
            self._flush()
        if self._position + self._waiting_bytes >= self._segment_until:
            self._begin_segment()

    def _end_call(self) -> None:
        self._room_until = 0 if self._waiting or self._dropped else self._segment_until
        self._unsettled = False

    def _begin_segment(self) -> None:
        t = self.now()
        start = self._position + self._waiting_bytes
        record = Segment(t, self._segment + 1, self._rows, self._step, self._base_ns + t * 1000)
        if self._accept(frame_bytes(_encode(record))):
            self._keys.clear()
            self._shapes.clear()
            self._nested_shapes.clear()
            self._shapes_defined = 0
            self._segment += 1
            self._segment_until = start + SEGMENT_BYTES

    def _accept(self, frame: bytes) -> bool:
        """Take one frame, into the file or, while that is refused, into memory; False where it is dropped."""
        size = len(frame)
        if not (self._waiting or self._dropped):
            try:
                self._put(frame)
            except OSError as error:
                self._refused(error)
            else:
                self._position += size
                return True
        if self._dropped or self._waiting_bytes + size > WAITING_BYTES:
            self._dropped += 1
            return False
        self._waiting.append(frame)
        self._waiting_bytes += size
        return True

    def _put(self, data: bytes) -> None:
        """Write all of `data`, or raise OSError and leave none of it."""
        view = memoryview(data)
        written = 0
        try:
            while written < len(view):
                written += _write(self._fd, view[written:])
        except OSError as error:
            if written:
                os.ftruncate(self._fd, self._position)
            elif error.errno == errno.EBADF and self._reopen():
                self._put(data)
                return
            raise
        except BaseException:
            self._settle()
            raise

    def _flush(self) -> None:
        """Write what waits in memory, as far as the disk takes it, then the gap record."""
        if not (self._waiting or self._dropped):
            return
        try:
            if self._size() > self._position:
                os.ftruncate(self._fd, self._position)
            # The first frame alone, so that a disk that is still full costs one small write.
            limit = 0
            while self._waiting:
                count, size = _first_frames(self._waiting, limit)
                limit = _FLUSH_BYTES
                rest = self._waiting[count:]
                self._put(b"".join(self._waiting[:count]))
                # Plain stores, one after the other: no signal handler runs between them.
                self._position += size
                self._waiting = rest
                self._waiting_bytes -= size
            if self._dropped:
                frame = frame_bytes(_encode(Gap(self.now(), self._dropped, self._trouble)))
                size = len(frame)
                self._put(frame)
                self._position += size
                self._dropped = 0
        except OSError as error:
            self._refused(error)
        else:
            self._trouble = ""

    def _settle(self) -> None:
        """Find the position again after a call that was cut short: whole frames stay, the torn rest goes."""
        self._room_until = 0
        self._segment_until = 0
        self._waiting_bytes = sum(map(len, self._waiting))
        try:
            size = self._size()
            if size > self._position:
                tail = os.pread(self._fd, size - self._position, self._position)
                frames = split_frames(tail, 0 if self._position else PRELUDE_BYTES)
                whole = frames.end if frames.spans else 0
                if whole < len(tail):
                    os.ftruncate(self._fd, self._position + whole)
                self._position += whole
                for begin, _ in frames.spans:
                    self._found_written(tail[begin + 1] == ROW)
            else:
                self._position = size
        except OSError as error:
            self._refused(error)

    def _size(self) -> int:
        try:
            return os.fstat(self._fd).st_size
        except OSError as error:
            if error.errno != errno.EBADF or not self._reopen():
                raise
            return os.fstat(self._fd).st_size

    def _found_written(self, is_row: bool) -> None:
        """Take account of a frame that the file holds although its call was cut short."""
        if self._waiting:
            self._waiting_bytes -= len(self._waiting.pop(0))
        elif is_row:
            self._rows += 1

    def _refused(self, error: OSError) -> None:
        """Note that the disk takes nothing; say so once until it does again."""
        first = not self._trouble
        self._trouble = error.strerror or str(error)
        if first and self._on_trouble is not None:
            self._on_trouble(
                f"cannot write {self.path}: {self._trouble}; up to {WAITING_BYTES >> 20} MB wait in memory, "
                "what is newer is dropped"
            )

    def _reopen(self) -> bool:
        """Open the file anew after other code closed our descriptor; False where the path leads elsewhere."""
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_APPEND | getattr(os, "O_CLOEXEC", 0))
        except OSError:
            return False
        if os.fstat(fd).st_ino != self._inode:
            os.close(fd)
            return False
        self._fd = out_of_the_way(fd)
        return True

    def _release(self) -> None:
        fd, self._fd = self._fd, -1
        self._room_until = 0
        self._waiting = []
        self._waiting_bytes = 0
        close_if_still(fd, self._inode)


def _framed(payload: bytes) -> bytes:
    if len(payload) > MAX_PAYLOAD:
        raise TooLarge(f"a record of {len(payload)} bytes is over {MAX_PAYLOAD >> 20} MiB; save it as a file")
    return frame_bytes(payload)


def _first_frames(waiting: list[bytes], limit: int) -> tuple[int, int]:
    """How many frames go into a write of about `limit` bytes, at least one, and their bytes together."""
    size = 0
    for count, frame in enumerate(waiting):
        if count and size + len(frame) > limit:
            return count, size
        size += len(frame)
    return len(waiting), size
