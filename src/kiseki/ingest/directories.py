"""A run directory on this machine, as its follower sees it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from kiseki.ingest.followed import FollowedFile

SUFFIX = ".kiseki"


class Size(NamedTuple):
    """How many run files a directory has, and their bytes together."""

    bytes: int
    files: int


def size_of(path: Path) -> Size | None:
    """The size of a directory's run files; None where it cannot be read."""
    try:
        with os.scandir(path) as entries:
            sizes = [entry.stat().st_size for entry in entries if entry.name.endswith(SUFFIX)]
    except OSError:
        return None
    return Size(sum(sizes), len(sizes))


class RunDirectory:
    """The files of one directory. `complete`: all writers have ended and are read; `dirty`: something may be
    new.
    """

    def __init__(self, path: Path, *, complete: bool = False) -> None:
        self.path = path
        self.files: dict[str, FollowedFile] = {}
        self.complete = complete
        self.dirty = not complete
        self._listed_ns = os.stat(path).st_mtime_ns if complete else 0

    def look(self, *, surely: bool = False) -> bool:
        """Take up new files; True where the listing may have changed since the last look. Raises OSError.

        `surely` where a change was noticed: the directory's time is too coarse to tell two changes apart.
        """
        changed_ns = os.stat(self.path).st_mtime_ns
        if changed_ns == self._listed_ns and not surely:
            return False
        self._listed_ns = changed_ns
        for name in sorted(os.listdir(self.path)):
            if name.endswith(SUFFIX) and name not in self.files:
                self.files[name] = FollowedFile(self.path / name)
        for file in self.files.values():
            file.check_identity()
        return True

    def uids(self) -> set[str]:
        """The runs that its files belong to: one, unless something was copied into it."""
        return {file.header.run_uid for file in self.files.values() if file.header is not None}

    def close(self) -> None:
        """Give every descriptor back."""
        for file in self.files.values():
            file.close()
