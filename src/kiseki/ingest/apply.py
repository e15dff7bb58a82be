"""Bytes that were taken become knowledge: decoded once, folded into the run, counted, held as a hot tail."""

from __future__ import annotations

import numpy as np
from sqlalchemy import Connection

from kiseki.ingest.files import note_file
from kiseki.ingest.metrics import add_block
from kiseki.ingest.state import RunState, WriterState
from kiseki.records.framing import Damaged
from kiseki.records.kinds import Console, File, stream_of
from kiseki.store.blocks import BlockDecoder, Decoded
from kiseki.store.columns import Block, Ints
from kiseki.store.source import read_source
from kiseki.store.tails import Tails


def apply_bytes(
    connection: Connection, tails: Tails, state: RunState, writer: WriterState, data: bytes, offset: int
) -> list[Block]:
    """Apply whole, checked frames of a writer that start at byte `offset`, its position so far.

    A frame that makes no sense ends the writer: what stands before it counts, the damage is noted, and what
    follows is kept as bytes only. Returns the blocks, in the order of the file.
    """
    if writer.damage is not None or not data:
        return []
    decoded = _decode(connection, tails, writer, data, offset)
    if decoded is None:
        return []
    header = writer.header
    for group in decoded.batch.groups:
        state.fold.apply_rows(header, group)
    for entry in decoded.batch.others:
        if type(entry.record) is not Console:
            state.fold.apply(header, entry.offset, entry.record, entry.time_us)
        if isinstance(entry.record, File):
            note_file(state, writer, entry, entry.record)
    stream = stream_of(header.role)
    known = state.metrics.setdefault(stream, {})
    offsets, stamps = _stamps(decoded, header.wall_ns // 1000)
    for block in decoded.blocks:
        low, high = (int(i) for i in np.searchsorted(offsets, [block.start, block.end]))
        changed = add_block(known, block, stamps[low:high], header.writer)
        state.dirty_metrics.update((stream, key) for key in changed)
    if writer.decoder is not None:
        writer.segment, writer.segment_offset = writer.decoder.segment, writer.decoder.segment_offset
    tails.extend(writer.pk, decoded.blocks, writer.sealed_to)
    state.touch(writer)
    return decoded.blocks


def _decode(
    connection: Connection, tails: Tails, writer: WriterState, data: bytes, offset: int
) -> Decoded | None:
    decoder = _decoder_at(connection, tails, writer, offset)
    before = writer.segment_offset
    try:
        return decoder.feed(data, offset)
    except Damaged as damage:
        writer.damage = str(damage)
        good = data[: max(damage.byte - offset, 0)]
    # The decoder lost its tables: a fresh one reads the segment again, up to the damage.
    writer.decoder = None
    writer.segment_offset = before
    return _decoder_at(connection, tails, writer, offset).feed(good, offset) if good else None


def _decoder_at(connection: Connection, tails: Tails, writer: WriterState, offset: int) -> BlockDecoder:
    """The writer's decoder, at byte `offset`; made from the segment's beginning where there is none."""
    decoder = writer.decoder
    if decoder is None:
        decoder = BlockDecoder(writer.header, writer.segment, writer.segment_offset)
        if offset > writer.segment_offset:
            start = writer.segment_offset
            read = decoder.feed(read_source(connection, writer.pk, writer.path, start, offset), start)
            if start == writer.sealed_to:
                tails.put(writer.pk, read.blocks)
        writer.decoder = decoder
    return decoder


def _stamps(decoded: Decoded, wall_us: int) -> tuple[Ints, Ints]:
    """Where the rows' frames start, ascending, and their unix µs by the writer's own clock."""
    groups = decoded.batch.groups
    if not groups:
        none = np.zeros(0, np.int64)
        return none, none
    offsets = np.concatenate([np.array(group.offsets, np.int64) for group in groups])
    stamps = np.concatenate([np.array(group.ts, np.int64) for group in groups]) + wall_us
    if len(groups) > 1:
        order = np.argsort(offsets)
        return offsets[order], stamps[order]
    return offsets, stamps
