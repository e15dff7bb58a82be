"""How much of a run's output is recorded: all up to a limit, then little at a time and always the newest."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

FREE_BYTES = 128 * 1024 * 1024
"""Bytes of one process that are recorded as they come."""

BYTES_PER_S = 64 * 1024
"""Bytes a second that are recorded afterwards; as many may come at once."""

NEWEST_BYTES = 64 * 1024
"""Of what is over, the newest bytes that are kept until there is room."""

_TICK_S = 0.5
_NOTE = 0

Keep = Callable[[int, bytes], None]


class Limits:
    """Passes output on to `keep` within the limits; what was left out is said in a note, stream 0.

    Beyond the free bytes, what comes slowly is passed on at once as before, what comes too fast waits among
    the newest bytes, where a later one may push it out.
    """

    def __init__(self, keep: Keep, clock: Callable[[], float] = time.monotonic) -> None:
        self._keep = keep
        self._clock = clock
        self._free = FREE_BYTES
        self._lock = threading.RLock()
        self._allowance = float(BYTES_PER_S)
        self._at = 0.0
        self._newest: deque[tuple[int, bytes]] = deque()
        self._newest_bytes = 0
        self._left_out = [0, 0]
        self._ended = threading.Event()
        self._ticking = False

    def pass_on(self, stream: int, data: bytes) -> None:
        """Keep `data`, at most `CONSOLE_BYTES` of it, now or later."""
        if self._free > 0:
            self._free -= len(data)
            self._keep(stream, data)
            return
        with self._lock:
            self._refill()
            due: Sequence[tuple[int, bytes]]
            if not self._newest and not self._left_out[0] and len(data) <= self._allowance:
                self._allowance -= len(data)
                due = [(stream, data)]
            else:
                self._newest.append((stream, data))
                self._newest_bytes += len(data)
                while self._newest_bytes > NEWEST_BYTES:
                    _, old = self._newest.popleft()
                    self._newest_bytes -= len(old)
                    self._leave_out(len(old), old.count(b"\n"))
                due = self._due()
                self._tick()
        self._keep_all(due)

    def leave_out(self, count: int, lines: int) -> None:
        """Take note of bytes that did not even arrive."""
        with self._lock:
            self._leave_out(count, lines)
            self._tick()

    def end(self) -> None:
        """Keep the newest bytes, whatever the limits say."""
        self._ended.set()
        with self._lock:
            due = self._all()
        self._keep_all(due)

    def _keep_all(self, due: Sequence[tuple[int, bytes]]) -> None:
        # Not within the lock: the recorder has its own, within which a warning may be printed.
        for stream, data in due:
            self._keep(stream, data)

    def _leave_out(self, count: int, lines: int) -> None:
        self._left_out[0] += count
        self._left_out[1] += lines

    def _refill(self) -> None:
        now = self._clock()
        self._allowance = min(float(BYTES_PER_S), self._allowance + (now - self._at) * BYTES_PER_S)
        self._at = now

    def _due(self) -> Sequence[tuple[int, bytes]]:
        """The newest bytes, once there is room for all of them: nothing is missing behind the note."""
        return self._all() if self._allowance >= self._newest_bytes else ()

    def _all(self) -> Sequence[tuple[int, bytes]]:
        due = list(self._newest)
        count, lines = self._left_out
        if count:
            self._left_out = [0, 0]
            note = f"{count:,} bytes in {lines:,} lines were left out here: too much output"
            due.insert(0, (_NOTE, note.encode()))
        self._allowance -= self._newest_bytes
        self._newest.clear()
        self._newest_bytes = 0
        return due

    def _tick(self) -> None:
        """Keep what is due from a thread, too, for perhaps nothing more is printed."""
        if self._ticking or self._ended.is_set():
            return
        self._ticking = True
        try:
            threading.Thread(target=self._tick_until_end, name="kiseki-console-limit", daemon=True).start()
        except RuntimeError:
            return  # Python is ending, and `end` comes

    def _tick_until_end(self) -> None:
        while not self._ended.wait(_TICK_S):
            with self._lock:
                self._refill()
                due = self._due()
            self._keep_all(due)
