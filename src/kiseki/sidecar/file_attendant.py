"""Files as one of the things that are done for every run of a sidecar: see `run_files` for what that is."""

from __future__ import annotations

import select
from typing import Final

from kiseki.records.kinds import File
from kiseki.records.recorded_files import Version
from kiseki.sidecar.file_work import FileWork
from kiseki.sidecar.files import SHARE
from kiseki.sidecar.follow import FilesLeft, RunFollow
from kiseki.sidecar.log import log
from kiseki.sidecar.run_files import RunFiles, read_ignored

PATIENCE_S: Final = 1200.0
"""Files of a run that has ended are given up when nothing of them was taken for this long."""


class FileAttendant:
    """Brings the files of all runs to where they belong, by one worker process."""

    def __init__(self, *, patience: float = PATIENCE_S) -> None:
        """`patience` in seconds."""
        self._patience = patience
        self._work = FileWork()
        self._runs: dict[RunFollow, RunFiles] = {}
        self._ended_at: dict[RunFollow, float] = {}
        self._checked: set[RunFollow] = set()
        self._worked_at = float("-inf")
        self._now = 0.0

    def attend(self, run: RunFollow, now: float) -> None:
        """Scan the run's files where that is due, and take the worker's answers."""
        self._now = now
        if now != self._worked_at:
            self._worked_at = now
            self._work.work(now)
        files = self._runs.get(run)
        if files is None:
            files = self._runs[run] = self._files_of(run)
        self._look(run, files)

    def settled(self, run: RunFollow) -> bool:
        """Whether every file is recorded and its content where it belongs, or given up.

        To be asked last: when the others have settled, whose files may have come meanwhile, it looks once
        more.
        """
        files = self._runs.get(run)
        if files is None:
            return True
        if files.through and run not in self._checked:
            self._checked.add(run)
            files.look_once_more()
            self._look(run, files)
        if files.through:
            return True
        if self._now - max(files.moved_at, self._ended_at.get(run, self._now)) < self._patience:
            return False
        log(f"{run.folder}: {files.left} files given up after {self._patience:.0f} s; use `kiseki sync`")
        return True

    def release(self, run: RunFollow) -> None:
        """Forget the run."""
        files = self._runs.pop(run, None)
        self._ended_at.pop(run, None)
        self._checked.discard(run)
        if files is not None:
            files.close()
        if not self._runs:
            self._work.rest()

    def next_turn(self) -> float:
        """Return the monotonic time of the next walk."""
        return min([self._work.due(), *(files.due() for files in self._runs.values())])

    def register(self, poll: select.poll) -> None:
        """Let `poll` return when the worker has said something."""
        if self._runs:  # Else nobody would take its last word, and `poll` would return for ever.
            self._work.register(poll)

    def _look(self, run: RunFollow, files: RunFiles) -> None:
        if run.ended:
            self._ended_at.setdefault(run, self._now)
        to, sure = _server_of(run)
        share = SHARE / max(1, len(self._runs))
        files.look(self._now, ended=run.ended, to=to, sure=sure, share=share)
        if files.expects_work:
            self._work.prepare(self._now)
        size = files.bytes_left if run.ended else 0  # Nobody asks before, and it is a sum over all.
        run.files_left = FilesLeft(files.left, size, files.through, files.error)

    def _files_of(self, run: RunFollow) -> RunFiles:
        def record(path: str, version: Version) -> bool:
            return run.own.append(File(0, path, version.digest, version.size, version.mtime_ns))

        return RunFiles(run.folder, self._work, record, ignore_globs=read_ignored(run.folder), say=log)


def _server_of(run: RunFollow) -> tuple[str | None, bool]:
    """The server that lacks the contents, None where none does; and whether that is known yet."""
    uploads = [follow.upload for follow in run.writers.values() if follow.upload is not None]
    if run.upload_to is None or any(upload.following for upload in uploads):
        return None, True
    if uploads and all(upload.stopped for upload in uploads):
        return None, True
    return run.upload_to, any(upload.server_id is not None for upload in uploads)
