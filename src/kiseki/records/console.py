"""The console of a run directory as it lies there: its lines, brought up to date as the files grow."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from .framing import Damaged, split_frames
from .kinds import DATA_ROLES, Console, Header, State
from .lanes import order_lanes
from .reader import Entry, Follower, SegmentDecoder, read_header
from .terminal import Line, Terminal

_PIECE = 1024 * 1024


class ConsoleView(NamedTuple):
    """Lines of a console with their numbers, and where it stands.

    `total` lines are there; those before `stable` change no more; `cursor` is the one that is being written.
    `live`: more may come.
    """

    total: int
    stable: int
    cursor: int
    live: bool
    lines: list[tuple[int, Line]]


class DirectoryConsole:
    """The console of one lane of a run directory, read piece by piece."""

    def __init__(self, directory: str | os.PathLike[str], lane: int = 0) -> None:
        self._directory = Path(directory)
        self._lane = lane
        self._files: dict[Path, _WriterFile] = {}

    def update(self) -> bool:
        """Read a piece of what is new in each file; False where nothing was.

        Raises FileNotFoundError where there is no run file, OSError for an unreadable one.
        """
        paths = sorted(self._directory.glob("*.kiseki"))
        if not paths:
            raise FileNotFoundError(f"{self._directory} holds no run file (*.kiseki)")
        for path in paths:
            if path not in self._files:
                self._files[path] = _WriterFile(path)
        read = [file.update() for file in self._files.values()]
        ended = set().union(*(file.verdicts for file in self._files.values()))
        for file in self._files.values():
            file.ended |= file.header is not None and file.header.writer in ended
        return any(read)

    @property
    def writers(self) -> int:
        """How many writers the lane has."""
        return len(self._members())

    @property
    def damage(self) -> list[str]:
        """One line for each file that cannot be read to its end."""
        return [f"{path}: {file.damage}" for path, file in self._files.items() if file.damage is not None]

    def view(self, first: int, alive: Callable[[Header], bool] = lambda _: True) -> ConsoleView:
        """The lines from number `first` on, as of the last `update`; negative: counted from the end.

        `alive` says of a writer that has not said how it ended whether its process may still write. Raises
        LookupError for a lane that is not there.
        """
        members = self._members()
        totals = [file.terminal.lines + len(file.terminal.screen()) for _, file in members]
        total = sum(totals)
        start = max(total + first, 0) if first < 0 else first
        begin = stable = cursor = 0
        live = False
        lines: list[tuple[int, Line]] = []
        for (header, file), own in zip(members, totals, strict=True):
            final = begin + file.terminal.lines
            lines += file.lines(begin, start)
            live = not file.ended and alive(header)
            begin += own
            stable, cursor = (final, final + file.terminal.cursor) if live else (begin, begin)
        return ConsoleView(total, stable, cursor, live, lines)

    def forget(self, first: int) -> None:
        """Let go of lines that are final and come before number `first`; negative: counted from the end."""
        members = self._members()
        totals = [file.terminal.lines + len(file.terminal.screen()) for _, file in members]
        first = sum(totals) + first if first < 0 else first
        begin = 0
        for (_, file), own in zip(members, totals, strict=True):
            file.forget(first - begin)
            begin += own

    def _members(self) -> list[tuple[Header, _WriterFile]]:
        """The lane's writers in their order, and their files."""
        files = {file.header.writer: file for file in self._files.values() if file.header is not None}
        headers = (file.header for file in files.values() if file.header is not None)
        ordered = order_lanes(header for header in headers if header.role in DATA_ROLES)
        if not ordered and self._lane == 0:
            return []
        if not 0 <= self._lane < len(ordered):
            raise LookupError(f"this run has no lane {self._lane}; it has {len(ordered)}")
        return [(header, files[header.writer]) for header in ordered[self._lane]]


class _WriterFile:
    """One writer's file: its terminal so far, and the final lines that are still wanted."""

    def __init__(self, path: Path) -> None:
        self.header: Header | None = None
        self.terminal = Terminal()
        self.ended = False
        self.verdicts: set[str] = set()
        """Writers of which this file says how they ended."""
        self.damage: str | None = None
        self._final: deque[Line] = deque()
        self._follower = Follower(path)
        self._decoder: SegmentDecoder | None = None

    def update(self) -> bool:
        """Read a piece of what is new; False where nothing was."""
        data = b"" if self.damage is not None else self._follower.read_new(_PIECE)
        if not data:
            self.damage = self.damage or self._follower.damage
            return False
        start = 0
        if self._decoder is None or self.header is None:
            self.header, start = read_header(data)
            self._decoder = SegmentDecoder(self.header)
        spans = split_frames(data, start, verify=False).spans
        try:
            entries = self._decoder.decode_batch(data, spans, self._follower.offset - len(data)).others
        except Damaged as damage:
            self.damage = str(damage)
            return False
        feed_console(self.terminal, entries)
        self._final.extend(self.terminal.take())
        for entry in entries:
            record = entry.record
            if isinstance(record, State) and record.state != "running":
                self.verdicts.add(record.writer or self.header.writer)
        return True

    def lines(self, begin: int, start: int) -> list[tuple[int, Line]]:
        """The lines from number `start` on, where the writer's first line has the number `begin`."""
        kept = begin + self.terminal.lines - len(self._final)
        skip = max(start - kept, 0)
        every = chain(self._final, self.terminal.screen())
        return list(enumerate(islice(every, skip, None), kept + skip))

    def forget(self, count: int) -> None:
        """Let go of the final lines among the first `count`."""
        for _ in range(min(count - (self.terminal.lines - len(self._final)), len(self._final))):
            self._final.popleft()


def feed_console(terminal: Terminal, entries: Iterable[Entry]) -> None:
    """Feed a terminal with the console records among these."""
    terminal.feed_all(
        (entry.time_us, entry.record.stream, entry.record.data)
        for entry in entries
        if isinstance(entry.record, Console)
    )
