"""Sealing a segment's console, and taking that back: blocks of lines, and the terminal behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, update

from kiseki.ingest.state import WriterState
from kiseki.records.reader import Entry
from kiseki.store.console import ConsoleState, decode_state, encode_state, seal_console
from kiseki.store.tables import console_blocks, writers


def seal_lines(
    connection: Connection, run_pk: int, writer: WriterState, entries: Sequence[Entry], *, partial: bool
) -> None:
    """Write the blocks that the records of a segment make, right behind those before it."""
    state = decode_state(writer.console)
    after, rows = seal_console(state, entries, run_pk, writer.pk, partial=partial)
    if after != state:
        write_console(connection, writer, after, rows)


def reopen_lines(connection: Connection, writer: WriterState) -> None:
    """Take back the blocks of the segment that was sealed last: its writer goes on."""
    before = decode_state(writer.console).reopened()
    if before is not None:
        write_console(connection, writer, before, [])


def write_console(
    connection: Connection, writer: WriterState, state: ConsoleState, rows: list[dict[str, Any]]
) -> None:
    """Write a writer's console as it is from now on: blocks that lie behind `rows` go."""
    first = rows[0]["block"] if rows else state.blocks
    behind = (console_blocks.c.writer_pk == writer.pk, console_blocks.c.block >= first)
    connection.execute(delete(console_blocks).where(*behind))
    if rows:
        connection.execute(insert(console_blocks), rows)
    writer.console = encode_state(state) if state != ConsoleState() else None
    connection.execute(
        update(writers)
        .where(writers.c.id == writer.pk)
        .values(console=writer.console, console_lines=state.lines)
    )
