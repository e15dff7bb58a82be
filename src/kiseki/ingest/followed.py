"""One file of a run directory that is followed in place: where it stands, and what the store makes of it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from sqlalchemy import Connection, select

from kiseki.ingest.append import LocalPart
from kiseki.ingest.liveness import process_alive
from kiseki.records.framing import Damaged, Incomplete
from kiseki.records.kinds import Header
from kiseki.records.reader import Follower, read_header
from kiseki.store.tables import writers

PIECE_BYTES = 256 * 1024
HEADER_BYTES = 64 * 1024
HEADER_SECONDS = 60.0


class Known(NamedTuple):
    """What the store has of a writer."""

    offset: int
    crc: int
    path: str | None
    ended: bool
    damage: str | None


class FollowedFile:
    """A writer's file. Its calls belong to the follower's lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header: Header | None = None
        self.ended = False
        """The store says that its writer has ended, by a record or by its death."""
        self.closed_out = False
        self.dead_since: float | None = None
        """When its process was first seen to be dead, by the monotonic clock."""
        self.aside = False
        """Left alone: a copy of a file that is followed elsewhere, or one that the store refused for good."""
        self._follower = Follower(path)
        self._damage_told: str | None = None
        self._changed_damage: str | None = None
        self._inode: tuple[int, int] | None = None

    def read_head(self) -> bool:
        """Read the header; True where there is one now."""
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                self._inode = (status.st_dev, status.st_ino)
                head = file.read(HEADER_BYTES)
                try:
                    self.header, _ = read_header(head)
                except Incomplete:
                    self.header, _ = read_header(head + file.read(17 * 1024 * 1024))
        except (OSError, Damaged, Incomplete):
            return False
        return True

    def known_in(self, connection: Connection) -> Known | None:
        """What the store has of this writer, None where that is nothing."""
        header = self.header
        if header is None:
            return None
        query = select(*(writers.c[name] for name in Known._fields)).where(
            writers.c.uid == header.run_uid, writers.c.writer == header.writer
        )
        found = connection.execute(query).first()
        return None if found is None else Known(*found)

    def take_up(self, known: Known | None) -> LocalPart | None:
        """Go on where the store stands; what tells the store where the file lies now, if there is need.

        The file is compared with what the store has, up to there, so this takes a while.
        """
        if known is None:
            return None
        if known.path is not None and known.path != str(self.path) and os.path.exists(known.path):
            self.aside = True
            return None
        self.ended = known.ended
        self._damage_told = known.damage
        self._go_on_at(known.offset, known.crc)
        # An old copy of what the store knows better; only of the file itself it would be damage.
        self.aside = self._changed_damage is not None and known.path != str(self.path)
        return None if self.aside else self._adopt_part()

    def _go_on_at(self, offset: int, crc: int) -> None:
        """Follow from byte `offset` on, if the file still begins with the bytes that the store has."""
        self._follower.close()
        self._follower = Follower(self.path, offset, crc)
        try:
            found, size = _crc_of(self.path, offset)
        except OSError:
            return
        if size < offset:
            self._changed_damage = f"cut at byte {size}, below byte {offset}, which was read before"
        elif found != crc:
            self._changed_damage = f"no longer begins with the {offset} bytes that were read before"

    @property
    def done(self) -> bool:
        """Whether nothing is to be expected of the file any more."""
        return self.ended or self.aside or (self.header is None and self._stale())

    def _stale(self) -> bool:
        """Whether a file that has no readable header has had time enough to get one."""
        try:
            return time.time() - self.path.stat().st_mtime > HEADER_SECONDS
        except OSError:
            return True

    def damage(self, *, dead: bool = False) -> str | None:
        """Why nothing more can be read; with `dead`, an unfinished frame at the end is one reason."""
        if self._changed_damage is not None:
            return self._changed_damage
        if self._follower.damage is None and dead and self._follower.pending:
            return f"torn at byte {self._follower.offset}: its last frame is not whole"
        return self._follower.damage

    def next_part(self, *, dead: bool = False) -> LocalPart | None:
        """What is new in the file, or None; raises OSError where it cannot be read."""
        header = self.header
        if header is None or (self._changed_damage is not None and self._damage_told is not None):
            return None
        offset, crc = self._follower.offset, self._follower.crc
        data = b"" if self._changed_damage is not None else self._follower.read_new(PIECE_BYTES)
        damage = None if data else self.damage(dead=dead)
        if not data and (damage is None or self._damage_told is not None):
            return None
        if damage is not None:
            self._damage_told = damage
        return LocalPart(str(self.path), header.run_uid, header.writer, offset, crc, data, damage)

    def _adopt_part(self) -> LocalPart | None:
        """A part without data, which tells the store where the file lies now."""
        header, follower = self.header, self._follower
        if header is None or follower.offset == 0:
            return None
        return LocalPart(str(self.path), header.run_uid, header.writer, follower.offset, follower.crc, b"")

    def corrected(self, offset: int, crc: int) -> None:
        """The store stands elsewhere than this follower thought: go on there."""
        self._go_on_at(offset, crc)

    def rewind(self, part: LocalPart) -> None:
        """The part was not taken for now: read it again later."""
        self._follower.close()
        self._follower = Follower(self.path, part.offset, part.crc)
        if part.damage is not None:
            self._damage_told = None

    def check_identity(self) -> None:
        """Note a file that was put in the place of the one that is being read."""
        if self._inode is None or self._changed_damage is not None:
            return
        try:
            found = self.path.stat()
        except OSError:
            return
        if (found.st_dev, found.st_ino) != self._inode:
            self._changed_damage = "replaced by another file"

    def grown(self) -> bool:
        """Whether the file is longer than what was read of it, however that was not noticed."""
        try:
            return self.path.stat().st_size > self._follower.offset + self._follower.pending
        except OSError:
            return False

    def alive(self) -> bool | None:
        """Whether the writer's process lives; None where that cannot be known from here."""
        return None if self.header is None else process_alive(self.header)

    def close(self) -> None:
        """Give the descriptor back; the next read opens the file again."""
        self._follower.close()


def _crc_of(path: Path, end: int) -> tuple[int, int]:
    """The CRC-32 of the first `end` bytes of a file, and the file's size."""
    crc = 0
    with path.open("rb") as file:
        left = end
        while left > 0 and (piece := file.read(min(left, 1 << 20))):
            crc = crc32(piece, crc)
            left -= len(piece)
        return crc, os.fstat(file.fileno()).st_size
