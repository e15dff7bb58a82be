"""From a writer's bytes to blocks of columns, keeping the segment's tables from call to call."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

from kiseki.records.framing import Damaged, split_frames
from kiseki.records.kinds import Header, Segment
from kiseki.records.reader import Batch, SegmentDecoder, read_header
from kiseki.store.columns import Block, block_of, empty_block


class Decoded(NamedTuple):
    """What bytes hold: records' own batch, and the same rows as blocks, cut where a segment starts."""

    batch: Batch
    blocks: list[Block]


class BlockDecoder:
    """Turns the bytes of one writer, fed in order from the start of a segment on, into blocks.

    `segment` counts the segments of the file (0 for the first), `segment_offset` is the byte where the
    current one starts; the first starts at byte 0, before the header.
    """

    def __init__(self, header: Header, segment: int = 0, segment_offset: int = 0) -> None:
        self.header = header
        self.segment = segment
        self.segment_offset = segment_offset
        self._decoder = SegmentDecoder(header)
        # Until the first frame: the record that opens this segment begins no other one.
        self._fresh = True

    def feed(self, data: bytes, offset: int) -> Decoded:
        """The blocks of whole, checked frames that start at byte `offset`, right behind the last ones.

        Raises records' Damaged at a frame that makes no sense; the decoder is of no use then.
        """
        start = read_header(data)[1] if offset == 0 else 0
        spans = split_frames(data, start, verify=False).spans
        if not spans:
            return Decoded(Batch([], []), [empty_block(self.segment, offset, offset + len(data))])
        first = offset + spans[0][0] - 8 if self._fresh else -1
        self._fresh = False
        with frozen_collector():
            batch = self._decoder.decode_batch(data, spans, offset)
            whole = block_of(batch, self.segment, offset, offset + len(data))
        opened = [e.offset for e in batch.others if isinstance(e.record, Segment) and e.offset != first]
        blocks: list[Block] = []
        at = offset
        for end in (*opened, offset + len(data)):
            if end > at:
                blocks.append(replace(whole.between(at, end), segment=self.segment))
            if end != offset + len(data):
                self.segment += 1
                self.segment_offset = end
            at = end
        return Decoded(batch, blocks)


def decode_segments(header: Header, data: bytes, offset: int, segment: int) -> list[Block]:
    """The blocks of bytes that begin with a segment; they end before the first frame that makes no sense."""
    try:
        return BlockDecoder(header, segment, offset).feed(data, offset).blocks
    except Damaged as damage:
        good = data[: damage.byte - offset]
        return BlockDecoder(header, segment, offset).feed(good, offset).blocks if good else []


@contextmanager
def frozen_collector() -> Iterator[None]:
    """Keep the garbage collector from walking a batch's many small objects while it is decoded."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
