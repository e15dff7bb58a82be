"""What a terminal would show of a run's output: lines that are final, and a screen that may still change.

The sequences that it knows are those of docs/formats/console.md. Stdout and stderr share one screen.
"""

from __future__ import annotations

import re
from codecs import utf_8_decode
from collections.abc import Callable, Iterable
from itertools import repeat
from typing import NamedTuple

import msgspec

from .screen_row import MAX_COLUMNS, Row, measure
from .sgr import PLAIN, next_style

NOTE, STDOUT, STDERR = 0, 1, 2
"""Streams of a console record."""

SCREEN_ROWS = 100
"""Rows that the cursor can still reach; what scrolls out above them is final."""

SCREEN_TEXT = 256 * 1024
"""Characters above the last row that the screen holds, looked at whenever a long row is left behind."""

REACH = 512
"""Columns that a cursor movement reaches where no text stands: a terminal is about as wide at most."""

_LONG = 1024
_UNTIDY = 1000

_MAX_STRING = 1024 * 1024
"""Characters after which the end of a control string is no longer waited for."""

_OPEN_REACH = 64
_CONTROLS = bytes(set(range(0x20)) - {0x09, 0x0A}) + b"\x7f"
_C1 = re.compile(rb"\xc2[\x80-\x9f]")
_TOKEN = re.compile(
    r"\x1b\[([0-?]{0,58})[ -/]{0,2}([@-~])"  # a control sequence
    r"|\x1b([\]PX^_])"  # the opening of a control string: title, hyperlink, image
    r"|\x1b[ -/]{0,2}[0-OQ-WYZ\\`-~]"  # another escape sequence
    r"|([\x00-\x08\n-\x1f\x7f-\x9f])"  # a control character
)
_OPEN = re.compile(r"\x1b(?:\[[0-?]{0,58}[ -/]{0,2}|[ -/]{0,2})\Z")
_SGR = re.compile(r"\x1b\[([0-9;:]{0,58})m")
_SHORT = 4096
_MOST_TOGETHER = 512
_STRING_END = re.compile(r"\x07|\x1b\\|\x9c")


class Line(NamedTuple):
    """A line: when it last changed (unix µs), the stream that did it, and its text with SGR sequences.

    The text has no other control character but tabs, and begins and ends without a style.
    """

    time_us: int
    stream: int
    text: str


class _Carry(msgspec.Struct, array_like=True):
    """What of a stream waits for more: bytes of a sequence that is not whole, and a string that is open."""

    held: bytes = b""
    swallowed: int = -1
    """Characters of the open control string so far; -1 outside of one."""


class _Together:
    """Writes to one stream that can be taken together: whole lines, and the beginning of one."""

    __slots__ = ("ends", "line_bytes", "line_us", "stream", "times", "writes")

    def __init__(self, stream: int) -> None:
        self.stream = stream
        self.writes: list[tuple[int, bytes]] = []
        self.ends: list[int] = []
        """How many writes there are up to the end of each whole line."""
        self.times: list[int] = []
        """When each whole line changed last."""
        self.line_us = self.line_bytes = 0


class _Kept(msgspec.Struct, array_like=True, frozen=True):
    """A terminal as bytes."""

    lines: int
    rows: list[tuple[int, int, str, list[tuple[int, str]], bool]]
    row: int
    column: int
    style: str
    carries: list[_Carry]


_decode_kept = msgspec.msgpack.Decoder(_Kept).decode


