"""Noticing changed files: inotify where there is one, else (and beyond its limits) polling."""

from __future__ import annotations

import os
import select
import struct
import sys
import time
from pathlib import Path
from typing import Any

POLL_INTERVAL_S = 0.2

_IN_MODIFY = 0x0002
_IN_MOVED_FROM = 0x0040
_IN_MOVED_TO = 0x0080
_IN_CREATE = 0x0100
_IN_DELETE = 0x0200
_IN_DELETE_SELF = 0x0400
_IN_MOVE_SELF = 0x0800
_IN_Q_OVERFLOW = 0x4000
_IN_IGNORED = 0x8000
_IN_ONLYDIR = 0x0100_0000
_IN_NONBLOCK = os.O_NONBLOCK if hasattr(os, "O_NONBLOCK") else 0
_MASK = (
    _IN_MODIFY | _IN_MOVED_FROM | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE | _IN_DELETE_SELF | _IN_MOVE_SELF
) | _IN_ONLYDIR
_EVENT = struct.Struct("iIII")


class DirectoryWatch:
    """Watches folders (not their subfolders) and tells which paths in them changed."""

    def __init__(self, *, polling: bool = False) -> None:
        self._libc: Any = None
        self._descriptor: int | None = None
        self._by_number: dict[int, Path] = {}
        self._polled: dict[Path, dict[str, tuple[int, int]]] = {}
        if not polling and sys.platform == "linux":
            self._open_inotify()

    def add(self, path: Path) -> None:
        """Watch the folder `path`; nothing happens where it is watched already.

        Raises FileNotFoundError or NotADirectoryError where it is no folder.
        """
        if path in self._polled or path in self._by_number.values():
            return
        if self._descriptor is not None:
            number = self._libc.inotify_add_watch(self._descriptor, os.fsencode(path), _MASK)
            if number >= 0:
                self._by_number[number] = path
                return
        os.listdir(path)
        self._polled[path] = _snapshot(path)

    def remove(self, path: Path) -> None:
        """Watch `path` no longer; nothing happens where it is not watched."""
        self._polled.pop(path, None)
        for number, watched in list(self._by_number.items()):
            if watched == path:
                del self._by_number[number]
                self._libc.inotify_rm_watch(self._descriptor, number)

    def fileno(self) -> int | None:
        """A descriptor that is readable once something changed; None where only `wait` can tell."""
        return self._descriptor

    def wait(self, timeout: float) -> set[Path]:
        """Paths that changed since the last call, waiting at most `timeout` seconds for the first.

        A watched folder itself is returned where it went away or where events were lost: look at
        all of it then.
        """
        deadline = time.monotonic() + timeout
        while True:
            changed = self._read_events() | self._poll_snapshots()
            left = deadline - time.monotonic()
            if changed or left <= 0:
                return changed
            pause = min(left, POLL_INTERVAL_S) if self._polled or self._descriptor is None else left
            if self._descriptor is None:
                time.sleep(pause)
            else:
                poll = select.poll()
                poll.register(self._descriptor, select.POLLIN)
                poll.poll(pause * 1000)

    def close(self) -> None:
        """Give the descriptor back and watch nothing any more."""
        descriptor, self._descriptor = self._descriptor, None
        self._by_number.clear()
        self._polled.clear()
        if descriptor is not None:
            os.close(descriptor)

    def _open_inotify(self) -> None:
        import ctypes

        try:
            self._libc = ctypes.CDLL(None, use_errno=True)
            descriptor = self._libc.inotify_init1(_IN_NONBLOCK | os.O_CLOEXEC)
        except (OSError, AttributeError):
            return
        self._descriptor = descriptor if descriptor >= 0 else None

    def _read_events(self) -> set[Path]:
        changed: set[Path] = set()
        while self._descriptor is not None:
            try:
                data = os.read(self._descriptor, 65536)
            except BlockingIOError:
                break
            position = 0
            while position < len(data):
                number, mask, _, length = _EVENT.unpack_from(data, position)
                position += _EVENT.size
                name = data[position : position + length].rstrip(b"\0")
                position += length
                if mask & _IN_Q_OVERFLOW:
                    changed.update(self._by_number.values())
                    continue
                folder = self._by_number.get(number)
                if folder is None:
                    continue
                changed.add(folder / os.fsdecode(name) if name else folder)
                if mask & _IN_IGNORED:
                    del self._by_number[number]
        return changed

    def _poll_snapshots(self) -> set[Path]:
        changed: set[Path] = set()
        for folder, before in list(self._polled.items()):
            if not folder.is_dir():
                del self._polled[folder]
                changed.add(folder)
                continue
            now = _snapshot(folder)
            names = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
            changed.update(folder / name for name in names)
            self._polled[folder] = now
        return changed


def _snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    # os.stat, for scandir's own answer on Windows lags behind the writer.
                    status = os.stat(entry.path, follow_symlinks=False)
                except OSError:
                    continue
                found[entry.name] = (status.st_mtime_ns, status.st_size)
    except OSError:
        return {}
    return found
