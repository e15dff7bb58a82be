"""Following the run directories of this machine in place: new rows within 0.2 s, deaths, vanished folders."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from sqlalchemy import Connection, delete, select

from kiseki.client.protocol import CONFLICT, TAKEN, Answer
from kiseki.ingest.append import LocalPart
from kiseki.ingest.directories import RunDirectory, size_of
from kiseki.ingest.followed import FollowedFile
from kiseki.ingest.service import Ingest
from kiseki.ingest.state import RunState
from kiseki.store.errors import StoreBusy, StoreError
from kiseki.store.tables import directories, writers
from kiseki.store.upsert import upsert
from kiseki.system.watch import DirectoryWatch

PASS_SECONDS = 0.1
"""Least time between two passes, so that many small writes share one."""

JUDGE_SECONDS = 1.0
"""How often it is asked whether processes live, and whether there are new roots."""

SCAN_SECONDS = 10.0
"""How often every root is listed, and every known directory looked for."""

GRACE_SECONDS = 1.5
"""How long after a death the sidecar may still say how the process ended."""

ROUND_FILES = 64
"""Files that are read before the store is waited for."""

OPEN_FILES = 128
"""Files that stay open at the most: a process may have 1,024 descriptors, and users have more runs."""

_log = logging.getLogger("kiseki.ingest")


class LocalFollower:
    """Finds run directories under the roots and feeds their files to ingest, which keeps no copy.

    `roots` gives the folders that hold run directories, and is asked again and again. Directories whose
    writers have all ended are remembered in the store with their size, and are not opened while they stay as
    they are.
    """

    def __init__(self, ingest: Ingest, roots: Callable[[], list[Path]]) -> None:
        self._ingest = ingest
        self._roots = roots
        self._lock = threading.RLock()
        self._directories: dict[Path, RunDirectory] = {}
        self._seen_roots: set[Path] = set()
        self._watched: set[Path] = set()
        self._to_watch: set[Path] = set()
        self._open: OrderedDict[FollowedFile, None] = OrderedDict()
        """Files that may be open, the one read last at the end."""
        self._remembered: dict[str, tuple[int, int]] | None = None
        self._asking = 0
        """Questions that wait for the lock: whoever reads a long backlog lets them pass."""
        self._watch = DirectoryWatch()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        ingest.look_again = self._look_again

    def start(self) -> None:
        """Follow in a thread of its own until `close`."""
        self._thread = threading.Thread(target=self._run, name="kiseki-local-follower", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop following. Twice is once."""
        self._closing.set()
        self._ingest.look_again = None
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._watch.close()
        with self._lock:
            for directory in self._directories.values():
                directory.close()

    def catch_up(self) -> None:
        """One whole pass: everything that lies in the files now is in the store when it returns."""
        self._scan()
        self._drain(self._dirty_files())
        self._judge(grace=0.0)
        self._ingest.refresh().result()

    def follows(self, uid: str, writer: str) -> bool:
        """Whether this writer's file is followed in place."""
        with self._lock:
            files = [file for found in self._directories.values() for file in found.files.values()]
        known = [file.header for file in files if file.header is not None and not file.aside]
        return any((header.run_uid, header.writer) == (uid, writer) for header in known)

    def _run(self) -> None:
        scan_at = judge_at = 0.0
        while not self._closing.is_set():
            started = time.monotonic()
            try:
                if started >= scan_at:
                    self._scan()
                    scan_at = started + SCAN_SECONDS
                if started >= judge_at:
                    self._find_roots()
                    self._judge(grace=GRACE_SECONDS)
                    judge_at = started + JUDGE_SECONDS
                self._add_watches()
                self._drain(self._dirty_files())
                self._closing.wait(max(0.0, PASS_SECONDS - (time.monotonic() - started)))
                self._note(self._watch.wait(max(0.0, min(scan_at, judge_at) - time.monotonic())))
            except StoreBusy:
                self._closing.wait(JUDGE_SECONDS)
            except StoreError:
                return
            except Exception:
                _log.exception("following local runs failed; trying again")
                self._closing.wait(JUDGE_SECONDS)

    # Finding directories

    def _scan(self) -> None:
        """List every root, and look whether the known directories are still there."""
        with self._lock:
            if self._remembered is None:
                self._load()
            self._seen_roots.clear()
            self._find_roots()
            for path in list(self._directories):
                self._look(path)

    def _load(self) -> None:
        """Read what the store remembers, and mark the runs whose directory went away since."""
        with self._ingest.store.read() as connection:
            rows = connection.execute(select(directories.c.path, directories.c.size, directories.c.files))
            self._remembered = {path: (size, files) for path, size, files in rows}
            paths = connection.scalars(select(writers.c.path).where(writers.c.path.is_not(None))).all()
        for folder in {os.path.dirname(path) for path in paths}:
            if not os.path.isdir(folder):
                self._gone(Path(folder))

    def _find_roots(self) -> None:
        """List the roots that were not listed yet."""
        with self._lock:
            for root in self._roots():
                if root not in self._seen_roots:
                    self._list(root)

    def _list(self, root: Path) -> None:
        try:
            with os.scandir(root) as entries:
                folders = sorted(entry.path for entry in entries if entry.is_dir())
        except OSError:
            return
        self._seen_roots.add(root)
        if root not in self._watched:
            self._to_watch.add(root)
        for folder in folders:
            self._consider(Path(folder))

    def _consider(self, path: Path) -> None:
        """Take up a folder below a root: it is a run directory, or may become one."""
        if path in self._directories:
            return
        size = size_of(path)
        if size is None:
            return
        complete = size.files > 0 and (self._remembered or {}).get(str(path)) == (size.bytes, size.files)
        self._directories[path] = RunDirectory(path, complete=complete)
        self._look(path)

    def _look(self, path: Path, *, surely: bool = False) -> None:
        directory = self._directories[path]
        try:
            if directory.look(surely=surely):
                directory.complete, directory.dirty = False, True
                if path not in self._watched:
                    self._to_watch.add(path)
        except OSError:
            self._vanished(path)

    def _note(self, changed: set[Path]) -> None:
        """Sort what the watch saw: files that grew, directories that are new or went away."""
        with self._lock:
            for path in changed:
                if path in self._directories:
                    self._look(path, surely=True)
                elif path.parent in self._directories:
                    directory = self._directories[path.parent]
                    directory.dirty = True
                    if path.name not in directory.files:
                        self._look(path.parent, surely=True)
                elif path in self._seen_roots:
                    # It went away (its watch with it, though one may be there anew), or events were lost.
                    self._seen_roots.discard(path)
                    self._watched.discard(path)
                    self._list(path)
                elif path.parent in self._seen_roots and path.is_dir():
                    self._consider(path)

    def _add_watches(self) -> None:
        """Watch what was found; what happened before the watch stood is looked for once more."""
        with self._lock:
            paths, self._to_watch = self._to_watch, set()
            for path in paths:
                try:
                    self._watch.add(path)
                except OSError:
                    continue
                self._watched.add(path)
                if path in self._directories:
                    self._look(path, surely=True)
                else:
                    self._list(path)

    def _look_again(self, uid: str, writer: str) -> None:
        """Someone asks about a writer: look for new directories and files before it is answered."""
        self._asking += 1
        try:
            if self.follows(uid, writer):
                return
            with self._lock:
                self._scan()
                self._round(self._dirty_files())
        finally:
            self._asking -= 1

    # Reading files

    def _dirty_files(self) -> list[FollowedFile]:
        """The files in which something may be new; they count as looked at from now on."""
        with self._lock:
            files: list[FollowedFile] = []
            for directory in self._directories.values():
                if directory.dirty:
                    directory.dirty = False
                    files.extend(directory.files.values())
            return files

    def _drain(self, files: Sequence[FollowedFile]) -> None:
        """Feed these files to ingest until nothing is new in them."""
        while files and not self._closing.is_set():
            files = self._round(files)
            while self._asking and not self._closing.is_set():
                self._closing.wait(0.002)

    def _round(self, files: Sequence[FollowedFile]) -> list[FollowedFile]:
        """One piece of each file; returns the files to go on with."""
        with self._lock:
            more: list[FollowedFile] = []
            self._open_new([file for file in files if file.header is None])
            ready = [file for file in files if file.header is not None and not file.aside]
            for start in range(0, len(ready), ROUND_FILES):
                asked: list[tuple[FollowedFile, LocalPart, Future[Answer]]] = []
                batch = ready[start : start + ROUND_FILES]
                for file in batch:
                    try:
                        part = file.next_part()
                    except OSError:
                        continue
                    if part is not None:
                        asked.append((file, part, self._ingest.append_local(part)))
                more += [file for file, part, answer in asked if self._answered(file, part, answer.result())]
                self._bound_open(batch)
            return more

    def _bound_open(self, read: Sequence[FollowedFile]) -> None:
        """Close the files that were read longest ago, after these, where too many are open."""
        for file in read:
            self._open[file] = None
            self._open.move_to_end(file)
        while len(self._open) > OPEN_FILES:
            self._open.popitem(last=False)[0].close()

    def _open_new(self, files: Sequence[FollowedFile]) -> None:
        """Begin to follow those of these files that have a header, where the store stands in each.

        What the store has is asked for in one short snapshot; the files are compared with it afterwards,
        which takes a while where they are long.
        """
        headed = [file for file in files if file.read_head()]
        if not headed:
            return
        with self._ingest.store.read() as connection:
            known = [file.known_in(connection) for file in headed]
        for file, position in zip(headed, known, strict=True):
            adopt = file.take_up(position)
            if adopt is not None:
                self._ingest.append_local(adopt)

    def _answered(self, file: FollowedFile, part: LocalPart, answer: Answer) -> bool:
        """Whether to go on with a file after this answer."""
        if answer.status == TAKEN:
            return True
        if answer.status == CONFLICT and answer.error is None:
            file.corrected(answer.offset, answer.crc)
            return True
        if answer.status == CONFLICT:
            _log.warning("%s is not shown: %s", file.path, answer.error)
            file.aside = True
            return False
        # Full or busy: the same bytes again, at the next look.
        file.rewind(part)
        if (directory := self._directories.get(file.path.parent)) is not None:
            directory.dirty = True
        return False

    # Endings

    def _judge(self, *, grace: float) -> None:
        """Who of the writers that have not ended is dead, and which directories are complete."""
        with self._lock:
            open_ones = [d for d in self._directories.values() if d.files and not d.complete]
            self._load_ended(open_ones)
            now = time.monotonic()
            for directory in open_ones:
                for file in directory.files.values():
                    # No watch sees what another host writes to a network file system.
                    directory.dirty |= not file.done and file.grown()
                    self._judge_file(file, now, grace)
                if not directory.dirty and all(file.done for file in directory.files.values()):
                    self._complete(directory)

    def _load_ended(self, open_ones: list[RunDirectory]) -> None:
        uids = sorted({uid for directory in open_ones for uid in directory.uids()})
        ended: set[tuple[str, str]] = set()
        with self._ingest.store.read() as connection:
            for start in range(0, len(uids), 500):
                query = select(writers.c.uid, writers.c.writer).where(
                    writers.c.uid.in_(uids[start : start + 500]), writers.c.ended
                )
                ended.update((uid, writer) for uid, writer in connection.execute(query))
        for directory in open_ones:
            for file in directory.files.values():
                if file.header is not None:
                    file.ended = (file.header.run_uid, file.header.writer) in ended

    def _judge_file(self, file: FollowedFile, now: float, grace: float) -> None:
        header = file.header
        if file.ended:
            self._close_out(file)
        if header is None or file.done:
            return
        alive = file.alive()
        if alive is None:
            return
        if alive:
            file.dead_since = None
            self._ingest.seen(header.run_uid, header.writer, alive=True)
            return
        if file.dead_since is None:
            file.dead_since = now
        # It may have written until it died: what it said last decides.
        self._drain([file])
        if now - file.dead_since < grace:
            return
        self._ingest.seen(header.run_uid, header.writer, alive=False).result()
        file.ended = True
        self._close_out(file)

    def _close_out(self, file: FollowedFile) -> None:
        """Read the last of an ended writer's file; a frame that is not whole will never be."""
        if file.closed_out:
            return
        file.closed_out = True
        self._drain([file])
        try:
            part = file.next_part(dead=True)
        except OSError:
            return
        if part is not None:
            self._ingest.append_local(part).result()

    def _complete(self, directory: RunDirectory) -> None:
        """Every writer has ended and is read: remember the directory, and watch it no longer."""
        size = size_of(directory.path)
        if size is None:
            return
        directory.close()
        directory.complete = True
        self._unwatch(directory.path)
        path = str(directory.path)
        row = {"path": path, "size": size.bytes, "files": size.files}
        if self._remembered is not None:
            self._remembered[path] = (size.bytes, size.files)
        self._ingest.store.write(lambda connection: upsert(connection, directories, [row]))

    def _vanished(self, path: Path) -> None:
        """A directory is gone: what it still gave is read through open descriptors, and its run marked."""
        directory = self._directories.pop(path)
        if not directory.complete:
            self._drain(list(directory.files.values()))
        directory.close()
        self._unwatch(path)
        if self._remembered is not None:
            self._remembered.pop(str(path), None)
        self._gone(path)

    def _unwatch(self, path: Path) -> None:
        self._watch.remove(path)
        self._watched.discard(path)
        self._to_watch.discard(path)

    def _gone(self, path: Path) -> None:
        prefix = str(path) + os.sep

        def forget(connection: Connection) -> list[str]:
            connection.execute(delete(directories).where(directories.c.path == str(path)))
            query = select(writers.c.uid).where(writers.c.path.startswith(prefix, autoescape=True))
            return list(set(connection.scalars(query)))

        def mark(_connection: Connection, state: RunState) -> None:
            for writer in state.writers.values():
                if writer.path is not None and writer.path.startswith(prefix) and not writer.ended:
                    writer.ended = True
                    state.touch(writer)
            if not state.source_gone:
                state.source_gone = True
                state.touch()

        for uid in self._ingest.store.write(forget).result():
            self._ingest.change_run(uid, mark).result()