class Terminal:
    """A terminal of unbounded width. It is fed with what a process wrote, in any pieces."""

    def __init__(self) -> None:
        self._lines = 0
        self._final: list[Line] = []
        # Between two calls of `_scroll` more than the screen has: it is too dear after each line.
        self._rows: list[Row | Line] = [Row(0, STDOUT)]
        self._left = 0
        self._time_us = 0
        self._row = 0
        self._column = 0
        self._style = PLAIN
        self._carries = [_Carry(), _Carry(), _Carry()]

    def feed(self, time_us: int, stream: int, data: bytes) -> None:
        """Take bytes that were written to a stream at a time (unix µs)."""
        if not data:
            return
        stream = stream if 0 <= stream <= 2 else STDOUT
        self._time_us = time_us
        if not (self._rows[0].time_us or self._rows[0].text):
            self._rows[0] = Row(time_us, stream)
        if stream == NOTE:
            self._note(time_us, data)
            return
        carry = self._carries[stream]
        if b"\r\n" in data:
            data = data.replace(b"\r\n", b"\n")
        if self._takes_plainly(stream, data):
            text, used = utf_8_decode(data, "replace", False)
            if self._append(time_us, stream, text):
                carry.held = data[used:]
                return
        text, used = utf_8_decode(carry.held + data, "replace", False)
        rest = (carry.held + data)[used:]
        if "\x1b" in text[-_OPEN_REACH:]:
            open_ = _OPEN.search(text, max(len(text) - _OPEN_REACH, 0))
            if open_ is not None:
                rest = text[open_.start() :].encode() + rest
                text = text[: open_.start()]
        carry.held = rest
        self._scroll()
        self._interpret(time_us, stream, text, carry)

    def feed_all(self, writes: Iterable[tuple[int, int, bytes]]) -> None:
        """Take many writes, each a time, a stream and bytes; the same as feeding them one by one.

        What makes up whole lines of one stream, which most output does, is taken together.
        """
        together = _Together(-1)
        for time_us, stream, data in writes:
            breaks = data.count(b"\n")
            whole = data.endswith(b"\n") if breaks else _ends_with_character(data)
            if not (
                whole
                and breaks < 2
                and STDOUT <= stream <= STDERR
                and together.line_bytes + len(data) < _SHORT
            ):
                self._feed_together(together)
                together = _Together(stream)
                self.feed(time_us, stream, data)
                continue
            full = len(together.writes) >= _MOST_TOGETHER and not together.line_bytes
            if full or stream != together.stream:
                self._feed_together(together)
                together = _Together(stream)
            together.writes.append((time_us, data))
            if len(data) > breaks:
                together.line_us = time_us
                together.line_bytes += len(data)
            if breaks:
                together.times.append(together.line_us or time_us)
                together.ends.append(len(together.writes))
                together.line_us = together.line_bytes = 0
        self._feed_together(together)

    def _feed_together(self, together: _Together) -> None:
        writes, ends, times, stream = together.writes, together.ends, together.times, together.stream
        at = 0
        if ends and self._rows[-1].text:
            # The end of a line that was begun before.
            at = ends[0]
            self._feed_each(writes[:at], stream)
            times = times[1:]
        end = ends[-1] if ends else 0
        data = b"".join([data for _, data in writes[at:end]])
        fresh = self._column == 0 and not self._rows[-1].text
        if data and fresh and self._takes_plainly(stream, data):
            last_us = writes[end - 1][0]
            texts = data.decode("utf-8", "replace").split("\n")
            self._rows.pop()
            self._rows += map(Line._make, zip(times, repeat(stream), texts))
            self._rows.append(Line(last_us, stream, ""))
            self._time_us, self._row = last_us, len(self._rows) - 1
            self._scroll()
            at = end
        self._feed_each(writes[at:], stream)

    def _feed_each(self, writes: list[tuple[int, bytes]], stream: int) -> None:
        for time_us, data in writes:
            self.feed(time_us, stream, data)

    def take(self) -> list[Line]:
        """The lines that became final since the last call."""
        self._scroll()
        final, self._final = self._final, []
        return final

    def screen(self) -> list[Line]:
        """The lines that may still change, without the blank ones at the end."""
        self._scroll()
        lines = list(map(_line, self._rows))
        while lines and not lines[-1].text.strip():
            lines.pop()
        return lines

    @property
    def lines(self) -> int:
        """How many lines are final since the beginning, those that were taken included."""
        self._scroll()
        return self._lines

    @property
    def cursor(self) -> int:
        """The row of the screen that the cursor stands on."""
        self._scroll()
        return self._row

    def to_bytes(self) -> bytes:
        """The terminal's state, without final lines that were not taken."""
        self._scroll()
        rows = map(_row, self._rows)
        return msgspec.msgpack.encode(
            _Kept(
                self._lines,
                [(row.time_us, row.stream, row.text, row.marks, row.cut) for row in rows],
                self._row,
                self._column,
                self._style,
                self._carries,
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Terminal:
        """The terminal that `to_bytes` was called on; a new one for b""."""
        terminal = cls()
        if data:
            kept = _decode_kept(data)
            terminal._lines = kept.lines
            terminal._rows = [Row(*row) for row in kept.rows]
            terminal._left = len(terminal._rows) - 1
            terminal._row, terminal._column = kept.row, kept.column
            terminal._style, terminal._carries = kept.style, kept.carries
        return terminal

    def _takes_plainly(self, stream: int, data: bytes) -> bool:
        """Whether nothing but line feeds and tabs is to be interpreted, and the cursor is in the last row."""
        carry = self._carries[stream]
        return (
            not carry.held
            and carry.swallowed < 0
            and self._style == PLAIN
            and self._row == len(self._rows) - 1
            and len(data.translate(None, _CONTROLS)) == len(data)
            and not (b"\xc2" in data and _C1.search(data))
        )

    def _append(self, time_us: int, stream: int, text: str) -> bool:
        """Append text that holds no control character but line feeds and tabs, where the cursor is at the end
        of all rows; False where it is not.
        """
        last = self._rows[-1]
        if self._column != (last.width if isinstance(last, Row) else measure(last.text)):
            return False
        parts = text.split("\n")
        if last.text or len(text) * 8 > MAX_COLUMNS:
            if parts[0]:
                self._write(time_us, stream, parts[0])
            elif len(parts) > 1 and not last.text:
                self._rows[-1] = Row(time_us, stream)
            del parts[0]
        else:
            del self._rows[-1]
        if not parts:
            return True
        if len(text) * 8 > MAX_COLUMNS and max(map(len, parts)) * 8 > MAX_COLUMNS:
            for part in parts:
                self._rows.append(row := Row(time_us, stream))
                self._column = row.put(0, part, PLAIN)
        else:
            self._rows += map(Line._make, zip(repeat(time_us), repeat(stream), parts))
            self._column = measure(parts[-1]) if parts[-1] else 0
        self._row = len(self._rows) - 1
        if self._row > _UNTIDY:
            self._scroll()
        return True

    def _note(self, time_us: int, data: bytes) -> None:
        """A line of Kiseki's own, below everything."""
        if self._rows[-1].text:
            self._rows.append(Row(time_us, NOTE))
        for text in data.decode("utf-8", "replace").splitlines():
            row = self._rows[-1] = Row(time_us, NOTE)
            row.put(0, _TOKEN.sub("", text), PLAIN)
            self._rows.append(Row(time_us, STDOUT))
        self._row, self._column = len(self._rows) - 1, 0
        self._scroll()

    def _interpret(self, time_us: int, stream: int, text: str, carry: _Carry) -> None:
        at, end = 0, len(text)
        while at < end:
            if carry.swallowed >= 0:
                at = self._swallow(text, at, carry)
                continue
            if self._column == 0 and self._row == len(self._rows) - 1 and not self._rows[-1].text:
                at = self._styled_lines(time_us, stream, text, at)
                if at == end:
                    return
            found = _TOKEN.search(text, at)
            if found is None:
                self._write(time_us, stream, text[at:])
                return
            if found.start() > at:
                self._write(time_us, stream, text[at : found.start()])
            at = found.end()
            parameters, final, opening, control = found.groups()
            if control is not None:
                self._control(time_us, stream, control)
            elif final == "m":
                if not parameters or parameters[0] not in "<=>?":
                    self._style = next_style(self._style, parameters)
            elif final is not None:
                handle = _SEQUENCES.get(final)
                if handle is not None and not parameters.startswith(("<", "=", ">", "?")):
                    handle(self, _numbers(parameters))
            elif opening is not None:
                carry.swallowed = 0

    def _styled_lines(self, time_us: int, stream: int, text: str, at: int) -> int:
        """Take the lines from `at` on that hold nothing but text and styles, onto an empty last row; returns
        where they end.
        """
        while (line_end := text.find("\n", at)) >= 0 and line_end - at <= _SHORT:
            pieces = _SGR.split(text[at:line_end])
            plain = "".join(pieces[::2])
            if _TOKEN.search(plain):
                break
            marks: list[tuple[int, str]] = [(0, self._style)] if self._style and plain else []
            index = 0
            for place in range(1, len(pieces), 2):
                index += len(pieces[place - 1])
                self._style = next_style(self._style, pieces[place])
                while marks and marks[-1][0] == index:
                    marks.pop()
                if index < len(plain) and (marks[-1][1] if marks else PLAIN) != self._style:
                    marks.append((index, self._style))
            self._rows[-1] = Row(time_us, stream, plain, marks)
            self._rows.append(Row(time_us, stream))
            at = line_end + 1
        self._row = len(self._rows) - 1
        self._scroll()
        return at

    def _swallow(self, text: str, at: int, carry: _Carry) -> int:
        """Pass over a control string; returns where text goes on."""
        found = _STRING_END.search(text, at)
        end = len(text) if found is None else found.end()
        carry.swallowed += end - at
        if found is not None or carry.swallowed > _MAX_STRING:
            carry.swallowed = -1
        return end

    def _write(self, time_us: int, stream: int, text: str) -> None:
        row = self._current()
        row.time_us, row.stream = time_us, stream
        self._column = row.put(self._column, text, self._style)

    def _control(self, time_us: int, stream: int, control: str) -> None:
        if control == "\r":
            self._column = 0
        elif control in "\n\v\f":
            row = self._rows[self._row]
            if not row.text:
                self._rows[self._row] = Row(time_us, stream)
            self._column = 0
            self._row += 1
            if self._row == len(self._rows):
                self._rows.append(Row(time_us, stream))
                self._scroll()
        elif control == "\b":
            self._column = max(self._column - 1, 0)

    def _scroll(self) -> None:
        """Let go of the rows above the screen; those from `_left` on, but the last, were just left behind."""
        rows = self._rows
        last = len(rows) - 1
        if last == self._left:
            return
        top = max(len(rows) - SCREEN_ROWS, 0)
        long = next((i for i in range(last - 1, self._left - 1, -1) if len(rows[i].text) > _LONG), -1)
        held = sum(len(row.text) for row in rows[top : long + 1])
        while held > SCREEN_TEXT:
            held -= len(rows[top].text)
            top += 1
        if top:
            self._final += map(_line, rows[:top])
            self._lines += top
            del rows[:top]
            self._row = max(self._row - top, 0)
        self._left = len(rows) - 1

    def _current(self) -> Row:
        row = self._rows[self._row]
        if isinstance(row, Line):
            row = self._rows[self._row] = _row(row)
        return row

    def _move_to(self, row: int, column: int) -> None:
        """Put the cursor on a row of the screen; there are rows down to it then."""
        row = min(max(row, 0), SCREEN_ROWS - 1)
        # One blank line for all: a few bytes may ask for many rows, again and again.
        self._rows += [Line(self._time_us, STDOUT, "")] * (row + 1 - len(self._rows))
        if column > REACH:
            there = self._rows[row]
            width = there.width if isinstance(there, Row) else measure(there.text)
            column = min(column, max(width, REACH))
        self._row, self._column = row, max(column, 0)

    def _erase_line(self, what: int) -> None:
        row = self._current()
        if what == 0:
            row.erase_from(self._column)
        elif what == 1:
            row.erase_to(self._column)
        elif what == 2:
            row.erase_from(0)

    def _erase_screen(self, what: int) -> None:
        if what == 0:
            self._erase_line(0)
            del self._rows[self._row + 1 :]
        elif what == 1:
            for index in range(self._row):
                self._rows[index] = Row(self._rows[index].time_us, STDOUT)
            self._erase_line(1)
        elif what == 2:
            # A log forgets nothing: what the screen showed becomes final, and a new screen begins below it.
            shown = self.screen()
            self._final += shown
            self._lines += len(shown)
            self._rows = [Row(self._time_us, STDOUT)]
            self._row = 0
        self._left = min(self._left, len(self._rows) - 1)


def _ends_with_character(data: bytes) -> bool:
    """Whether no character of UTF-8 is cut at the end."""
    return data[-1:] < b"\x80" or utf_8_decode(data, "replace", False)[1] == len(data)


def _numbers(parameters: str) -> list[int]:
    """The parameters of a control sequence; absent ones are 0."""
    return [int(number) if number.isdigit() else 0 for number in parameters[:64].split(";")]


def _row(row: Row | Line) -> Row:
    return Row(row.time_us, row.stream, row.text) if isinstance(row, Line) else row


def _line(row: Row | Line) -> Line:
    return row if isinstance(row, Line) else Line(row.time_us, row.stream, row.rendered())


def _count(numbers: list[int]) -> int:
    return numbers[0] or 1


def _second(numbers: list[int]) -> int:
    return (numbers[1] if len(numbers) > 1 else 0) or 1


_SEQUENCES: dict[str, Callable[[Terminal, list[int]], None]] = {
    "A": lambda t, n: t._move_to(t._row - _count(n), t._column),
    "B": lambda t, n: t._move_to(t._row + _count(n), t._column),
    "C": lambda t, n: t._move_to(t._row, t._column + _count(n)),
    "D": lambda t, n: t._move_to(t._row, t._column - _count(n)),
    "E": lambda t, n: t._move_to(t._row + _count(n), 0),
    "F": lambda t, n: t._move_to(t._row - _count(n), 0),
    "G": lambda t, n: t._move_to(t._row, _count(n) - 1),
    "H": lambda t, n: t._move_to(_count(n) - 1, _second(n) - 1),
    "f": lambda t, n: t._move_to(_count(n) - 1, _second(n) - 1),
    "J": lambda t, n: t._erase_screen(n[0]),
    "K": lambda t, n: t._erase_line(n[0]),
}
