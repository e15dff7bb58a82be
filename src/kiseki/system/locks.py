"""Locks between processes: held by an open file, gone with the process that held it."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import weakref
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int, *, shared: bool, blocking: bool) -> bool:
        # A byte far past the end: Windows locks are mandatory and must not hide the text.
        while True:
            os.lseek(descriptor, 1 << 30, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
                return True
            except OSError:
                if not blocking:
                    return False
                time.sleep(0.05)
else:
    import fcntl

    def _take(descriptor: int, *, shared: bool, blocking: bool) -> bool:
        operation = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(descriptor, operation | (0 if blocking else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True


# A probe holds the lock for some microseconds; a taker that meets one tries again.
_PROBE_RETRIES = 3
_PROBE_PAUSE_S = 0.001


class FileLock:
    """An exclusive lock on the file at `path`, which is created (mode 0600) where it is missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock now."""
        return self._descriptor is not None

    def acquire(self, blocking: bool = False) -> bool:
        """Take the lock; False where another holds it (never with `blocking`).

        Raises OSError where the file cannot be made or its file system has no locks.
        """
        if self._descriptor is not None:
            return True
        attempts = 0
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                taken = _take(descriptor, shared=False, blocking=blocking)
                current = taken and _is_at(self.path, descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            if current:
                self._descriptor = descriptor
                _held.add(self)
                return True
            os.close(descriptor)
            if not taken:
                attempts += 1
                if attempts == _PROBE_RETRIES:
                    return False
                time.sleep(_PROBE_PAUSE_S)

    def write(self, text: str) -> None:
        """Replace the file's text; only the holder may. Raises RuntimeError where it is not held."""
        if self._descriptor is None:
            raise RuntimeError(f"{self.path} is not locked: acquire it before writing to it")
        data = text.encode()
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.truncate(self._descriptor, 0)
        while data:
            data = data[os.write(self._descriptor, data) :]

    def release(self) -> None:
        """Give the lock back; nothing happens where it is not held."""
        descriptor, self._descriptor = self._descriptor, None
        _held.discard(self)
        if descriptor is not None:
            os.close(descriptor)

    def _forget_in_child(self) -> None:
        # A fork copies the descriptor, and with it a share in the parent's lock.
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock on `path` now; never creates the file, never keeps it."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _take(descriptor, shared=True, blocking=False)
    finally:
        os.close(descriptor)


_held: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        there, ours = os.stat(path), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def _forget_held_in_child() -> None:
    for lock in list(_held):
        lock._forget_in_child()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_held_in_child)
