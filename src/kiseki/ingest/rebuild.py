"""Making derived rows again from raw bytes, journal and files: piece by piece, while appends go on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, delete, insert

from kiseki.ingest.apply import apply_bytes
from kiseki.ingest.console import write_console
from kiseki.ingest.files import forget_files
from kiseki.ingest.state import RunState, WriterState
from kiseki.records.fold import RunFold
from kiseki.records.framing import MAX_PAYLOAD, PRELUDE_BYTES, split_frames
from kiseki.records.reader import read_header
from kiseki.store.chunks import seal
from kiseki.store.columns import Block, merge
from kiseki.store.console import ConsoleState, seal_console
from kiseki.store.source import read_source
from kiseki.store.tables import chunks, metrics
from kiseki.store.tails import Tails

PIECE_BYTES = 1024 * 1024
"""About how much of a writer is read at a time."""


class Rebuild:
    """One run made again beside the old rows: `step` until it says that everything is read, then `finish`.

    Each of them is one job of the writer thread. Raises SourceGone where a file that is needed is no longer
    there: the run stays as it is then.
    """

    def __init__(self, live: RunState) -> None:
        self.made = RunState(live.pk, live.project_pk, live.entity, live.project, live.run_id, live.uid)
        self._tails = Tails()
        self._blocks: dict[int, list[Block]] = {}
        self._consoles: dict[int, tuple[ConsoleState, list[dict[str, Any]]]] = {}
        self._files: list[dict[str, Any]] = []

    def step(self, connection: Connection, live: RunState) -> bool:
        """Read one more piece; True while there is more."""
        for name in sorted(live.writers):
            writer = live.writers[name]
            made = self._writer(writer)
            if made.offset < writer.offset:
                self._read(connection, writer, made)
                return True
        return False

    def finish(self, connection: Connection, live: RunState) -> RunState:
        """Read what came meanwhile and return the state that takes the place of `live`; it is written as
        dirty.
        """
        self.made.new_files = []  # Of a try that was undone.
        while self.step(connection, live):
            pass
        for name, writer in live.writers.items():
            made = self._writer(writer)
            self._seal(connection, writer, made, whole=True)
            write_console(connection, writer, *self._consoles[writer.pk])
            writer.damage, writer.segment = made.damage, made.segment
            writer.segment_offset, writer.decoder = made.segment_offset, made.decoder
            self.made.writers[name] = writer
            self.made.touch(writer)
        made_run = self.made
        made_run.at, made_run.shown, made_run.source_gone = live.at, live.shown, live.source_gone
        made_run.values, made_run.updated_us = live.values, live.updated_us
        connection.execute(delete(metrics).where(metrics.c.run_pk == live.pk))
        made_run.mark_all_metrics()
        forget_files(connection, live.pk)
        made_run.new_files = list(self._files)
        return made_run

    def _writer(self, writer: WriterState) -> WriterState:
        made = self.made.writers.get(writer.header.writer)
        if made is None:
            made = WriterState(writer.pk, writer.header, writer.path)
            self.made.writers[writer.header.writer] = made
            self.made.fold.see(writer.header)
            self._blocks[writer.pk] = []
            self._consoles[writer.pk] = ConsoleState(), []
        return made

    def _read(self, connection: Connection, writer: WriterState, made: WriterState) -> None:
        data = next(_pieces(connection, writer, made.offset, writer.offset))
        self._blocks[writer.pk] += apply_bytes(connection, self._tails, self.made, made, data, made.offset)
        made.offset += len(data)
        self._files += self.made.new_files
        self.made.new_files = []
        self._seal(connection, writer, made, whole=False)

    def _seal(self, connection: Connection, writer: WriterState, made: WriterState, *, whole: bool) -> None:
        """Write the chunks of the segments that are read whole and that the store has sealed."""
        blocks = self._blocks[writer.pk]
        while blocks and blocks[0].segment < writer.sealed_segments:
            segment = blocks[0].segment
            inside = [block for block in blocks if block.segment == segment]
            if len(inside) == len(blocks) and not whole:
                return
            del blocks[: len(inside)]
            connection.execute(
                delete(chunks).where(chunks.c.writer_pk == writer.pk, chunks.c.segment == segment)
            )
            rows = seal(merge(inside), self.made.pk, writer.pk)
            if rows:
                connection.execute(insert(chunks), rows)
            console, lines = self._consoles[writer.pk]
            entries = [entry for block in inside for entry in block.others]
            partial = segment == writer.segment
            console, more = seal_console(console, entries, self.made.pk, writer.pk, partial=partial)
            self._consoles[writer.pk] = console, [*lines, *more]
        if blocks and blocks[0].segment >= writer.sealed_segments:
            # Not sealed yet: the tail holds it, and it is sealed when it is due.
            blocks[:] = [] if whole else blocks[-1:]


def refold(connection: Connection, state: RunState) -> None:
    """Read a run's own records again into its fold and metrics. Raises SourceGone."""
    state.fold, state.metrics = RunFold(), {}
    forget_files(connection, state.pk)
    tails = Tails()
    for name in sorted(state.writers):
        writer = state.writers[name]
        state.fold.see(writer.header)
        fresh = replace(writer, damage=None, segment=0, segment_offset=0, decoder=None)
        at = 0
        for data in _pieces(connection, writer, 0, writer.offset):
            apply_bytes(connection, tails, state, fresh, data, at)
            at += len(data)
        writer.decoder = fresh.decoder
    state.mark_all_metrics()
    state.touch()


def _pieces(connection: Connection, writer: WriterState, start: int, end: int) -> Iterator[bytes]:
    """A writer's bytes from `start` to `end` as runs of whole frames."""
    while start < end:
        data = read_source(connection, writer.pk, writer.path, start, min(end, start + PIECE_BYTES))
        whole = _whole(data, start)
        if whole == 0:
            most = min(end, start + PIECE_BYTES + MAX_PAYLOAD + 8 + PRELUDE_BYTES)
            data = read_source(connection, writer.pk, writer.path, start, most)
            whole = _whole(data, start)
            if whole == 0:
                raise ValueError(f"{writer.path or writer.header.writer}: no frame begins at byte {start}")
        yield data[:whole]
        start += whole


def _whole(data: bytes, offset: int) -> int:
    frames = split_frames(data, read_header(data)[1] if offset == 0 else 0, verify=False)
    return frames.end
