"""Lines at the bottom of a terminal that may still change: they are written over where they stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from kiseki.records.screen_row import measure
from kiseki.records.sgr import without_styles

_UP: Final = "\x1b[{}A"
_ERASE_BELOW: Final = "\r\x1b[J"


class LiveLines:
    """Writes lines to a terminal; those that were not final are written anew when they changed.

    `write` takes text, `size` gives the terminal's columns and rows.
    """

    def __init__(self, write: Callable[[str], object], size: Callable[[], tuple[int, int]]) -> None:
        self._write = write
        self._size = size
        self._open: list[tuple[int, str]] = []
        """The lines that may still change, by number, as they stand at the bottom."""

    def show(self, lines: Sequence[tuple[int, str]], stable: int) -> None:
        """Show lines by number, everything from the first one that was not `stable` at the last call on."""
        same = 0
        while same < min(len(self._open), len(lines)) and self._open[same] == lines[same]:
            same += 1
        columns, rows = self._size()
        # What scrolled away cannot be written over: it stays as it was.
        up = 0
        for index in range(len(self._open) - 1, same - 1, -1):
            height = _height(self._open[index][1], columns)
            if up + height >= rows:
                same = index + 1
                break
            up += height
        if same < len(self._open) or same < len(lines):
            back = (_UP.format(up) if up else "") + (_ERASE_BELOW if self._open else "")
            self._write(back + "".join(text + "\n" for _, text in lines[same:]))
        self._open = [line for line in lines if line[0] >= stable]


def _height(text: str, columns: int) -> int:
    """How many rows of the terminal a line takes."""
    return max(1, -(-measure(without_styles(text)) // max(columns, 1)))
