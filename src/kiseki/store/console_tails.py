"""The console of what is not sealed yet: a terminal for each writer that is looked at, fed as it grows."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from kiseki.records.console import feed_console
from kiseki.records.terminal import Line, Terminal
from kiseki.store.columns import Block
from kiseki.store.console import decode_state
from kiseki.store.source import SourceGone
from kiseki.store.tails import Tails, Unsealed

HELD = 32
"""Writers whose terminals stay in memory; the one that was looked at longest ago goes first."""


class ConsoleTail(NamedTuple):
    """The lines behind a writer's blocks: the first `final` of them do not change any more.

    `cursor` is the one of them that the cursor stands on, which may be the one behind the last.
    """

    lines: Sequence[Line]
    final: int
    cursor: int


class _Live:
    __slots__ = ("final", "lock", "start", "taken", "terminal")

    def __init__(self, start: int, terminal: Terminal) -> None:
        self.lock = threading.Lock()
        self.start = start
        self.taken = start
        self.terminal = terminal
        self.final: list[Line] = []

    def take(self, blocks: Sequence[Block], end: int) -> None:
        """Take what the blocks bring up to byte `end`."""
        for block in blocks:
            if block.end > self.taken:
                feed_console(self.terminal, (entry for entry in block.others if entry.offset >= self.taken))
        self.final += self.terminal.take()
        self.taken = end


class ConsoleTails:
    """The terminals of writers, brought up to date when they are read; a cache, for any thread."""

    def __init__(self, tails: Tails) -> None:
        self._tails = tails
        self._lock = threading.Lock()
        self._held: OrderedDict[int, _Live] = OrderedDict()

    def read(self, connection: Connection, asked: Unsealed, state: bytes | None) -> ConsoleTail:
        """What stands behind the blocks of a writer, `state` being its terminal at `asked.start`.

        Where the source of its bytes is gone, that is what the terminal showed there.
        """
        live = self._live(asked, state)
        with live.lock:
            if live.taken < asked.end:
                try:
                    live.take(self._tails.read(connection, asked), asked.end)
                except SourceGone:
                    pass
            final = len(live.final)
            screen = live.terminal.screen()
            return ConsoleTail([*live.final, *screen], final, final + live.terminal.cursor)

    def _live(self, asked: Unsealed, state: bytes | None) -> _Live:
        with self._lock:
            live = self._held.get(asked.writer_pk)
            if live is None or live.start != asked.start:
                live = _Live(asked.start, Terminal.from_bytes(decode_state(state).terminal))
                self._held[asked.writer_pk] = live
            self._held.move_to_end(asked.writer_pk)
            while len(self._held) > HELD:
                self._held.popitem(last=False)
            return live
