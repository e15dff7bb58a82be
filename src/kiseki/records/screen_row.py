"""One row of a terminal's screen: text by columns, overwritten and erased in place, with its styles."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from .sgr import PLAIN, change

MAX_COLUMNS = 64 * 1024
"""Columns of a line that are kept."""

CUT_MARK = " … [cut: a longer line]"
"""Stands at the end of a line that was longer."""

_MAX_MARKS = 4096
_TAB = 8
# Anything that may be wider or narrower than one column; letters, box drawing, blocks and braille are not.
_ODD = re.compile("[^\x20-\x7e\xa1-\xac\xae-\u02ff\u2190-\u2300\u2500-\u25fc\u2800-\u28ff]")


@lru_cache(maxsize=8192)
def _columns_of(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def measure(text: str, column: int = 0) -> int:
    """The column behind `text` (without control characters but tabs) that begins at `column`."""
    if not _ODD.search(text):
        return column + len(text)
    for character in text:
        column += _TAB - column % _TAB if character == "\t" else _columns_of(character)
    return column


def _locate(text: str, column: int) -> tuple[int, int]:
    """The index of what stands at `column`, and how many columns of it lie before that."""
    if not _ODD.search(text):
        return min(column, len(text)), 0
    at = 0
    for index, character in enumerate(text):
        width = _TAB - at % _TAB if character == "\t" else _columns_of(character)
        if width and at + width > column:
            return index, column - at
        at += width
    return len(text), 0


class Row:
    """A row that may still change. `marks` are (index, style) from which on a style holds, ascending."""

    __slots__ = ("_width", "cut", "marks", "stream", "text", "time_us")

    def __init__(
        self,
        time_us: int,
        stream: int,
        text: str = "",
        marks: list[tuple[int, str]] | None = None,
        cut: bool = False,
    ) -> None:
        self.time_us = time_us
        self.stream = stream
        self.text = text
        self.marks = marks or []
        self.cut = cut
        self._width = -1

    @property
    def width(self) -> int:
        """The column behind the text."""
        if self._width < 0:
            self._width = measure(self.text)
        return self._width

    def put(self, column: int, text: str, style: str) -> int:
        """Write text over what stands from `column` on; returns the column behind it."""
        own = self.width
        if column > own:
            self._replace(len(self.text), len(self.text), " " * (column - own), PLAIN)
            own = self._width = column
        end_column = measure(text, column)
        if end_column > MAX_COLUMNS:
            self.cut = True
            text = text[: _locate(text, max(MAX_COLUMNS - column, 0))[0]]
            end_column = MAX_COLUMNS
            if not text:
                return end_column
        if column == own:
            self._replace(len(self.text), len(self.text), text, style)
            self._width = end_column
            return end_column
        begin, before = _locate(self.text, column)
        end, inside = _locate(self.text, end_column)
        behind = ""
        if inside:
            # Half of what stood there is gone: the rest of it is blank.
            behind = " " * (measure(self.text[: end + 1]) - end_column)
            end += 1
        self._replace(begin, end, " " * before + text + behind, style)
        return end_column

    def erase_from(self, column: int) -> None:
        """Erase from `column` to the end."""
        index, inside = _locate(self.text, column)
        self._replace(index, len(self.text), " " * inside, PLAIN)
        self.cut = False

    def erase_to(self, column: int) -> None:
        """Erase from the beginning up to and with `column`."""
        if column + 1 >= self.width:
            self.erase_from(0)
        else:
            self.put(0, " " * (column + 1), PLAIN)

    def rendered(self) -> str:
        """The text with its styles as SGR sequences, complete in itself."""
        text = self.text + CUT_MARK if self.cut else self.text
        if not self.marks:
            return text
        pieces: list[str] = []
        at, style = 0, PLAIN
        for index, after in self.marks:
            pieces += (text[at:index], change(style, after))
            at, style = index, after
        pieces += (text[at:], change(style, PLAIN))
        return "".join(pieces)

    def _replace(self, begin: int, end: int, text: str, style: str) -> None:
        old, size = self.text, len(text)
        self.text = old[:begin] + text + old[end:]
        self._width = -1
        if not self.marks and style == PLAIN:
            return
        before = [mark for mark in self.marks if mark[0] < begin]
        reached = [mark[1] for mark in self.marks if mark[0] <= end]
        behind = [(index + begin + size - end, held) for index, held in self.marks if index > end]
        if size and (before[-1][1] if before else PLAIN) != style and len(before) < _MAX_MARKS:
            before.append((begin, style))
        at = begin + size
        follows = reached[-1] if reached else PLAIN
        if at < len(self.text) and (before[-1][1] if before else PLAIN) != follows:
            before.append((at, follows))
        self.marks = before + behind
