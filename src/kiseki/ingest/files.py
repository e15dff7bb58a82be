"""File records become rows of `file_versions`; a content that came is told to the runs that wait for it."""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from kiseki.ingest.state import RunState, RunStates, WriterState, now_us
from kiseki.records.kinds import File
from kiseki.records.reader import Entry
from kiseki.store.tables import DERIVED_VERSION, blobs, file_versions
from kiseki.store.upsert import upsert

MAX_PATH: Final = 4096
"""Longest path of a file in characters."""

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_BIGGEST: Final = 2**63 - 1


def is_file_path(path: str) -> bool:
    """Whether a path is one that lies below a folder wherever it is put: relative, without `.` and `..`.

    >>> is_file_path("a b/日本.txt"), is_file_path("/etc/passwd"), is_file_path("a/../../b")
    (True, False, False)
    """
    sound = 0 < len(path) <= MAX_PATH and "\0" not in path
    return sound and not any(part in ("", ".", "..") for part in path.split("/"))


def note_file(state: RunState, writer: WriterState, entry: Entry, record: File) -> None:
    """Have a file record written with the next commit; one that makes no sense is passed over."""
    sound = is_file_path(record.path) and (record.digest is None or _DIGEST.fullmatch(record.digest))
    if not sound or not (0 <= record.size <= _BIGGEST and abs(record.mtime_ns) <= _BIGGEST):
        return
    version = {
        "run_pk": state.pk,
        "writer_pk": writer.pk,
        "offset": entry.offset,
        "path": record.path,
        "digest": record.digest,
        "size": record.size,
        "mtime_ns": record.mtime_ns,
        "stamp_us": entry.time_us,
        "version": DERIVED_VERSION,
    }
    state.new_files.append(version)


def write_files(connection: Connection, state: RunState) -> None:
    """Write the versions that came since the last time."""
    if state.new_files:
        connection.execute(insert(file_versions), state.new_files)
        state.new_files = []


def forget_files(connection: Connection, run_pk: int) -> None:
    """Drop a run's versions, which are about to be made again."""
    connection.execute(delete(file_versions).where(file_versions.c.run_pk == run_pk))


def note_blob(connection: Connection, states: RunStates, digest: str, size: int) -> None:
    """A content lies whole in the blob store: every run that has a file of it changed."""
    if connection.execute(select(blobs.c.digest).where(blobs.c.digest == digest)).first() is not None:
        return
    upsert(connection, blobs, [{"digest": digest, "size": size, "created_us": now_us()}])
    runs = select(file_versions.c.run_pk).where(file_versions.c.digest == digest).distinct()
    for run_pk in connection.scalars(runs).all():
        state = states.find_pk(connection, run_pk)
        if state is not None:
            state.touch()
