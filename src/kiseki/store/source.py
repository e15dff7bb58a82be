"""A writer's own bytes, wherever they lie: raw rows, the journal, or the file that is followed in place."""

from __future__ import annotations

import os
from collections.abc import Callable

from sqlalchemy import Connection, select

from kiseki.store.codec import decompress
from kiseki.store.tables import journal, raw


class SourceGone(Exception):
    """Bytes that were ingested can no longer be read: the file that held them is gone or was changed."""


def read_source(
    connection: Connection,
    writer_pk: int,
    path: str | None,
    start: int,
    end: int,
    open_file: Callable[[str], int] | None = None,
) -> bytes:
    """Bytes `start` to `end` of a writer's file, as this snapshot has them. Raises SourceGone.

    `open_file` gives a descriptor where the caller holds one of a file that may be deleted already.
    """
    pieces: list[bytes] = []
    at = start
    for offset, data in _stored(connection, writer_pk, start, end):
        if offset > at:
            pieces.append(_from_file(path, at, min(offset, end), open_file))
            at = min(offset, end)
        if at < end and offset + len(data) > at:
            piece = data[at - offset : end - offset]
            pieces.append(piece)
            at += len(piece)
    if at < end:
        pieces.append(_from_file(path, at, end, open_file))
    return b"".join(pieces)


def _stored(connection: Connection, writer_pk: int, start: int, end: int) -> list[tuple[int, bytes]]:
    """What the store itself keeps of a range, in the order of the file."""
    sealed = connection.execute(
        select(raw.c.offset, raw.c.data).where(
            raw.c.writer_pk == writer_pk, raw.c.offset < end, raw.c.offset + raw.c.length > start
        )
    ).all()
    found = [(int(offset), decompress(data)) for offset, data in sealed]
    # A journal row is one append at most; the one that holds `start` is the last that begins at or before it.
    first = (
        select(journal.c.offset)
        .where(journal.c.writer_pk == writer_pk, journal.c.offset <= start)
        .order_by(journal.c.offset.desc())
        .limit(1)
    )
    begin = connection.execute(first).scalar()
    rows = connection.execute(
        select(journal.c.offset, journal.c.data)
        .where(journal.c.writer_pk == writer_pk, journal.c.offset >= (start if begin is None else begin))
        .where(journal.c.offset < end)
        .order_by(journal.c.offset)
    ).all()
    found.extend((int(offset), bytes(data)) for offset, data in rows)
    return sorted(found, key=lambda piece: piece[0])


def _from_file(path: str | None, start: int, end: int, open_file: Callable[[str], int] | None) -> bytes:
    if path is None:
        raise SourceGone(f"bytes {start} to {end} are not in the store")
    try:
        fd = open_file(path) if open_file is not None else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SourceGone(f"{path}: {error.strerror}") from error
    try:
        pieces: list[bytes] = []
        at = start
        while at < end:
            piece = os.pread(fd, end - at, at)
            if not piece:
                raise SourceGone(f"{path}: shorter than the {end} bytes that were read before")
            pieces.append(piece)
            at += len(piece)
        return b"".join(pieces)
    except OSError as error:
        raise SourceGone(f"{path}: {error.strerror}") from error
    finally:
        if open_file is None:
            os.close(fd)
