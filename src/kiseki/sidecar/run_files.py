"""One run's files on their way: which version of each is recorded, and whose content the server lacks."""

from __future__ import annotations

import contextlib
import heapq
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from kiseki.records.layout import AT_END, FILES, IGNORED
from kiseki.records.recorded_files import Version, read_recorded
from kiseki.sidecar.file_work import FileWork
from kiseki.sidecar.files import SHARE, FileScan, Ready

_COPIES: Final = ".copies"
_AT_ONCE: Final = 64
_TRIES: Final = 3
_AWAY_S: Final = 10.0


class _Hash:
    __slots__ = ("copy", "moving", "size")

    def __init__(self, size: int, moving: bool) -> None:
        self.size = size
        self.moving = moving
        self.copy: str | None = None


class _Send:
    __slots__ = ("copy", "have", "ordered", "path", "size")

    def __init__(self, path: str, size: int, copy: str | None) -> None:
        self.path = path
        self.size = size
        self.copy = copy
        self.have = 0
        self.ordered = False


class RunFiles:
    """Scans, hashes, records and sends the files of one run directory."""

    def __init__(
        self,
        folder: Path,
        work: FileWork,
        record: Callable[[str, Version], bool],
        *,
        ignore_globs: Sequence[str] = (),
        removals: bool = True,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """`record` writes a File record, False where it cannot; `removals`: whether it is told of those too.

        `say` takes a line for the log.
        """
        self._removals = removals
        self._folder = folder
        self._work = work
        self._record = record
        self._say = say
        self._copies = folder / _COPIES
        self._scan = FileScan(folder / FILES, ignore_globs=ignore_globs, held=self._is_held, say=say)
        self._recorded: dict[str, Version] = {}
        self._begun = False
        self._to_hash: list[tuple[int, str]] = []
        self._hashes: dict[str, _Hash] = {}
        self._to_send: list[tuple[int, str]] = []
        self._sends: dict[str, _Send] = {}
        self._sent: set[str] = set()
        self._tries: dict[str, int] = {}
        self._failed: set[str] = set()
        self._ordered = 0
        self._ordered_once = False
        self._copies_made = 0
        self._to: str | None = None
        self._ended = False
        self._unsettled = False
        self._away_since: float | None = None
        self._now = 0.0
        self._share = SHARE
        self.moved_at = float("-inf")
        """Monotonic time at which anything was last recorded or taken by the server."""
        self._waiting: str | None = None
        self._failure: str | None = None

    @property
    def left(self) -> int:
        """How many files are not recorded, or not sent, yet."""
        return len(self._hashes) + len(self._sends)

    @property
    def bytes_left(self) -> int:
        """How many bytes that is."""
        hashing = sum(hash.size for hash in self._hashes.values())
        return hashing + sum(send.size - send.have for send in self._sends.values())

    @property
    def error(self) -> str | None:
        """Why files do not get on at this moment, else which could not be taken, in one line."""
        return (self._waiting if self.left else None) or self._failure

    @property
    def through(self) -> bool:
        """Whether the run has ended and nothing of its files is left to do."""
        return self._ended and not self._unsettled and self.left == 0

    def due(self) -> float:
        """Return the monotonic time of the next look."""
        return self._scan.due() if not self._ended or self._unsettled else float("inf")

    def look(
        self, now: float, *, ended: bool, to: str | None, sure: bool = True, share: float = SHARE
    ) -> None:
        """Do what is due.

        `ended`: the training has said its last word, so files are taken at once. `to`: the server that is to
        have the contents, None where there is none, or where it reads them in place; `sure`: whether that is
        known yet; `share`: what walks may take of one processor.
        """
        self._now = now
        self._share = share
        try:
            self._look(ended, to)
            self._away_since = None
        except OSError as error:  # A network file system may be away for a moment.
            self._fail(f"{self._folder}: {error.strerror or error}")
            if self._away_since is None:
                self._away_since = now
            self._unsettled = ended and now - self._away_since < _AWAY_S
        self._give_orders(sure)

    def _look(self, ended: bool, to: str | None) -> None:
        if not self._begun:
            self._recorded = read_recorded(self._folder)
            self._take_up()
            self._begun = True
        if to != self._to:
            self._to = to
            if to is None:
                self._drop_sends()
            for path, version in self._recorded.items():
                self._want_sent(path, version)
        if ended and not self._ended:
            for path in self._failed:  # Whoever changed the rights meanwhile gets it taken.
                self._scan.again(path, self._now)
            self._failed.clear()
            self._failure = None
            self._unsettled = True
        self._ended = ended
        if self._unsettled or not ended:
            self._unsettled = False
            self._take_changes()

    @property
    def expects_work(self) -> bool:
        """Whether the first files are seen, and will have to be read soon."""
        return self._scan.restless and not self._ordered_once

    def look_once_more(self) -> None:
        """Have the next look walk again, though the run has ended."""
        self._unsettled = True

    def close(self) -> None:
        """Give up what is left, and remove copies."""
        self._work.forget(self._take_hash)
        self._work.forget(self._take_send)
        with contextlib.suppress(OSError):
            for name in os.listdir(self._copies):
                os.unlink(self._copies / name)
            self._copies.rmdir()

    def _take_up(self) -> None:
        """Find out what changed while no sidecar looked."""
        changes = self._scan.look(self._now, share=self._share)
        for path, version in list(self._recorded.items()):
            if self._scan.settle(path, version.size, version.mtime_ns):
                self._want_sent(path, version)
            elif path not in self._scan:
                self._remove(path)
        self._want_hashed(changes.ready)

    def _take_changes(self) -> None:
        changes = self._scan.look(self._now, ended=self._ended, share=self._share)
        for path in changes.removed:
            if path in self._recorded:
                self._remove(path)
        self._want_hashed(changes.ready)

    def _remove(self, path: str) -> None:
        if self._removals and self._record(path, Version(None, 0, 0)):
            self._forget_content(self._recorded.pop(path))

    def _want_hashed(self, found: Sequence[Ready]) -> None:
        copied = {send.path for send in self._sends.values() if send.copy is not None} if found else set()
        for path, identity, moving in found:
            moving = moving or self._tries.get(path, 0) >= _TRIES
            if path in self._hashes or (moving and path in copied):  # One at a time.
                self._scan.again(path, self._now)
                continue
            self._hashes[path] = _Hash(identity[0], moving)
            heapq.heappush(self._to_hash, (identity[0], path))

    def _want_sent(self, path: str, version: Version, copy: str | None = None) -> None:
        digest = version.digest
        if digest is None or self._to is None or digest in self._sent or digest in self._sends:
            self._unlink(copy)
            return
        self._sends[digest] = _Send(path, version.size, copy)
        heapq.heappush(self._to_send, (version.size, digest))

    def _give_orders(self, sure: bool) -> None:
        while self._to_hash and self._ordered < _AT_ONCE:
            size, path = heapq.heappop(self._to_hash)
            order: dict[str, Any] = {"do": "hash", "name": path, "size": size, "path": self._file(path)}
            hash = self._hashes[path]
            order["moving"] = hash.moving
            if hash.moving and self._to is not None:
                self._copies_made += 1
                order["copy_to"] = hash.copy = str(self._copies / f"{os.getpid()}-{self._copies_made}")
            self._ordered += 1
            self._ordered_once = True
            self._work.order(order, self._take_hash)
        while self._to_send and self._ordered < _AT_ONCE and sure:
            size, digest = heapq.heappop(self._to_send)
            send = self._sends.get(digest)
            if send is None or send.ordered:
                continue
            send.ordered = True
            path = send.copy or self._file(send.path)
            self._ordered += 1
            order = {"do": "send", "size": size, "path": path, "digest": digest, "to": self._to}
            order["name"] = send.path
            self._work.order(order, self._take_send)

    def _take_hash(self, order: dict[str, Any], answer: dict[str, Any]) -> None:
        path, did = order["name"], answer["did"]
        if did == "have":  # A large file takes its time.
            self.moved_at = self._now
            return
        self._ordered -= 1
        hash = self._hashes.pop(path)
        if did == "hashed":
            self._tries.pop(path, None)
            self._take_version(path, Version(answer["digest"], answer["size"], answer["mtime_ns"]), hash.copy)
            return
        self._unlink(hash.copy)
        if did == "failed":
            self._failed.add(path)
            self._fail(answer["why"])
            return
        tries = self._tries[path] = self._tries.get(path, 0) + 1
        self._unsettled = self._ended
        if self._ended and tries > 2 * _TRIES:
            self._fail(f"{self._file(path)} changed each time it was read: it is left as it was")
        else:
            self._scan.again(path, self._now)

    def _take_version(self, path: str, version: Version, copy: str | None) -> None:
        self.moved_at = self._now
        before = self._recorded.get(path)
        if version != before:
            if not self._record(path, version):
                self._fail(f"{self._file(path)} cannot be put on record")
                self._failed.add(path)
                self._unlink(copy)
                self._scan.again(path, self._now)
                return
            self._recorded[path] = version
            if before is not None and before.digest != version.digest:
                self._forget_content(before)
        self._want_sent(path, version, copy)

    def _take_send(self, order: dict[str, Any], answer: dict[str, Any]) -> None:
        digest, did = order["digest"], answer["did"]
        send = self._sends.get(digest)
        if did == "waiting":
            self._waiting = answer["why"]
            return
        self.moved_at = self._now
        if did == "have":
            self._waiting = None
            if send is not None:
                send.have = answer["bytes"]
            return
        self._ordered -= 1
        self._sends.pop(digest, None)
        if send is not None:
            self._unlink(send.copy)
        if did == "sent":
            self._waiting = None
            self._sent.add(digest)
        elif did in ("failed", "refused"):
            self._failed.add(order["name"])
            self._fail(answer["why"])
        else:
            self._send_from_elsewhere(order["name"], digest)

    def _send_from_elsewhere(self, name: str, digest: str) -> None:
        """Go on after a file no longer was the content that was to be sent of it."""
        for path, version in self._recorded.items():
            if version.digest == digest and path != name:
                self._want_sent(path, version)
                return
        version = self._recorded.get(name, Version(None, 0, 0))
        if version.digest == digest and self._tries.get(name, 0) <= 2 * _TRIES:
            self._tries[name] = self._tries.get(name, 0) + 1
            self._scan.again(name, self._now)
            self._unsettled = self._ended

    def _forget_content(self, version: Version) -> None:
        """Leave what no file holds any more unsent, if its turn has not come."""
        send = self._sends.get(version.digest or "")
        if send is None or send.ordered or version.digest is None:
            return
        for path, other in self._recorded.items():
            if other.digest == version.digest:
                send.path = path
                return
        self._unlink(self._sends.pop(version.digest).copy)

    def _drop_sends(self) -> None:
        for send in self._sends.values():
            self._unlink(send.copy)
        self._sends.clear()
        self._to_send.clear()

    def _fail(self, why: str) -> None:
        if self._failure != why:
            self._say(why)
        self._failure = why

    def _file(self, path: str) -> str:
        return os.fspath(self._folder / FILES / path)

    def _is_held(self, path: str) -> bool:
        return os.path.lexists(self._folder / AT_END / path)

    def _unlink(self, copy: str | None) -> None:
        if copy is not None:
            with contextlib.suppress(OSError):
                os.unlink(copy)


def read_ignored(folder: Path) -> list[str]:
    """Return the patterns of a run's files that are not uploaded."""
    try:
        return [
            line for line in (folder / IGNORED).read_text("utf-8", "surrogateescape").splitlines() if line
        ]
    except FileNotFoundError:
        return []
