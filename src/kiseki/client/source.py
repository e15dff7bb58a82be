"""A writer's file as an upload reads it: by byte position, open only while it is read."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Final, NamedTuple

from kiseki.records.reader import Follower

_CRC_READ: Final = 1024 * 1024


class Chunk(NamedTuple):
    """Whole, checked frames, the CRC-32 of the file up to their end, and what is wrong behind them."""

    data: bytes
    end_crc: int
    damage: str | None


class FrameSource:
    """Reads one `<writer>.kiseki`; every method raises OSError where the file cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def size(self) -> int:
        """Return the file's size in bytes; a torn frame at its end is counted."""
        return os.stat(self.path).st_size

    def crc(self, offset: int) -> int | None:
        """Return the CRC-32 of the first `offset` bytes as they are now, None where the file is shorter."""
        crc, done = 0, 0
        with open(self.path, "rb", buffering=0) as file:
            while done < offset:
                data = file.read(min(_CRC_READ, offset - done))
                if not data:
                    return None
                crc = zlib.crc32(data, crc)
                done += len(data)
        return crc

    def read(self, offset: int, crc: int, max_bytes: int) -> Chunk:
        """Return the whole frames from `offset` on: at most `max_bytes`, unless a single frame is larger.

        `crc` is that of all bytes before `offset`. At offset 0 the prelude and the header come with them.
        """
        follower = Follower(self.path, offset, crc)
        try:
            data = follower.read_new(max_bytes)
            return Chunk(data, follower.crc, follower.damage)
        finally:
            follower.close()
