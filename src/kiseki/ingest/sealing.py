"""Sealing: whole segments leave the journal for chunks, and for raw bytes where nobody else keeps them."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, insert, select

from kiseki.ingest.console import reopen_lines, seal_lines
from kiseki.ingest.state import RunState, WriterState
from kiseki.store.chunks import seal
from kiseki.store.codec import compress
from kiseki.store.columns import merge
from kiseki.store.database import Store
from kiseki.store.source import SourceGone, read_source
from kiseki.store.tables import chunks, journal, raw
from kiseki.store.tails import Unsealed


def due(writer: WriterState) -> bool:
    """Whether something can be sealed: a full segment, or what is left of a writer that has ended."""
    return writer.sealed_to < (writer.offset if writer.ended else writer.segment_offset)


def seal_next(connection: Connection, store: Store, state: RunState, writer: WriterState) -> bool:
    """Seal one segment of a writer; True where one more is due. Where its source is gone for good, nothing
    is.
    """
    if not due(writer):
        return False
    stretch = Unsealed(
        writer.pk, writer.header, writer.path, writer.sealed_to, writer.offset, writer.sealed_segments
    )
    try:
        blocks = [b for b in store.tails.read(connection, stretch) if b.segment == writer.sealed_segments]
    except SourceGone:
        if state.source_gone:
            writer.sealed_to, writer.sealed_segments = writer.offset, writer.segment + 1
            state.touch(writer)
        return False
    last = writer.sealed_segments >= writer.segment
    end = writer.offset if last or not blocks else blocks[-1].end
    _keep_raw(connection, writer, end)
    connection.execute(
        delete(chunks).where(chunks.c.writer_pk == writer.pk, chunks.c.segment == writer.sealed_segments)
    )
    rows = seal(merge(blocks), state.pk, writer.pk) if blocks else []
    if rows:
        connection.execute(insert(chunks), rows)
    entries = [entry for block in blocks for entry in block.others]
    seal_lines(connection, state.pk, writer, entries, partial=last)
    writer.sealed_to = end
    writer.sealed_segments += 1
    store.tails.sealed(writer.pk, end)
    writer.dirty = state.dirty = True
    return due(writer)


def reopen(connection: Connection, writer: WriterState) -> None:
    """Take back the chunks of a segment that goes on: its writer was thought to have ended."""
    if writer.sealed_to <= writer.segment_offset:
        return
    connection.execute(
        delete(chunks).where(chunks.c.writer_pk == writer.pk, chunks.c.segment == writer.segment)
    )
    reopen_lines(connection, writer)
    writer.sealed_to, writer.sealed_segments = writer.segment_offset, writer.segment


def _keep_raw(connection: Connection, writer: WriterState, end: int) -> None:
    """Move a segment's bytes from the journal to one compressed row; what only a file holds stays there."""
    start = writer.sealed_to
    inside = (journal.c.writer_pk == writer.pk, journal.c.offset >= start, journal.c.offset < end)
    held = connection.execute(select(func.count()).select_from(journal).where(*inside)).scalar_one()
    if not held:
        return
    data = read_source(connection, writer.pk, writer.path, start, end)
    connection.execute(delete(raw).where(raw.c.writer_pk == writer.pk, raw.c.offset == start))
    connection.execute(
        insert(raw).values(
            writer_pk=writer.pk,
            segment=writer.sealed_segments,
            offset=start,
            length=len(data),
            data=compress(data),
        )
    )
    connection.execute(delete(journal).where(*inside))
