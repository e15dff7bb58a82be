"""Hot tails: the columns, in memory, of what is not sealed yet, filled when first asked for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from kiseki.records.kinds import Header
from kiseki.store.blocks import decode_segments
from kiseki.store.columns import Block, merge
from kiseki.store.source import read_source

MEMORY_BYTES = 256 * 1024 * 1024
"""About what all tails together may hold; the one used longest ago goes first."""


class Unsealed(NamedTuple):
    """The stretch of a writer's file that no chunk holds yet; it begins with segment `segment`."""

    writer_pk: int
    header: Header
    path: str | None
    start: int
    end: int
    segment: int


decode_header = msgspec.msgpack.Decoder(Header).decode


class _Tail:
    __slots__ = ("blocks", "weight")

    def __init__(self, blocks: list[Block]) -> None:
        self.blocks = blocks
        self.weight = sum(block.weight() for block in blocks)

    @property
    def start(self) -> int:
        return self.blocks[0].start

    @property
    def end(self) -> int:
        return self.blocks[-1].end

    def extend(self, more: Sequence[Block]) -> None:
        """Append blocks; neighbours of one segment merge as in a binary counter, so that few blocks stay."""
        for block in more:
            self.blocks.append(block)
            self.weight += block.weight()
            while len(self.blocks) > 1:
                left, right = self.blocks[-2:]
                if left.segment != right.segment or len(left) > 2 * len(right):
                    break
                self.blocks[-2:] = [merge((left, right))]


class Tails:
    """The tails of all writers, shared by ingest, which extends them as it decodes, and readers.

    A tail may be ahead of a reader's snapshot: `read` cuts it there, so nobody sees what is not committed.
    """

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._memory_bytes = memory_bytes
        self._lock = threading.Lock()
        self._tails: OrderedDict[int, _Tail] = OrderedDict()
        self._weight = 0

    def read(self, connection: Connection, asked: Unsealed) -> list[Block]:
        """The blocks of what is not sealed. Raises SourceGone where neither memory nor source holds them."""
        if asked.start >= asked.end:
            return []
        blocks = self._held(asked.writer_pk, asked.start, asked.end)
        if blocks is not None:
            return blocks
        data = read_source(connection, asked.writer_pk, asked.path, asked.start, asked.end)
        # What is not sealed begins with a segment: a writer that goes on after its end is unsealed first.
        blocks = decode_segments(asked.header, data, asked.start, asked.segment)
        with self._lock:
            tail = self._tails.get(asked.writer_pk)
            # A reader of an older snapshot must not take the place of what ingest has decoded since.
            if blocks and (tail is None or tail.end < asked.end):
                self._drop(asked.writer_pk)
                self._hold(asked.writer_pk, _Tail([]), blocks)
        return blocks

    def put(self, writer_pk: int, blocks: list[Block]) -> None:
        """Hold these blocks as a writer's whole tail."""
        with self._lock:
            self._drop(writer_pk)
            if blocks:
                self._hold(writer_pk, _Tail([]), blocks)

    def extend(self, writer_pk: int, blocks: Sequence[Block], sealed_to: int) -> None:
        """Append what was just decoded, if the tail is held up to there or begins there (`sealed_to`)."""
        with self._lock:
            tail = self._tails.get(writer_pk)
            if tail is None and blocks and blocks[0].start == sealed_to:
                self._hold(writer_pk, _Tail([]), blocks)
            elif tail is not None and blocks and tail.end == blocks[0].start:
                self._weight -= tail.weight
                self._hold(writer_pk, tail, blocks)

    def sealed(self, writer_pk: int, to: int) -> None:
        """Let go of the blocks before byte `to`; readers of older snapshots find them in their source."""
        with self._lock:
            tail = self._tails.get(writer_pk)
            if tail is None:
                return
            self._drop(writer_pk)
            left = [block for block in tail.blocks if block.start >= to]
            if left:
                self._hold(writer_pk, _Tail([]), left)

    def forget(self, writer_pk: int) -> None:
        """Let go of a tail: what it held may never have been committed."""
        with self._lock:
            self._drop(writer_pk)

    def _held(self, writer_pk: int, start: int, end: int) -> list[Block] | None:
        with self._lock:
            tail = self._tails.get(writer_pk)
            if tail is None or tail.start > start or tail.end < end:
                return None
            self._tails.move_to_end(writer_pk)
            blocks = list(tail.blocks)
        return [block.between(start, end) for block in blocks if block.start < end and block.end > start]

    def _hold(self, writer_pk: int, tail: _Tail, blocks: Sequence[Block]) -> None:
        tail.extend(blocks)
        self._weight += tail.weight
        self._tails[writer_pk] = tail
        self._tails.move_to_end(writer_pk)
        while self._weight > self._memory_bytes and len(self._tails) > 1:
            self._drop(next(iter(self._tails)))

    def _drop(self, writer_pk: int) -> None:
        tail = self._tails.pop(writer_pk, None)
        if tail is not None:
            self._weight -= tail.weight
