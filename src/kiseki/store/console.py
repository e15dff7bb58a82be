"""A writer's console where it is sealed: blocks of final lines, and the terminal that stands behind them.

Specified in docs/formats/console.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import msgspec

from kiseki.records.console import feed_console
from kiseki.records.kinds import Console
from kiseki.records.reader import Entry
from kiseki.records.terminal import Line, Terminal
from kiseki.store.codec import compress, decompress
from kiseki.store.tables import DERIVED_VERSION

BLOCK_TEXT = 64 * 1024
"""Characters of text of one block, line breaks counted; a line that is longer is a block of its own."""

_encode = msgspec.msgpack.Encoder().encode


class ConsoleState(msgspec.Struct, array_like=True, frozen=True):
    """What stands behind the blocks of a writer: how many they are, and the terminal at `sealed_to`."""

    blocks: int = 0
    lines: int = 0
    terminal: bytes = b""
    before: tuple[int, int, bytes] | None = None
    """The same at the start of the segment that was sealed last, where that segment may still go on."""

    def reopened(self) -> ConsoleState | None:
        """The state without the segment that was sealed last; None where it needs no change."""
        return None if self.before is None else ConsoleState(*self.before)


class ConsoleBlock(NamedTuple):
    """The lines of one block, column by column; `text` holds them joined by line feeds."""

    times_us: list[int]
    streams: bytes
    text: str

    def lines(self) -> list[Line]:
        """The lines themselves."""
        return list(map(Line._make, zip(self.times_us, self.streams, self.text.split("\n"), strict=True)))


_decode_state = msgspec.msgpack.Decoder(ConsoleState).decode
_decode_block = msgspec.msgpack.Decoder(tuple[list[int], bytes, str]).decode


def encode_state(state: ConsoleState) -> bytes:
    """The state as the column `writers.console` holds it."""
    return compress(_encode(state))


def decode_state(data: bytes | None) -> ConsoleState:
    """The state in these bytes; that of a writer without console records for None."""
    return ConsoleState() if data is None else _decode_state(decompress(data))


def decode_block(data: bytes) -> ConsoleBlock:
    """The block in these bytes."""
    steps, streams, text = _decode_block(decompress(data))
    return ConsoleBlock(list(accumulate(steps)), streams, text)


def seal_console(
    state: ConsoleState, entries: Sequence[Entry], run_pk: int, writer_pk: int, *, partial: bool
) -> tuple[ConsoleState, list[dict[str, Any]]]:
    """The state after one segment's records, and the rows of `console_blocks` that they make.

    `partial`: the segment may still go on, because its writer only seems to have ended. The rows depend on
    the writer's bytes alone.
    """
    if not any(isinstance(entry.record, Console) for entry in entries):
        return ConsoleState(state.blocks, state.lines, state.terminal), []
    terminal = Terminal.from_bytes(state.terminal)
    feed_console(terminal, entries)
    rows = [
        {
            "run_pk": run_pk,
            "writer_pk": writer_pk,
            "block": state.blocks + number,
            "first_line": state.lines + first,
            "lines": len(lines),
            "first_us": min(line.time_us for line in lines),
            "last_us": max(line.time_us for line in lines),
            "data": _encode_block(lines),
            "version": DERIVED_VERSION,
        }
        for number, (first, lines) in enumerate(_cut(terminal.take()))
    ]
    before = (state.blocks, state.lines, state.terminal) if partial else None
    return ConsoleState(state.blocks + len(rows), terminal.lines, terminal.to_bytes(), before), rows


def _cut(lines: list[Line]) -> Iterable[tuple[int, list[Line]]]:
    """The lines in pieces of one block, each with the index of its first one."""
    first = size = 0
    for index, line in enumerate(lines):
        size += len(line.text) + 1
        if size > BLOCK_TEXT and index > first:
            yield first, lines[first:index]
            first, size = index, len(line.text) + 1
    if lines:
        yield first, lines[first:]


def _encode_block(lines: list[Line]) -> bytes:
    times = [line.time_us for line in lines]
    steps = [times[0], *(after - before for before, after in pairwise(times))]
    text = "\n".join(line.text for line in lines)
    return compress(_encode((steps, bytes(line.stream for line in lines), text)))
