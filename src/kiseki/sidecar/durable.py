"""Power safety: every second the files that grew are flushed to the disk, new files and folders once."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

INTERVAL_S: Final = 1.0


class Durability:
    """A thread of its own, for a slow disk must delay neither upload nor the notice of a death."""

    def __init__(self, on_error: Callable[[str], None]) -> None:
        """`on_error` is called from the thread with one line for each file that cannot be flushed."""
        self._on_error = on_error
        self._grown: dict[Path, int] = {}
        self._flushed: dict[Path, int] = {}
        self._folders: set[Path] = set()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kiseki-durable", daemon=True)
        self._thread.start()

    def grew(self, path: Path, size: int) -> None:
        """Have `path`, of `size` bytes now, flushed within about a second."""
        if self._flushed.get(path, -1) < size:
            self._grown[path] = size
            self._wake.set()

    def covers(self, path: Path, size: int) -> bool:
        """Whether the first `size` bytes of `path` were flushed (or cannot be)."""
        return self._flushed.get(path, -1) >= size

    def forget(self, path: Path) -> None:
        """Drop what is remembered of a file that needs no further flush."""
        self._grown.pop(path, None)
        self._flushed.pop(path, None)

    def close(self) -> None:
        """Flush what is due, then end the thread."""
        self._stop.set()
        self._wake.set()
        self._thread.join()
        self._flush_grown()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            if self._stop.wait(INTERVAL_S):
                return
            self._wake.clear()
            self._flush_grown()

    def _flush_grown(self) -> None:
        while True:
            try:
                path, size = self._grown.popitem()
            except KeyError:  # Empty; asked beforehand, `forget` may come between.
                return
            try:
                new = path not in self._flushed
                _flush(path, whole=new)
                if new:
                    self._flush_folders(path.parent)
            except OSError as error:
                if not isinstance(error, FileNotFoundError):
                    self._on_error(f"cannot flush {path}: {error.strerror}")
            self._flushed[path] = size

    def _flush_folders(self, folder: Path) -> None:
        _flush(folder, whole=True)  # The new file's name is in here.
        if folder not in self._folders:
            self._folders.add(folder)
            for above in (folder.parent, folder.parent.parent):
                _flush(above, whole=True)


def _flush(path: Path, *, whole: bool) -> None:
    """Flush a file's data, with `whole` its metadata too; a folder's entries."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if whole or sys.platform == "darwin":
            os.fsync(descriptor)
        else:
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
