"""The console of a run directory as it lies there: its lines, brought up to date as the files grow."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from .framing import Damaged, split_frames
from .kinds import DATA_ROLES, Console, Header, State
from .lanes import order_lanes
from .reader import Follower, SegmentDecoder, read_header
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
    """The console of one lane of a run directory. `keep`: how many of the final lines stay in memory."""

    def __init__(self, directory: str | os.PathLike[str], lane: int = 0, keep: int | None = None) -> None:
        self._directory = Path(directory)
        self._lane = lane
        self._keep = keep
        self._files: dict[Path, _WriterFile] = {}

    def update(self) -> None:
        """Read what is new. Raises FileNotFoundError where there is no run file, OSError for an unreadable
        one.
        """
        paths = sorted(self._directory.glob("*.kiseki"))
        if not paths:
            raise FileNotFoundError(f"{self._directory} holds no run file (*.kiseki)")
        for path in paths:
            file = self._files.get(path)
            if file is None:
                file = self._files[path] = _WriterFile(path, self._keep)
            file.update()
        ended = set().union(*(file.verdicts for file in self._files.values()))
        for file in self._files.values():
            file.ended |= file.header is not None and file.header.writer in ended

    @property
    def lanes(self) -> list[str]:
        """The labels of the lanes; "" for the primary one, which comes first."""
        return ["" if lane[0].primary else lane[0].label for lane in self._ordered()]

    @property
    def damage(self) -> list[str]:
        """One line for each file that cannot be read to its end."""
        return [f"{path}: {file.damage}" for path, file in self._files.items() if file.damage is not None]

    def view(self, first: int, alive: Callable[[Header], bool] = lambda _: True) -> ConsoleView:
        """The lines from number `first` on, as of the last `update`; negative: counted from the end.

        `alive` says of a writer that has not said how it ended whether its process may still write. Raises
        LookupError for a lane that is not there.
        """
        ordered = self._ordered()
        if not 0 <= self._lane < max(len(ordered), 1):
            raise LookupError(f"this run has no lane {self._lane}; it has {len(ordered)}")
        of = {file.header.writer: file for file in self._files.values() if file.header is not None}
        begin = stable = cursor = 0
        live = False
        lines: list[tuple[int, Line]] = []
        for header in ordered[self._lane] if ordered else ():
            file = of[header.writer]
            screen = file.terminal.screen()
            kept = begin + file.terminal.lines - len(file.final)
            lines += enumerate((*file.final, *screen), kept)
            live = not file.ended and alive(header)
            final = begin + file.terminal.lines
            begin = final + len(screen)
            stable, cursor = (final, final + file.terminal.cursor) if live else (begin, begin)
        start = max(begin + first, 0) if first < 0 else first
        return ConsoleView(begin, stable, cursor, live, [line for line in lines if line[0] >= start])

    def _ordered(self) -> list[list[Header]]:
        headers = [file.header for file in self._files.values() if file.header is not None]
        return order_lanes(header for header in headers if header.role in DATA_ROLES)


class _WriterFile:
    """One writer's file: its terminal so far."""

    def __init__(self, path: Path, keep: int | None) -> None:
        self.header: Header | None = None
        self.terminal = Terminal()
        self.final: deque[Line] = deque(maxlen=keep)
        self.ended = False
        self.verdicts: set[str] = set()
        """Writers of which this file says how they ended."""
        self.damage: str | None = None
        self._follower = Follower(path)
        self._decoder: SegmentDecoder | None = None

    def update(self) -> None:
        """Read what is new."""
        while self.damage is None and (data := self._read()):
            start = 0
            if self._decoder is None or self.header is None:
                self.header, start = read_header(data)
                self._decoder = SegmentDecoder(self.header)
            spans = split_frames(data, start, verify=False).spans
            try:
                entries = self._decoder.decode_batch(data, spans, self._follower.offset - len(data)).others
            except Damaged as damage:
                self.damage = str(damage)
                return
            for entry in entries:
                record = entry.record
                if isinstance(record, Console):
                    self.terminal.feed(entry.time_us, record.stream, record.data)
                elif isinstance(record, State) and record.state != "running":
                    self.verdicts.add(record.writer or self.header.writer)
            self.final.extend(self.terminal.take())

    def _read(self) -> bytes:
        data = self._follower.read_new(_PIECE)
        if not data and self._follower.damage is not None:
            self.damage = self._follower.damage
        return data
