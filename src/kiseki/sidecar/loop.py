"""The sidecar's life: take pointers, see what grew, notice deaths, upload, and end when not needed."""

from __future__ import annotations

import select
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from kiseki.records.kinds import SIDECAR
from kiseki.sidecar.attendant import Attendant, Attendants
from kiseki.sidecar.death import Deaths
from kiseki.sidecar.durable import Durability
from kiseki.sidecar.follow import RunFollow, WriterFollow
from kiseki.sidecar.log import log, shorten_log
from kiseki.sidecar.spool import Pointer, Progress, Spool
from kiseki.sidecar.upload import Server
from kiseki.system.watch import DirectoryWatch

LINGER_S: Final = 30.0
"""The sidecar ends this long after its last run."""

PATIENCE_S: Final = 1200.0
"""A server that takes nothing for this long after the last run has ended is given up."""

_CLOSING_S: Final = 10.0
_PROGRESS_S: Final = 0.2
_QUIET_S: Final = 0.5
_LOOK_S: Final = 1.0


class Sidecar:
    """Looks after every run whose pointer lies in one spool."""

    def __init__(
        self,
        spool: Spool,
        *,
        linger: float = LINGER_S,
        patience: float = PATIENCE_S,
        attendants: Sequence[Attendant] = (),
        servers: dict[str, Server] | None = None,
    ) -> None:
        """`linger` and `patience` in seconds. `servers` is where the servers that are sent to are kept."""
        self._spool = spool
        self._linger = linger
        self._patience = patience
        self._last_alive = time.monotonic()
        self._runs: dict[Path, RunFollow] = {}
        self._set_aside: set[str] = set()
        self._servers = {} if servers is None else servers
        self._progress: dict[str, tuple[Progress, float]] = {}
        self._said: dict[str, str] = {}
        self._watch = DirectoryWatch()
        self._deaths = Deaths()
        self._durable = Durability(log)
        self._attendants = Attendants(attendants)
        self._closing_at: float | None = None

    def close_soon(self) -> None:
        """End as soon as the runs have ended and are sent, in ten seconds at the latest (SIGTERM)."""
        if self._closing_at is None:
            self._closing_at = time.monotonic() + _CLOSING_S

    def run(self) -> None:
        """Work until nobody needs the sidecar; the spool's lock must be held, and is released at the end."""
        self._watch.add(self._spool.folder)
        idle_since = time.monotonic()
        while True:
            now = time.monotonic()
            self._pass(now)
            if self._runs:
                idle_since = now
                if self._must_leave(now):
                    break
            elif self._closing_at is not None:
                break
            elif now - idle_since >= self._linger:
                # Released before the last look: who drops a pointer later finds the lock free.
                self._spool.clear_progress()
                self._spool.release()
                if not self._new_pointers() or not self._spool.acquire():
                    break
                idle_since = now
            self._wait(idle_since)
        for run in self._runs.values():
            self._attendants.release(run)
            run.own.close()
        self._durable.close()
        for server in self._servers.values():
            server.close()
        self._spool.release()

    def _pass(self, now: float) -> None:
        """Do everything that is due once."""
        self._take_pointers()
        for run in list(self._runs.values()):
            try:
                self._look_after(run, now)
            except Exception as error:  # One bad run must not cost the others their sidecar.
                self._put_aside(run, error)
        for url, server in self._servers.items():
            server.work(now)
            self._say(url, server.uploader.error)
        for run in list(self._runs.values()):
            self._conclude(run, now)
        follows = self._follows()
        self._deaths.forget_all_but({follow.process for follow in follows if not follow.ended})

    def _follows(self) -> list[WriterFollow]:
        return [follow for run in self._runs.values() for follow in run.writers.values()]

    def _new_pointers(self) -> list[Pointer]:
        known = {writer for run in self._runs.values() for writer in run.pointers}
        return self._spool.pointers(known | self._set_aside)

    def _take_pointers(self) -> None:
        for pointer in self._new_pointers():
            folder = Path(pointer.run_dir)
            run = self._runs.get(folder)
            if run is None:
                run = self._runs[folder] = RunFollow(folder)
            run.add_pointer(pointer)

    def _look_after(self, run: RunFollow, now: float) -> None:
        for follow in run.list_writers():
            self._deaths.watch(follow.process)
            follow.look()
            if run.upload_to is not None:
                self._server(run.upload_to).add(follow)
                self._watch.add(run.folder)
        for follow in run.writers.values():
            if not follow.done:
                follow.look()
                self._durable.grew(follow.path, follow.size)
        run.judge_dead(self._deaths)
        if run.writers:
            self._attendants.attend(run, now)
        self._say(str(run.folder), run.own.trouble)
        if run.all_ended and self._attendants.settled(run):
            run.own.close()

    def _conclude(self, run: RunFollow, now: float) -> None:
        """Write progress, and let go of writers, and of the run, that need nothing any more."""
        for writer, follow in run.writers.items():
            if follow.done:
                continue
            upload = follow.upload
            if upload is not None:
                self._say(writer, upload.error or upload.damage)
            if follow.ended and _is_sent(follow) and self._durable.covers(follow.path, follow.size):
                follow.done = True
                if not follow.header.primary:  # Else the next sidecar would not find the run's files.
                    self._spool.remove(writer)
                self._durable.forget(follow.path)
                if upload is not None and run.upload_to is not None:
                    self._server(run.upload_to).remove(upload)
        through = run.done and self._attendants.settled(run)
        if run.upload_to is not None:
            self._tell(run, through, now)
        elif through:
            for writer in run.pointers:
                self._spool.write_progress(writer, Progress(0, 0, "done", closed=True))
        if through:
            self._drop(run)

    def _tell(self, run: RunFollow, through: bool, now: float) -> None:
        """Write for each `finish` that may wait how far its run is."""
        assert run.upload_to is not None
        server = self._server(run.upload_to)
        left = run.files_left
        rest = {"files_left": left.number, "files_bytes_left": left.size, "files_error": left.error}
        # Not only where all is done: `finish` waits for the server, not for this machine's disk.
        sent = run.closed and self._attendants.settled(run) and all(map(_is_sent, run.writers.values()))
        closed = through or sent or (run.ended and left.through and _only_forks_left(run))
        for writer in run.pointers:
            follow = run.writers.get(writer)
            if follow is not None and follow.upload is not None:
                over = closed and follow.ended and _is_sent(follow) and not follow.upload.stopped
                progress = msgspec.structs.replace(server.progress(follow), closed=over, **rest)
                self._report(writer, progress, now)

    def _must_leave(self, now: float) -> bool:
        """Whether to end with work undone: told to, or nothing was taken for long after the last run."""
        if self._closing_at is not None and now >= self._closing_at:
            return True
        if not all(run.all_ended for run in self._runs.values()):
            self._last_alive = now
        patience = now - self._patience
        if self._last_alive > patience or not self._servers:
            return False
        if any(server.taken_at > patience for server in self._servers.values()):
            return False
        log(f"given up after {self._patience:.0f} s; `kiseki sync` sends what is left")
        return True

    def _put_aside(self, run: RunFollow, error: Exception) -> None:
        gone = isinstance(error, FileNotFoundError)
        what = f"{run.folder} is gone" if gone else f"{run.folder}: {type(error).__name__}: {error}"
        for writer in run.pointers:
            self._say(writer, what)
            self._set_aside.add(writer)
            self._spool.write_progress(writer, Progress(0, 0, "stopped", what))
            if gone:
                self._spool.remove(writer)
        self._drop(run)

    def _drop(self, run: RunFollow) -> None:
        self._attendants.release(run)
        run.own.close()
        for follow in run.writers.values():
            self._durable.forget(follow.path)
            self._progress.pop(follow.header.writer, None)
            self._said.pop(follow.header.writer, None)
            for server in self._servers.values():
                if follow.upload is not None:
                    server.remove(follow.upload)
        self._said.pop(str(run.folder), None)
        for writer in run.pointers:
            if writer not in self._set_aside:
                self._spool.remove(writer)
        self._watch.remove(run.folder)
        del self._runs[run.folder]

    def _server(self, base_url: str) -> Server:
        server = self._servers.get(base_url)
        if server is None:
            server = self._servers[base_url] = Server(base_url)
        return server

    def _report(self, writer: str, progress: Progress, now: float) -> None:
        last, at = self._progress.get(writer, (None, float("-inf")))
        final = progress.closed or progress.state in ("done", "stopped")
        if progress != last and (final or now - at >= _PROGRESS_S):
            self._progress[writer] = (progress, now)
            self._spool.write_progress(writer, progress)

    def _say(self, writer: str, what: str | None) -> None:
        if what is not None and self._said.get(writer) != what:
            self._said[writer] = what
            log(f"{writer}: {what}")

    def _wait(self, idle_since: float) -> None:
        """Sleep until a file grows, a process ends, or something is due."""
        shorten_log()
        now = time.monotonic()
        due = min((server.due() for server in self._servers.values()), default=float("inf"))
        until = min(due, self._attendants.next_turn(), now + _LOOK_S)
        if not self._runs:
            until = min(now + self._linger, idle_since + self._linger)
        # A training may write thousands of times a second: only what leads to a request shall wake us.
        useful = min((server.ready_at() for server in self._servers.values()), default=float("inf"))
        quiet_until = min(until, useful, now + _QUIET_S) if self._runs else now
        if not self._poll(quiet_until - now, growth=False):
            self._poll(until - time.monotonic(), growth=True)
        self._watch.wait(0)

    def _poll(self, seconds: float, *, growth: bool) -> bool:
        """Wait; True where something happened."""
        if seconds <= 0:
            return False
        poll = select.poll()
        self._deaths.register(poll)
        self._attendants.register(poll)
        descriptor = self._watch.fileno()
        if growth and descriptor is not None:
            poll.register(descriptor, select.POLLIN)
        elif growth:
            seconds = min(seconds, 0.2)
        return bool(poll.poll(seconds * 1000))


def _only_forks_left(run: RunFollow) -> bool:
    """Whether all is sent but what forked children have still to say: they may live on for hours."""
    own = [follow for follow in run.writers.values() if follow.header.role == SIDECAR]
    for follow in own:
        follow.look()
    forks = any(not follow.ended for follow in run.writers.values() if follow not in own)
    return forks and all(_is_sent(follow) for follow in own)


def _is_sent(follow: WriterFollow) -> bool:
    """Whether the server has what lies in a writer's file, or will get no more of it."""
    upload = follow.upload
    return upload is None or upload.stopped or (upload.settled and upload.size == follow.size)
