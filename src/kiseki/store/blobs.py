"""The contents of files, each once, by the SHA-256 of its bytes; specified in docs/formats/files.md.

A content is whole and checked, or it is not there: it grows as a part file, and gets its name when its
digest is the announced one and its bytes are on the disk.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Protocol

from kiseki.store.disk import free_bytes
from kiseki.store.errors import StoreFull

if TYPE_CHECKING:
    from hashlib import _Hash

READ_BYTES: Final = 256 * 1024
"""How much of a content is in memory at a time while it is read."""

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_LOCKS: Final = 64
_HASHES: Final = 256
"""Uploads whose running hash is remembered; another one's part file is read again."""

_ABANDONED_S: Final = 7 * 24 * 3600.0
"""Age at which an upload that nobody goes on with is forgotten when the store is opened."""

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)


class NotAtOffset(Exception):
    """Bytes came for another position than the one where the upload stands."""

    def __init__(self, have: int) -> None:
        super().__init__(f"the upload stands at byte {have}")
        self.have = have


class WrongDigest(Exception):
    """The bytes are not the content that was announced; all of them were thrown away."""


class Blobs(Protocol):
    """Where contents lie. A digest is 64 lower-case hexadecimal digits; ValueError for anything else."""

    def size(self, digest: str) -> int | None:
        """Bytes of a content that is there whole, else None."""

    def have(self, digest: str) -> int:
        """Bytes of a content that is being uploaded, from its start; 0 where nothing is."""

    def append(self, digest: str, offset: int, data: bytes, total: int) -> int:
        """Add bytes at `offset` to an upload that ends at `total`; return how many it has now.

        With the last byte the content is there. Raises NotAtOffset, WrongDigest, or StoreFull, after which
        the upload stands where it stood before.
        """

    def read(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Open a content and yield its bytes from `start` to `end`; raises FileNotFoundError at once."""


class DirectoryBlobs:
    """Contents as files of one folder, owned by one process: `ab/abcd…`, and `uploads/abcd….part`."""

    def __init__(self, root: Path, *, reserve_bytes: int = 0) -> None:
        """`reserve_bytes`: room that is left on the disk. The folder is made with the first upload.

        Uploads that were left a week ago are forgotten.
        """
        self._root = root
        self._uploads = root / "uploads"
        self._reserve_bytes = reserve_bytes
        self._locks = tuple(threading.Lock() for _ in range(_LOCKS))
        self._hashes: OrderedDict[str, tuple[_Hash, int]] = OrderedDict()
        self._hashes_lock = threading.Lock()
        self._forget_abandoned()

    def size(self, digest: str) -> int | None:
        """Bytes of a content that is there whole, else None."""
        try:
            return os.stat(self._whole(digest)).st_size
        except FileNotFoundError:
            return None

    def have(self, digest: str) -> int:
        """Bytes of a content that is being uploaded, from its start; 0 where nothing is."""
        try:
            return os.stat(self._part(digest)).st_size
        except FileNotFoundError:
            return 0

    def append(self, digest: str, offset: int, data: bytes, total: int) -> int:
        """Add bytes at `offset` to an upload that ends at `total`; see `Blobs.append`."""
        whole, part = self._whole(digest), self._part(digest)
        with self._locks[int(digest[:2], 16) % _LOCKS]:
            if whole.exists():
                return self.size(digest) or 0
            have = self.have(digest)
            if have > total:
                self._drop(digest)
                have = 0
            if offset != have:
                raise NotAtOffset(have)
            if have + len(data) > total:
                self._drop(digest)
                raise WrongDigest(f"{have + len(data)} bytes came for a content of {total}")
            self._check_room(total - have)
            self._uploads.mkdir(parents=True, exist_ok=True)
            with open(part, "ab", buffering=0) as file:
                found = self._hash(digest, part, have)
                self._write(file, data, have)
                found.update(data)
                self._remember(digest, found, have + len(data))
                if have + len(data) < total:
                    return have + len(data)
                if found.hexdigest() != digest:
                    self._drop(digest)
                    raise WrongDigest(f"the {total} bytes have the SHA-256 {found.hexdigest()}, not {digest}")
                self._sync(file)
            self._publish(digest, part, whole)
            return total

    def read(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Open a content and yield its bytes from `start` to `end`; raises FileNotFoundError at once."""
        return read_range(open(self._whole(digest), "rb", buffering=0), start, end)

    def _whole(self, digest: str) -> Path:
        return self._root / _checked(digest)[:2] / digest

    def _part(self, digest: str) -> Path:
        return self._uploads / f"{_checked(digest)}.part"

    def _hash(self, digest: str, part: Path, have: int) -> _Hash:
        """The hash of the first `have` bytes; read again from the part file after a restart."""
        with self._hashes_lock:
            known = self._hashes.pop(digest, None)
        if known is not None and known[1] == have:
            return known[0]
        found = hashlib.sha256()
        with open(part, "rb", buffering=0) as file:
            while piece := file.read(1 << 20):
                found.update(piece)
        return found

    def _remember(self, digest: str, found: _Hash, have: int) -> None:
        with self._hashes_lock:
            self._hashes[digest] = (found, have)
            while len(self._hashes) > _HASHES:
                self._hashes.popitem(last=False)

    def _write(self, file: IO[bytes], data: bytes, have: int) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[file.write(view) :]
        except OSError as error:
            file.truncate(have)
            raise self._failure(error) from error

    def _sync(self, file: IO[bytes]) -> None:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> Exception:
        if error.errno not in _NO_ROOM:
            return error
        return StoreFull(f"the disk of {self._root} is full: make room; the upload goes on where it stood")

    def _publish(self, digest: str, part: Path, whole: Path) -> None:
        with self._hashes_lock:
            self._hashes.pop(digest, None)
        new = not whole.parent.exists()
        whole.parent.mkdir(exist_ok=True)
        os.replace(part, whole)
        _sync_folder(whole.parent)
        if new:
            _sync_folder(self._root)

    def _drop(self, digest: str) -> None:
        with self._hashes_lock:
            self._hashes.pop(digest, None)
        self._part(digest).unlink(missing_ok=True)

    def _forget_abandoned(self) -> None:
        try:
            parts = list(os.scandir(self._uploads))
        except FileNotFoundError:
            return
        for part in parts:
            if time.time() - part.stat().st_mtime > _ABANDONED_S:
                os.unlink(part.path)

    def _check_room(self, more_bytes: int) -> None:
        folder = self._root if self._root.exists() else self._root.parent
        free = free_bytes(folder)
        if free - more_bytes < self._reserve_bytes:
            raise StoreFull(
                f"the disk of {folder} has no room for {more_bytes / 2**20:.0f} MB more ({free // 2**20} MB"
                f" left, {self._reserve_bytes // 2**20} MB are kept free): make room; the upload goes on then"
            )


def read_range(file: IO[bytes], start: int, end: int | None) -> Iterator[bytes]:
    """Yield an unbuffered file's bytes from `start` to `end` (None: all that is there), and close it."""

    def pieces() -> Iterator[bytes]:
        with file:
            file.seek(start)
            left = READ_BYTES if end is None else end - start
            while left > 0 and (piece := file.read(min(left, READ_BYTES))):
                yield piece
                if end is not None:
                    left -= len(piece)

    return pieces()


def _checked(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest[:80]!r} is no SHA-256: it takes 64 lower-case hexadecimal digits")
    return digest


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Folders cannot be opened there.
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
