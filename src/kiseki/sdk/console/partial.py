"""The beginning of a line in a stream's buffer: recorded in one piece, once it goes on or is shown."""

from __future__ import annotations

from collections import deque

HELD_CHARACTERS = 1024


class PartialLine:
    """Pieces of a line that Python's buffer holds back from the terminal, so that nobody misses them yet.

    `print` writes each argument and each separator by itself. It takes no lock, for a signal handler may
    print in the middle of a call, and a fork may happen there.
    """

    def __init__(self) -> None:
        self._pieces: deque[str] = deque()
        self._size = 0

    def hold(self, text: str) -> bool:
        """Keep a piece without a line's end; False where it is none, or there is no room."""
        if self._size + len(text) > HELD_CHARACTERS or "\n" in text or "\r" in text:
            return False
        self._size += len(text)
        self._pieces.append(text)
        return True

    def complete(self, text: str = "") -> str:
        """All that is held, in order, and `text` behind it; nothing is held afterwards."""
        if not self._pieces:
            return text
        pieces = []
        try:
            while True:
                pieces.append(self._pieces.popleft())
        except IndexError:  # another thread may have taken some
            self._size = 0
        return "".join(pieces) + text
