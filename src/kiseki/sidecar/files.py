"""Which files of a run have changed and rest: a walk over `files/` by stat, cheap however many there are.

Where there are so many that a walk each second would cost too much, folders are asked each second whether
names came, and only what is new or does not rest yet is looked at; the walks come less often.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

REST_S: Final = 2.0
"""A file is taken when it was not changed for this long; at once when the run has ended."""

MOVING_S: Final = 60.0
"""A file that never rests is taken this long after its first change; larger ones less often, see below."""

MOVING_BYTES_A_SECOND: Final = 2 * 1024 * 1024
"""A file that never rests is taken no more often than it could be copied at this pace: 120 MB a minute."""

SHARE: Final = 0.004
"""The share of one processor that walks of all runs together may take."""

GLANCES: Final = 2.5
"""Glances between them may take this many times as much: they cost where files are new or do not rest."""

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
    """It never rests: what is read of it must be a copy, or its beginning."""


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
        self._folders: dict[str, int] = {}
        self._next_walk = 0.0
        self._next_glance = 0.0

    def due(self) -> float:
        """Return the monotonic time of the next look."""
        return min(self._next_walk, self._next_glance)

    def look(self, now: float, *, ended: bool = False, share: float = SHARE) -> Changes:
        """Look at what is due, at all with `ended`; return what is to be taken, and what went away.

        A version is returned once: `again` has it returned anew. `share` is what a walk may take of one
        processor. Raises OSError where `files/` cannot be listed.
        """
        removed: list[str] = []
        began = time.thread_time()
        if ended or now >= self._next_walk:
            removed = self._walk(now)
            pause = max(_LOOK_S, (time.thread_time() - began) / share)
            self._next_walk = now + pause
            self._next_glance = now + _LOOK_S
        elif now >= self._next_glance:
            self._glance(now)
            self._next_glance = now + max(_LOOK_S, (time.thread_time() - began) / (share * GLANCES))
        else:
            return Changes([], [])
        return Changes(self._rested(now, ended), removed)

    @property
    def restless(self) -> bool:
        """Whether there are files that will be returned once they rest."""
        return bool(self._restless)

    def again(self, path: str, now: float) -> None:
        """Take a file anew, once it rests: its version changed while it was read."""
        entry = self._entries.get(path)
        if entry is not None and entry.taken is not None:
            entry.taken = None
            entry.since = now
            entry.unrested = min(entry.unrested, now)
            self._restless.add(path)

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
        """Look at every file; returns those that are gone."""
        gone = set(self._entries)
        hidden = _Hidden(set(), [])
        self._folders.clear()
        folders = [""]
        count = 0
        while folders:
            prefix = folders.pop()
            for path, found in self._list(prefix, folders, hidden):
                count += 1
                if count > MAX_FILES and path not in gone:
                    self._pass_over("", f"more than {MAX_FILES:,} files: the others are left out")
                    continue
                gone.discard(path)
                self._see(path, found, now)
        removed = sorted(path for path in gone - hidden.paths if not path.startswith(tuple(hidden.below)))
        for path in removed:
            del self._entries[path]
            self._restless.discard(path)
        return removed

    def _glance(self, now: float) -> None:
        """Look at what may be new and at what does not rest yet, where there are too many for a walk."""
        hidden = _Hidden(set(), [])
        changed = []
        for prefix, before in self._folders.items():
            with contextlib.suppress(OSError):  # The next walk will tell.
                if os.stat(self._root + "/" + prefix).st_mtime_ns != before:
                    changed.append(prefix)
        while changed:
            for path, found in self._list(changed.pop(), changed, hidden, new_only=True):
                if len(self._entries) < MAX_FILES:
                    self._see(path, found, now)
        for path in list(self._restless):
            with contextlib.suppress(OSError):
                status = os.stat(f"{self._root}/{path}")
                if stat.S_ISREG(status.st_mode):
                    self._see(path, _identity(status), now)

    def _see(self, path: str, found: Identity, now: float) -> None:
        entry = self._entries.get(path)
        if entry is None:
            self._entries[path] = _Entry(found, now)
            self._restless.add(path)
        elif entry.seen != found:
            entry.seen, entry.since = found, now
            if path not in self._restless:
                entry.unrested = now
                self._restless.add(path)

    def _list(
        self, prefix: str, folders: list[str], hidden: _Hidden, *, new_only: bool = False
    ) -> Iterator[tuple[str, Identity]]:
        """Yield the files of one folder, with `new_only` those not seen yet; `folders` gets its folders.

        `hidden` gets what cannot be seen now, and so need not be gone.
        """
        folder = f"{self._root}/{prefix}"
        try:
            self._folders[prefix] = os.stat(folder).st_mtime_ns
            entries = os.scandir(folder)
        except FileNotFoundError:
            return
        except OSError as error:
            if not prefix:
                raise
            hidden.below.append(prefix)
            self._pass_over(prefix, f"cannot be listed: {error.strerror}")
            return
        with entries:
            for entry in entries:
                path = prefix + entry.name
                if (new_only and path in self) or (self._ignored is not None and self._ignored(path)):
                    continue
                try:
                    if entry.is_dir(follow_symlinks=False):
                        if not new_only or f"{path}/" not in self._folders:
                            folders.append(f"{path}/")
                        continue
                    status = entry.stat()
                except OSError as error:  # removed meanwhile, a broken link, or one that leads to itself
                    hidden.paths.add(path)
                    if entry.is_symlink():
                        self._pass_over(path, f"is a link that leads nowhere ({error.strerror})")
                    continue
                if stat.S_ISREG(status.st_mode):
                    yield path, _identity(status)
                else:
                    self._pass_over(path, "is a link to no file" if entry.is_symlink() else "is no file")

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


def _identity(status: os.stat_result) -> Identity:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _matcher(globs: Sequence[str]) -> Callable[[str], object] | None:
    """A test whether a path fits one of the patterns, as `fnmatch` reads them: `*` also takes a `/`."""
    if not globs:
        return None
    return re.compile("|".join(f"(?:{fnmatch.translate(glob)})" for glob in globs)).match
