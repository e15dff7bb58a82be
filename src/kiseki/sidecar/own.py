"""The sidecar's own file in one run directory: opened at first need, closed when nothing is left to say."""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from kiseki.records.kinds import SIDECAR, Header, State, Written
from kiseki.records.writer import RecordWriter
from kiseki.system.process import boottime_ns, hostname, this_process

_SUFFIX: Final = ".kiseki"


class OwnWriter:
    """What the sidecar itself records of a run: verdicts, measurements, files, what the run stood on.

    A refused disk costs the record and no more: `trouble` says why, and the next record tries again.
    """

    def __init__(self, folder: Path, on_open: Callable[[], None]) -> None:
        """`on_open` is called when a new file lies in `folder`."""
        self._folder = folder
        self._on_open = on_open
        self._run: Header | None = None
        self._writer: RecordWriter | None = None
        self.trouble: str | None = None
        """What could not be recorded last, in one line."""

    def belongs_to(self, run: Header) -> None:
        """Say which run this is, by the header of any of its writers; needed before the first record."""
        if self._run is None:
            self._run = run

    @property
    def writer(self) -> str | None:
        """The id of the file that is open, None while there is none."""
        return None if self._writer is None else self._writer.header.writer

    def append(self, record: Written) -> bool:
        """Append a record but a row; its `t` is set here. False where it could not be taken.

        Raises Unstorable, TypeError and TooLarge as `RecordWriter.append` does.
        """
        writer = self._open()
        if writer is None:
            return False
        return writer.append(msgspec.structs.replace(record, t=writer.now()))

    def log_row(self, values: Mapping[str, Any]) -> bool:
        """Append a row of the run's system stream; its step is how many there were before it in this file."""
        writer = self._open()
        if writer is None:
            return False
        writer.check_clock()
        writer.log_row(values, writer.rows)
        return True

    def close(self) -> None:
        """End the file, if there is one; a later record begins another."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.append(State(writer.now(), "finished", 0, None, None))
            writer.close()
            if not writer.position:  # A full disk: an empty file says nothing, and reads as a damaged one.
                with contextlib.suppress(OSError):
                    os.unlink(self._folder / f"{writer.header.writer}{_SUFFIX}")

    def _open(self) -> RecordWriter | None:
        if self._writer is None and self._run is not None:
            process = this_process()
            writer = "w" + base64.b32encode(os.urandom(10)).decode().lower()[:15]
            header = msgspec.structs.replace(
                self._run,
                writer=writer,
                role=SIDECAR,
                lane=writer,
                resumes=None,
                label=hostname(),
                primary=False,
                host=hostname(),
                boot_id=process.boot_id,
                pid=process.pid,
                pid_ns=process.pid_ns,
                pid_start=process.start,
                wall_ns=0,
                boot_ns=boottime_ns(),
                step=0,
            )
            try:
                self._writer = RecordWriter.create(self._folder / f"{writer}{_SUFFIX}", header)
            except OSError as error:
                self.trouble = f"no file of the sidecar's own in {self._folder}: {error.strerror}"
                return None
            self.trouble = None
            self._on_open()
        return self._writer
