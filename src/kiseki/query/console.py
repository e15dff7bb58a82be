"""A run's console: lines of a lane by their numbers, from blocks and from the screen behind them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, select

from kiseki.query.answers import ConsoleLane, ConsoleLine, ConsolePage, ConsoleStream
from kiseki.query.errors import NotFound
from kiseki.records.kinds import DATA_ROLES, Header
from kiseki.records.lanes import order_lanes
from kiseki.records.sgr import without_styles
from kiseki.store.tables import console_blocks, writers

if TYPE_CHECKING:
    from kiseki.records.terminal import Line
    from kiseki.store import Store
    from kiseki.store.console import ConsoleBlock
    from kiseki.store.console_tails import ConsoleTail

PAGE_TEXT: Final = 4 * 1024 * 1024
"""Characters after which a page ends before its limit of lines."""

_TEXT_LINES: Final = 20_000
_STREAMS: Final[dict[int, ConsoleStream]] = {0: "note", 1: "stdout", 2: "stderr"}

_WRITERS = select(
    writers.c.id,
    writers.c.header,
    writers.c.path,
    writers.c.offset,
    writers.c.sealed_to,
    writers.c.sealed_segments,
    writers.c.ended,
    writers.c.console,
    writers.c.console_lines,
).where(writers.c.run_pk == bindparam("run"), writers.c.role.in_(DATA_ROLES))
_COLUMNS = select(console_blocks.c.first_line, console_blocks.c.lines, console_blocks.c.data)
_OF_WRITER = console_blocks.c.writer_pk == bindparam("writer")
_FIRST_BLOCK = (
    select(console_blocks.c.first_line)
    .where(_OF_WRITER, console_blocks.c.first_line <= bindparam("start"))
    .order_by(console_blocks.c.first_line.desc())
    .limit(1)
)
_BLOCKS = _COLUMNS.where(
    _OF_WRITER,
    console_blocks.c.first_line >= bindparam("first"),
    console_blocks.c.first_line < bindparam("end"),
).order_by(console_blocks.c.first_line)


class Numbered(NamedTuple):
    """Lines of a lane that lie in one block, or behind the blocks; `first` is the number of the first."""

    first: int
    block: ConsoleBlock | None
    tail: Sequence[Line]

    def lines(self) -> Sequence[Line]:
        """The lines themselves."""
        return self.tail if self.block is None else self.block.lines()

    def text(self) -> str:
        """The lines joined by line feeds."""
        return "\n".join(line.text for line in self.tail) if self.block is None else self.block.text


@dataclass(frozen=True)
class _Part:
    """One writer's share of a lane: `first` is its first line's number, `sealed` how many lie in blocks."""

    pk: int
    first: int
    sealed: int
    tail: ConsoleTail
    ended: bool

    @property
    def end(self) -> int:
        return self.first + self.sealed + len(self.tail.lines)

    def read(self, connection: Connection, start: int, end: int) -> Iterator[Numbered]:
        """What holds the lines from number `start` on and before `end`; it may hold more at both sides."""
        behind = self.first + self.sealed
        if start < behind and start < end:
            first = connection.execute(
                _FIRST_BLOCK, {"writer": self.pk, "start": start - self.first}
            ).scalar()
            found = connection.execute(
                _BLOCKS, {"writer": self.pk, "first": first or 0, "end": min(end, behind) - self.first}
            )
            from kiseki.store.console import decode_block

            for block in found:
                yield Numbered(self.first + block.first_line, decode_block(block.data), ())
        if end > behind and self.tail.lines:
            yield Numbered(behind, None, self.tail.lines)


@dataclass(frozen=True)
class LaneConsole:
    """The lines of one lane in one snapshot of the store."""

    label: str
    parts: list[_Part]

    @property
    def total(self) -> int:
        """How many lines there are."""
        return self.parts[-1].end

    @property
    def stable(self) -> int:
        """Lines before this number do not change any more."""
        last = self.parts[-1]
        return last.end if last.ended else last.first + last.sealed + last.tail.final

    @property
    def cursor(self) -> int:
        """The number of the line that is being written."""
        last = self.parts[-1]
        return last.end if last.ended else last.first + last.sealed + last.tail.cursor

    def read(self, connection: Connection, start: int, end: int) -> Iterator[Numbered]:
        """What holds the lines from number `start` on and before `end`, in order."""
        for part in self.parts:
            if part.first < end and part.end > start:
                yield from part.read(connection, max(start, part.first), min(end, part.end))

    def lines(self, connection: Connection, start: int, end: int) -> Iterator[tuple[int, Line]]:
        """The lines from number `start` on and before `end`, with their numbers."""
        for piece in self.read(connection, start, end):
            lines = piece.lines()
            low, high = max(start - piece.first, 0), max(end - piece.first, 0)
            yield from enumerate(lines[low:high], piece.first + low)


def open_lanes(store: Store, connection: Connection, run_pk: int) -> list[LaneConsole]:
    """The consoles of a run's lanes, the primary one first."""
    from kiseki.store.tails import Unsealed, decode_header

    rows: dict[str, Any] = {}
    headers: list[Header] = []
    for row in connection.execute(_WRITERS, {"run": run_pk}):
        header = decode_header(row.header)
        headers.append(header)
        rows[header.writer] = row
    lanes: list[LaneConsole] = []
    for members in order_lanes(headers):
        parts: list[_Part] = []
        first = 0
        for header in members:
            row = rows[header.writer]
            asked = Unsealed(row.id, header, row.path, row.sealed_to, row.offset, row.sealed_segments)
            tail = store.console_tails.read(connection, asked, row.console)
            parts.append(_Part(row.id, first, row.console_lines, tail, row.ended))
            first = parts[-1].end
        lanes.append(LaneConsole("" if members[0].primary else members[0].label, parts))
    return lanes


