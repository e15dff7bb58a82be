"""One run directory as the sidecar sees it: its writers, which of them ended, the sidecar's own file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from kiseki.client.uploader import Upload
from kiseki.records.framing import Damaged, Incomplete
from kiseki.records.kinds import SIDECAR, Header
from kiseki.records.reader import read_header
from kiseki.sidecar.death import Cause, Deaths, last_word, read_end, verdict
from kiseki.sidecar.own import OwnWriter
from kiseki.sidecar.spool import Pointer
from kiseki.system.process import ProcessId, is_alive, this_process

_SUFFIX: Final = ".kiseki"
_HEADER_READ: Final = 64 * 1024


class WriterFollow:
    """One writer's file: how far it has grown, and whether its writer has ended."""

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.header = header
        self.process = ProcessId(header.pid, header.pid_start, header.boot_id, header.pid_ns)
        self.size = -1
        self.ended = False
        """Nothing more will come: the writer said so, or its process is dead and judged."""
        self.upload: Upload | None = None
        self.done = False
        """Ended, flushed, and sent as far as it will be."""

    def look(self) -> bool:
        """Take the file's size; True where it changed. Raises OSError where the file is gone."""
        size = os.stat(self.path).st_size
        if size == self.size:
            return False
        self.size = size
        if self.upload is not None:
            self.upload.size = size
        if not self.ended and last_word(self.path) is not None:
            self.end()
        return True

    def end(self) -> None:
        """Note that the writer has ended."""
        self.ended = True
        if self.upload is not None:
            self.upload.live = False


class FilesLeft(NamedTuple):
    """What is left to do for the files of a run."""

    number: int = 0
    """Files that are not recorded, or not sent, yet."""
    size: int = 0
    """Their bytes."""
    through: bool = False
    """The training has said its last word, and its files are where they belong."""
    error: str | None = None
    """Why files wait, or which could not be taken, in one line."""


class RunFollow:
    """All writers of one run directory that are this sidecar's to look after."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pointers: dict[str, Pointer] = {}
        self.writers: dict[str, WriterFollow] = {}
        self.own = OwnWriter(folder, self._note_own)
        """The sidecar's own records of this run."""
        self.files_left = FilesLeft()
        self._listed_at = -1
        self._unread = False
        self._own_unread = False

    def add_pointer(self, pointer: Pointer) -> None:
        """Look after the writer of a pointer too."""
        self.pointers[pointer.writer] = pointer
        self._unread = True

    @property
    def upload_to(self) -> str | None:
        """Base URL of the server that gets this run, None where none does."""
        return next((url for pointer in self.pointers.values() if (url := pointer.upload_to)), None)

    @property
    def done(self) -> bool:
        """Whether nothing is left to do for any writer."""
        return not (self._unread or self._own_unread) and all(writer.done for writer in self.writers.values())

    @property
    def closed(self) -> bool:
        """Whether every writer has said its last word, the sidecar's own too."""
        listed = not (self._unread or self._own_unread)
        return listed and self.own.writer is None and all(w.ended for w in self.writers.values())

    def list_writers(self) -> list[WriterFollow]:
        """Return the writers whose files are new since the last call. Raises OSError."""
        changed_at = os.stat(self.folder).st_mtime_ns
        if changed_at == self._listed_at and not (self._unread or self._own_unread):
            return []
        self._listed_at = changed_at
        self._unread = self._own_unread = False
        found = []
        names = set(os.listdir(self.folder)) | {f"{writer}{_SUFFIX}" for writer in self.pointers}
        for name in sorted(names):
            writer = name.removesuffix(_SUFFIX)
            if name == writer or writer in self.writers:
                continue
            header = self._read_header(self.folder / name, writer)
            if header is not None and (writer in self.pointers or _is_ours(header)):
                self.writers[writer] = WriterFollow(self.folder / name, header)
                self.own.belongs_to(header)
                found.append(self.writers[writer])
        return found

    def judge_dead(self, deaths: Deaths) -> list[WriterFollow]:
        """End every writer whose process is dead, with a verdict where it left no word; returns those."""
        dead = []
        for follow in list(self.writers.values()):
            if follow.ended or not deaths.has_ended(follow.process):
                continue
            follow.look()
            if not follow.ended:
                last = read_end(follow.path)
                if last.state is None:
                    self._judge(follow, deaths.cause(follow.process), last.damage)
            follow.end()
            dead.append(follow)
        return dead

    def _judge(self, follow: WriterFollow, cause: Cause, damage: str | None) -> None:
        # A disk that takes no new file must not keep the old ones from being sent.
        self.own.append(verdict(follow.header, 0, damage, cause))

    @property
    def ended(self) -> bool:
        """Whether the run's own process has ended; forked children may live on."""
        primary = [follow.ended for follow in self.writers.values() if follow.header.primary]
        return not self._unread and all(primary) if primary else self.all_ended

    @property
    def all_ended(self) -> bool:
        """Whether every writer but the sidecar's own has ended."""
        own = self.own.writer
        return not self._unread and all(f.ended for name, f in self.writers.items() if name != own)

    def _note_own(self) -> None:
        self._own_unread = True

    def _read_header(self, path: Path, writer: str) -> Header | None:
        try:
            with open(path, "rb", buffering=0) as file:
                header = read_header(file.read(_HEADER_READ))[0]
        except (FileNotFoundError, Incomplete):
            self._unread |= self._may_still_come(writer)
            return None
        except Damaged:
            if writer in self.pointers:
                raise
            return None
        return header if header.writer == writer else None

    def _may_still_come(self, writer: str) -> bool:
        pointer = self.pointers.get(writer)
        return pointer is not None and is_alive(pointer.process) is not False


def _is_ours(header: Header) -> bool:
    """Whether a writer without a pointer is ours: a fork's child, a dead sidecar, an earlier attempt."""
    alive = is_alive(ProcessId(header.pid, header.pid_start, header.boot_id, header.pid_ns))
    if header.role == SIDECAR:
        return alive is False or (header.pid, header.pid_start) == this_process()[:2]
    return alive is not None
