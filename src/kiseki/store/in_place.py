"""Files of a run directory on this machine, read where they lie as long as they are what was recorded.

Which of them are served, and why no other file can be, stands in docs/formats/files.md.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import IO, Final, NamedTuple

from kiseki.records.layout import FILES, path_on_disk
from kiseki.store.blobs import READ_BYTES

CHECKED_BYTES: Final = 64 * 1024 * 1024
"""A file reached through a link is hashed before it is served, up to this size."""

GROWN_BYTES: Final = 8 * 1024 * 1024
"""Up to this size, what was recorded of a file that has grown since is read from its beginning."""

_KNOWN: Final = 4096
_DIRECTORY: Final = getattr(os, "O_DIRECTORY", 0)
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_LEAF: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


class Recorded(NamedTuple):
    """What a file record says, and the run directory that it is about."""

    directory: str
    path: str
    digest: str
    size: int
    mtime_ns: int


class Opened(NamedTuple):
    """A file that is what was recorded, open; `whole` holds its bytes where they were read to be checked."""

    file: IO[bytes]
    size: int
    whole: bytes | None

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to `end`, and close the file.

        Raises OSError in the middle where the file changes meanwhile: never a mixture of two contents.
        """
        if self.whole is None:
            return _unchanged(self.file, start, end)
        self.file.close()
        return iter([self.whole[start:end]])

    def close(self) -> None:
        """Give the descriptor back without reading."""
        self.file.close()


def open_recorded(recorded: Recorded) -> Opened | None:
    """Open a file in place, or return None where it is gone, or no longer what was recorded."""
    for path in _spellings(recorded.path):
        try:
            file, linked = _open_below(recorded.directory, path)
        except (OSError, ValueError):
            continue
        opened = _checked(file, linked, recorded)
        if opened is None:
            file.close()
        return opened
    return None


def is_there(recorded: Recorded) -> bool:
    """Whether `open_recorded` would give the file, by a look at its size and time alone where these fit."""
    for path in _spellings(recorded.path):
        try:
            found = os.stat(os.path.join(recorded.directory, FILES, path))
        except (OSError, ValueError):
            continue
        if (found.st_size, found.st_mtime_ns) == (recorded.size, recorded.mtime_ns):
            return stat.S_ISREG(found.st_mode)
        break
    opened = open_recorded(recorded)
    if opened is None:
        return False
    opened.close()
    return True


def _checked(file: IO[bytes], linked: bool, recorded: Recorded) -> Opened | None:
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode):
        return None
    if (found.st_size, found.st_mtime_ns) == (recorded.size, recorded.mtime_ns):
        if linked and found.st_size <= CHECKED_BYTES and _digest_of(file, found) != recorded.digest:
            return None
        return Opened(file, recorded.size, None)
    if found.st_size < recorded.size or recorded.size > GROWN_BYTES:
        return None
    # It changed since: where it only grew, as logs do, its beginning still is what was recorded.
    file.seek(0)
    start = _read_exactly(file, recorded.size)
    if hashlib.sha256(start).hexdigest() != recorded.digest:
        return None
    return Opened(file, recorded.size, start)


def _open_below(directory: str, path: str) -> tuple[IO[bytes], bool]:
    """Open `files/<path>` of a run directory; True where its last part is a link, as `run.save` makes them.

    No other part is followed where it is a link. Raises OSError.
    """
    *folders, name = path.split("/")
    if os.open not in os.supports_dir_fd:  # Windows: the same rule, looked up part by part.
        place = os.path.join(directory, FILES)
        for folder in folders:
            place = os.path.join(place, folder)
            if os.path.islink(place):
                raise NotADirectoryError(f"{place} is a link")
        place = os.path.join(place, name)
        return open(place, "rb", buffering=0), os.path.islink(place)
    at = os.open(os.path.join(directory, FILES), os.O_RDONLY | _DIRECTORY)
    try:
        for folder in folders:
            inner = os.open(folder, os.O_RDONLY | _DIRECTORY | _NO_FOLLOW, dir_fd=at)
            os.close(at)
            at = inner
        linked = stat.S_ISLNK(os.lstat(name, dir_fd=at).st_mode)
        leaf = os.open(name, _LEAF if linked else _LEAF | _NO_FOLLOW, dir_fd=at)
    finally:
        os.close(at)
    return os.fdopen(leaf, "rb", buffering=0), linked


def _unchanged(file: IO[bytes], start: int, end: int) -> Iterator[bytes]:
    with file:
        before = os.fstat(file.fileno())
        file.seek(start)
        while start < end:
            piece = file.read(min(end - start, READ_BYTES))
            now = os.fstat(file.fileno())
            if not piece or (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                raise OSError("the file changed while it was sent")
            yield piece
            start += len(piece)


_digests: OrderedDict[tuple[int, ...], str] = OrderedDict()
_digests_lock = threading.Lock()


def _digest_of(file: IO[bytes], found: os.stat_result) -> str:
    """The SHA-256 of a file; remembered as long as inode, size and times stay."""
    key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    with _digests_lock:
        known = _digests.get(key)
    if known is not None:
        return known
    digest = hashlib.sha256()
    file.seek(0)
    while piece := file.read(1 << 20):
        digest.update(piece)
    with _digests_lock:
        _digests[key] = digest.hexdigest()
        while len(_digests) > _KNOWN:
            _digests.popitem(last=False)
    return digest.hexdigest()


def _read_exactly(file: IO[bytes], size: int) -> bytes:
    pieces = []
    while size and (piece := file.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _spellings(path: str) -> list[str]:
    """The names that a recorded path may have on the disk: a record spells bytes that are no UTF-8."""
    meant = path_on_disk(path)
    return [path] if meant == path else [path, meant]