def lane_of(lanes: Sequence[LaneConsole], lane: int) -> LaneConsole:
    """One lane by its number; raises NotFound."""
    if not 0 <= lane < len(lanes):
        raise NotFound(f"this run has no lane {lane}; it has {len(lanes)}")
    return lanes[lane]


def console_page(
    store: Store, run_pk: int, *, lane: int = 0, first: int = -500, limit: int = 500
) -> ConsolePage:
    """Return up to `limit` lines of a lane from number `first` on; negative, counted from the end.

    A page of long lines ends earlier: at its end or, where it is counted from the end, at its beginning.
    Raises NotFound.
    """
    with store.read() as connection:
        lanes = open_lanes(store, connection, run_pk)
        counts = [ConsoleLane(lane=n, label=each.label, lines=each.total) for n, each in enumerate(lanes)]
        if not lanes and lane == 0:
            return ConsolePage(total=0, stable=0, cursor=0, live=False, lines=[], lanes=[])
        asked = lane_of(lanes, lane)
        start = max(asked.total + first, 0) if first < 0 else first
        end = min(start + limit, asked.total)
        found = _within(asked.lines(connection, start, end), from_end=first < 0)
    lines = [console_line(number, line) for number, line in found]
    return ConsolePage(
        total=asked.total,
        stable=asked.stable,
        cursor=asked.cursor,
        live=not asked.parts[-1].ended,
        lines=lines,
        lanes=counts,
    )


def console_text(store: Store, run_pk: int, *, lane: int = 0, ansi: bool = False) -> Iterator[str]:
    """Yield the text of a lane piece by piece, each line with its line feed. Raises NotFound at once."""
    with store.read() as connection:
        lanes = open_lanes(store, connection, run_pk)
    total = 0 if not lanes and lane == 0 else lane_of(lanes, lane).total
    return _text(store, run_pk, lane, total, ansi)


def _text(store: Store, run_pk: int, lane: int, total: int, ansi: bool) -> Iterator[str]:
    for start in range(0, total, _TEXT_LINES):
        # A snapshot of its own for each piece: the reader may be slow, and the store's log grows meanwhile.
        with store.read() as connection:
            asked = open_lanes(store, connection, run_pk)[lane]
            texts = [line.text for _, line in asked.lines(connection, start, min(start + _TEXT_LINES, total))]
        if texts:
            text = "\n".join(texts) + "\n"
            yield text if ansi else without_styles(text)


def console_line(number: int, line: Line) -> ConsoleLine:
    """A line as the API sends it."""
    return ConsoleLine(
        n=number, time=line.time_us / 1e6, stream=_STREAMS.get(line.stream, "stdout"), text=line.text
    )


def _within(lines: Iterable[tuple[int, Line]], *, from_end: bool) -> Iterable[tuple[int, Line]]:
    """The lines that fit into a page, at least one, the first of these or the last; no more are held."""
    kept: deque[tuple[int, Line]] = deque()
    size = 0
    for number, line in lines:
        if not from_end and kept and size + len(line.text) > PAGE_TEXT:
            break
        kept.append((number, line))
        size += len(line.text)
        while size > PAGE_TEXT and len(kept) > 1:
            size -= len(kept.popleft()[1].text)
    return kept
