"""Files of a run that no sidecar recorded, because it was ended with its job: found out before a sync."""

from __future__ import annotations

import select
import time
from pathlib import Path
from typing import Final

from kiseki.client.sync import attended_mode
from kiseki.records.framing import Damaged, Incomplete
from kiseki.records.kinds import File, Header
from kiseki.records.reader import read_header
from kiseki.records.recorded_files import Version
from kiseki.sidecar.death import read_end
from kiseki.sidecar.file_work import FileWork
from kiseki.sidecar.log import log
from kiseki.sidecar.own import OwnWriter
from kiseki.sidecar.run_files import RunFiles, read_ignored
from kiseki.system.process import ProcessId, boot_id, hostname, is_alive

_SUFFIX: Final = ".kiseki"
_HEADER_READ: Final = 64 * 1024
_PATIENCE_S: Final = 30.0
_STUCK_S: Final = 60.0
_LOOK_S: Final = 0.05


def record_left_files(folder: Path, *, patience: float = _PATIENCE_S) -> int:
    """Record the files of a run that has ended as its sidecar would have; returns how many were left.

    Where its sidecar is still at it, this waits for that, at most `patience` seconds. A run that goes on, or
    of which that is not known, is left to those who know it. What is gone from the disk counts as cleared
    up, not as removed from the run. Raises OSError where the folder cannot be read.
    """
    headers = _primary_headers(folder)
    if not headers or not all(_has_ended(path, header) for path, header in headers):
        return 0
    deadline = time.monotonic() + patience
    while (mode := _attended(headers)) == "offline" and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    if mode is not None:
        return 0
    return _record(folder, headers[-1][1])


def _record(folder: Path, header: Header) -> int:
    own = OwnWriter(folder, lambda: None)
    own.belongs_to(header)
    recorded = 0

    def record(path: str, version: Version) -> bool:
        nonlocal recorded
        recorded += 1
        return own.append(File(0, path, version.digest, version.size, version.mtime_ns))

    work = FileWork()
    files = RunFiles(folder, work, record, ignore_globs=read_ignored(folder), removals=False, say=log)
    began = now = time.monotonic()
    try:
        # A machine on which no worker starts or lives must not hold the sync of the records up.
        while not files.through and now - max(began, files.moved_at) < _STUCK_S:
            now = time.monotonic()
            work.work(now)
            files.look(now, ended=True, to=None)
            if not files.through:
                poll = select.poll()
                work.register(poll)
                poll.poll(_LOOK_S * 1000)
    finally:
        files.close()
        work.rest()
        own.close()
    return recorded


def _primary_headers(folder: Path) -> list[tuple[Path, Header]]:
    """The training processes of the run's primary lane, in the order in which they began."""
    found = []
    for path in folder.glob(f"*{_SUFFIX}"):
        try:
            with open(path, "rb", buffering=0) as file:
                header = read_header(file.read(_HEADER_READ))[0]
        except (Damaged, Incomplete):
            continue
        if header.primary and header.role == "train":
            found.append((path, header))
    return sorted(found, key=lambda each: each[1].wall_ns)


def _has_ended(path: Path, header: Header) -> bool:
    process = ProcessId(header.pid, header.pid_start, header.boot_id, header.pid_ns)
    rebooted = header.host == hostname() and header.boot_id != boot_id()
    return rebooted or is_alive(process) is False or read_end(path).state is not None


def _attended(headers: list[tuple[Path, Header]]) -> str | None:
    """The mode in which a living sidecar of this user still looks after the run, None where none does."""
    return next((mode for _, header in headers if (mode := attended_mode(header.writer))), None)
