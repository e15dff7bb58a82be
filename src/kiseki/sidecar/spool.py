"""The folder through which trainings hand their writers over: pointer files, one lock, progress files."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Container
from pathlib import Path
from typing import Any

import msgspec

from kiseki.system.locks import FileLock
from kiseki.system.process import ProcessId


class Pointer(msgspec.Struct, frozen=True):
    """One training writer that asks to be looked after; `init` writes it, the sidecar removes it."""

    pid: int
    pid_start: int
    boot_id: str
    pid_ns: int
    run_dir: str
    writer: str
    mode: str = "online"
    base_url: str | None = None
    entity: str = ""
    project: str = ""
    cwd: str = ""
    prefix: str = ""
    sys_path: tuple[str, ...] = ()
    program: str = ""
    """Absolute path of the script that the training was started with, "" where there is none."""
    recording: dict[str, tuple[Any, str]] = {}
    """What this run's `init`, `settings=` or environment set of the recording settings: value and source."""
    path: str = ""
    """The training's `PATH`: git is the one that it would run, not that of whoever started the sidecar."""
    console: bool = True
    """Whether the training recorded its output when it handed this over."""

    @property
    def process(self) -> ProcessId:
        """The process that writes."""
        return ProcessId(self.pid, self.pid_start, self.boot_id, self.pid_ns)

    @property
    def upload_to(self) -> str | None:
        """Base URL of the server that gets this writer's bytes, None where none does."""
        return self.base_url if self.mode == "online" else None


class Progress(msgspec.Struct, frozen=True):
    """How far a writer's upload is, for the `finish` that waits for it."""

    offset: int
    size: int
    state: str
    """`following`, `sending`, `waiting`, `stopped` or `done`."""
    error: str | None = None
    url: str | None = None
    files_left: int = 0
    """Files of the run that are not sent yet, and their bytes."""
    files_bytes_left: int = 0
    files_error: str | None = None
    closed: bool = False
    """All of the run is sent: this writer, the sidecar's own, the files."""


_encode = msgspec.json.Encoder().encode


class Spool:
    """The sidecar's side of one spool folder."""

    def __init__(self, folder: Path) -> None:
        """`folder` must exist; it belongs to this user alone."""
        self.folder = folder
        self._lock = FileLock(folder / "lock")

    def acquire(self) -> bool:
        """Become the sidecar of this spool; False where another process is."""
        if not self._lock.acquire():
            return False
        self._lock.write(f"{os.getpid()}\n")
        return True

    def release(self) -> None:
        """Let another process be the sidecar."""
        self._lock.release()

    def pointers(self, known: Container[str] = ()) -> list[Pointer]:
        """Return the pointers of writers that are not `known`; one that cannot be read is left alone."""
        found = []
        for name in self._names():
            if not name.endswith(".json") or name.removesuffix(".json") in known:
                continue
            with contextlib.suppress(OSError, ValueError, msgspec.ValidationError):
                # The standard library's: a path that is no UTF-8 is spelled with lone surrogates.
                pointer = msgspec.convert(json.loads((self.folder / name).read_bytes()), Pointer)
                if name == f"{pointer.writer}.json":
                    found.append(pointer)
        return found

    def remove(self, writer: str) -> None:
        """Remove a writer's pointer: it needs no sidecar any more."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.folder / f"{writer}.json")

    def _names(self) -> list[str]:
        # Logging out may remove $XDG_RUNTIME_DIR; the runs that are known already still need their sidecar.
        try:
            return sorted(os.listdir(self.folder))
        except FileNotFoundError:
            return []

    def write_progress(self, writer: str, progress: Progress) -> None:
        """Replace a writer's progress file by rename; a full disk is no reason to stop uploading."""
        path = self.folder / f"{writer}.progress"
        temporary = f"{path}.tmp"
        with contextlib.suppress(OSError):
            with open(temporary, "wb", buffering=0) as file:
                file.write(_encode(progress))
            os.replace(temporary, path)

    def clear_progress(self) -> None:
        """Remove the progress files of writers that have no pointer any more."""
        for name in self._names():
            writer, dot, kind = name.rpartition(".")
            if dot and kind == "progress" and not (self.folder / f"{writer}.json").exists():
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.folder / name)
