"""Which files of a run have changed and rest: a walk over `files/` by stat, cheap however many there are."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

REST_S: Final = 2.0
"""A file is taken when it was not changed for this long; at once when the run has ended."""

MOVING_S: Final = 60.0
"""A file that never rests is taken this long after its first change; larger ones less often, see below."""

MOVING_BYTES_A_SECOND: Final = 2 * 1024 * 1024
"""A file that never rests is taken no more often than it could be copied at this pace: 120 MB a minute."""

SHARE: Final = 0.005
"""The share of one processor that walks may take."""

MAX_FILES: Final = 100_000
"""What lies beyond this many files of one run is left out, with one line in the log."""

_LOOK_S: Final = 1.0

Identity: TypeAlias = tuple[int, int, int, int]
"""Size, time of modification and of change (ns) and inode: a file whose content changed has another."""


class Ready(NamedTuple):
    """A file to be hashed."""

    path: str
    """Below `files/`, with `/` between its parts; what is no UTF-8 in it as lone surrogates."""
    identity: Identity
    moving: bool
    """It never rests: what is read of it must be a copy."""


class Changes(NamedTuple):
    """What one look found."""

    ready: list[Ready]
    removed: list[str]


class _Hidden(NamedTuple):
    paths: set[str]
    below: list[str]
    """Beginnings of paths."""


class _Entry:
    __slots__ = ("seen", "since", "taken", "unrested")

    def __init__(self, seen: Identity, now: float) -> None:
        self.seen = seen
        self.since = now
        self.taken: Identity | None = None
        self.unrested = now
        """When the first change that is not taken yet was seen."""


class FileScan:
    """The files of one run: what is there, since when each is unchanged, and which version was taken.

    Files are regular files and links to such; links to folders are not followed, and sockets, pipes and
    devices are passed over. A broken link keeps what was taken of it: whoever deletes an original does not
    mean the copy.
    """

    def __init__(
        self,
        root: Path,
        *,
        ignore_globs: Sequence[str] = (),
        held: Callable[[str], bool] = lambda path: False,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """`held(path)`: whether a file is to be taken only at the end; `say` takes a line for the log."""
        self._root = os.fspath(root)
        self._ignored = _matcher(ignore_globs)
        self._held = held
        self._say = say
        self._entries: dict[str, _Entry] = {}
        self._restless: set[str] = set()
        self._passed_over: set[str] = set()
        self._next_walk = 0.0

    def due(self) -> float:
        """Return the monotonic time of the next walk."""
        return self._next_walk

    def look(self, now: float, *, ended: bool = False) -> Changes:
        """Walk if that is due, with `ended` in any case; return what is to be taken, and what went away.

        A version is returned once: `again` has it returned anew. Raises OSError where `files/` is gone.
        """
        removed: list[str] = []
        if ended or now >= self._next_walk:
            began = time.perf_counter()
            removed = self._walk(now)
            self._next_walk = now + max(_LOOK_S, (time.perf_counter() - began) / SHARE)
        return Changes(self._rested(now, ended), removed)

    def again(self, path: str, now: float) -> None:
        """Take a file anew, once it rests: its version changed while it was read."""
        entry = self._entries.get(path)
        if entry is not None and entry.taken is not None:
            entry.taken = None
            entry.since = now
            entry.unrested = min(entry.unrested, now)
            self._restless.add(path)
        self._next_walk = min(self._next_walk, now + _LOOK_S)

    def settle(self, path: str, size: int, mtime_ns: int) -> bool:
        """Note that a version of `path` was taken by somebody before; True where it still lies there."""
        entry = self._entries.get(path)
        if entry is None or entry.seen[:2] != (size, mtime_ns):
            return False
        entry.taken = entry.seen
        self._restless.discard(path)
        return True

    def __contains__(self, path: str) -> bool:
        return path in self._entries or path in self._passed_over

    def _walk(self, now: float) -> list[str]:
        gone = set(self._entries)
        hidden = _Hidden(set(), [])
        for path, found in self._files(hidden):
            gone.discard(path)
            entry = self._entries.get(path)
            if entry is None:
                self._entries[path] = _Entry(found, now)
                self._restless.add(path)
            elif entry.seen != found:
                entry.seen, entry.since = found, now
                if path not in self._restless:
                    entry.unrested = now
                    self._restless.add(path)
        removed = sorted(path for path in gone - hidden.paths if not path.startswith(tuple(hidden.below)))
        for path in removed:
            del self._entries[path]
            self._restless.discard(path)
        return removed

    def _files(self, hidden: _Hidden) -> list[tuple[str, Identity]]:
        """Every file with its identity; `hidden` gets what cannot be seen now, and so need not be gone."""
        found: list[tuple[str, Identity]] = []
        folders = [("", self._root)]
        while folders:
            prefix, folder = folders.pop()
            try:
                entries = os.scandir(folder)
            except OSError as error:
                if not prefix and not isinstance(error, FileNotFoundError):
                    raise
                if prefix and not isinstance(error, FileNotFoundError):
                    hidden.below.append(prefix)
                    self._pass_over(prefix, f"cannot be listed: {error.strerror}")
                continue
            with entries:
                for entry in entries:
                    path = prefix + entry.name
                    if self._ignored is not None and self._ignored(path):
                        continue
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            folders.append((f"{path}/", entry.path))
                            continue
                        status = entry.stat()
                    except OSError as error:  # removed meanwhile, a broken link, or one that leads to itself
                        hidden.paths.add(path)
                        if entry.is_symlink():
                            self._pass_over(path, f"is a link that leads nowhere ({error.strerror})")
                        continue
                    if not stat.S_ISREG(status.st_mode):
                        self._pass_over(path, "is a link to no file" if entry.is_symlink() else "is no file")
                        continue
                    if len(found) >= MAX_FILES:
                        hidden.below.append("")
                        self._pass_over("", f"more than {MAX_FILES:,} files: the others are left out")
                        return found
                    times = (status.st_mtime_ns, status.st_ctime_ns)
                    found.append((path, (status.st_size, *times, status.st_ino)))
        return found

    def _rested(self, now: float, ended: bool) -> list[Ready]:
        ready = []
        for path in list(self._restless):
            entry = self._entries[path]
            if entry.seen == entry.taken:
                self._restless.discard(path)
                continue
            if not ended and self._held(path):
                continue
            rests = ended or now - entry.since >= REST_S
            if rests or now - entry.unrested >= max(MOVING_S, entry.seen[0] / MOVING_BYTES_A_SECOND):
                ready.append(Ready(path, entry.seen, moving=not rests))
                entry.taken = entry.seen
                entry.unrested = now
                self._restless.discard(path)
        return ready

    def _pass_over(self, path: str, why: str) -> None:
        if path not in self._passed_over and len(self._passed_over) < 1000:
            self._passed_over.add(path)
            self._say(f"{self._root}/{path} {why}" if path else f"{self._root}: {why}")


def _matcher(globs: Sequence[str]) -> Callable[[str], object] | None:
    """A test whether a path fits one of the patterns, as `fnmatch` reads them: `*` also takes a `/`."""
    if not globs:
        return None
    return re.compile("|".join(f"(?:{fnmatch.translate(glob)})" for glob in globs)).match
