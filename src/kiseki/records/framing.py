"""Frames and the prelude of a run file (docs/formats/run-file.md): cutting bytes into checked payloads."""

from __future__ import annotations

from struct import Struct as Layout
from struct import error as LayoutError
from typing import NamedTuple
from zlib import crc32

FORMAT = 1
MAGIC = b"\x89KISEKI\n"
FRAME = Layout("<II")
MAX_PAYLOAD = 16 * 1024 * 1024
"""Largest payload of one frame, in bytes."""
SEGMENT_BYTES = 1024 * 1024
"""A segment ends before the first frame that would start this many bytes after its start."""

_PRELUDE = Layout("<8sHHI")
PRELUDE_BYTES = _PRELUDE.size


class Damaged(ValueError):
    """Bytes that are no run file, or no longer the one that was written; `byte` says where."""

    def __init__(self, byte: int, what: str | None = None) -> None:
        super().__init__(what or f"torn or damaged at byte {byte}")
        self.byte = byte


class Incomplete(ValueError):
    """Too few bytes to say anything yet: the file is just being created, or was cut."""


class Frames(NamedTuple):
    """Where the payloads of a buffer lie.

    `spans`: (start, end) of each payload. `end`: where the last whole, good frame ends. `damage`: None, or
    the offset of the first frame that is damaged. `end` short of the buffer without damage is a frame that is
    not complete yet: pending while its writer lives, torn when it does not.
    """

    spans: list[tuple[int, int]]
    end: int
    damage: int | None


def prelude() -> bytes:
    """The 16 bytes that open a run file."""
    head = _PRELUDE.pack(MAGIC, FORMAT, FORMAT, 0)[:12]
    return head + crc32(head).to_bytes(4, "little")


def check_prelude(buf: bytes | bytearray | memoryview) -> None:
    """Check the first 16 bytes of a file.

    Raises Incomplete where they are a beginning of a prelude, Damaged where they are not, or where the file
    needs a newer reader.
    """
    head = bytes(buf[:PRELUDE_BYTES])
    if not MAGIC.startswith(head[: len(MAGIC)]):
        raise Damaged(0, "not a run file: damaged at byte 0")
    if len(head) < PRELUDE_BYTES:
        raise Incomplete(f"only {len(head)} of {PRELUDE_BYTES} bytes of a run file's prelude")
    _, _, minimum, check = _PRELUDE.unpack(head)
    if crc32(head[:12]) != check:
        raise Damaged(0)
    if minimum > FORMAT:
        raise Damaged(8, f"run file of format {minimum}, this version reads {FORMAT}: install a newer kiseki")


def frame_bytes(payload: bytes | bytearray | memoryview) -> bytes:
    """One frame around a payload of 1 byte to 16 MiB."""
    size = len(payload).to_bytes(4, "little")
    return b"".join((size, crc32(payload, crc32(size)).to_bytes(4, "little"), payload))


def split_frames(buf: bytes | bytearray | memoryview, start: int = 0, *, verify: bool = True) -> Frames:
    """Cut `buf` into frames from the frame boundary `start` on.

    `verify=False` leaves the checksums alone: for bytes that were already checked as a whole.
    """
    spans: list[tuple[int, int]] = []
    view = memoryview(buf)
    total = len(view)
    unpack = FRAME.unpack_from
    position = start
    add = spans.append
    try:
        while True:
            size, check = unpack(view, position)
            begin = position + 8
            end = begin + size
            if not 0 < size <= MAX_PAYLOAD:
                return Frames(spans, position, position)
            if end > total:
                return Frames(spans, position, None)
            if verify and crc32(view[begin:end], crc32(view[position : position + 4])) != check:
                return Frames(spans, position, position)
            add((begin, end))
            position = end
    except LayoutError:
        return Frames(spans, position, None)
