"""The lane of one process: its header, its writer file, and the writer that keeps nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from kiseki import __version__
from kiseki.records.kinds import Header, Written
from kiseki.records.values import FlatRow, Skipped, flatten_row
from kiseki.records.writer import RecordWriter, boot_ns
from kiseki.sdk.names import new_writer_id
from kiseki.sdk.project import user_name
from kiseki.system.process import hostname, this_process


class Writer(Protocol):
    """What a run needs of its writer; `records.RecordWriter` in all modes but `disabled`."""

    @property
    def header(self) -> Header: ...
    @property
    def position(self) -> int: ...

    row_time: int
    row_flattened: FlatRow | None

    def now(self) -> int: ...
    def log_row(self, data: Mapping[Any, Any], step: int) -> Sequence[Skipped]: ...
    def append(self, record: Written) -> bool: ...
    def append_console(self, stream: int, data: bytes) -> bool: ...
    def check_clock(self) -> None: ...
    def close(self) -> int: ...
    def close_inherited(self) -> None: ...


class DiscardingWriter:
    """Takes records and keeps none of them: `mode="disabled"`, or no folder to write in."""

    position = 0

    def __init__(self, header: Header) -> None:
        self.header = header
        self.row_time = 0
        self.row_flattened: FlatRow | None = None

    def now(self) -> int:
        """µs since the header."""
        return (boot_ns() - self.header.boot_ns) // 1000

    def log_row(self, data: Mapping[Any, Any], step: int) -> Sequence[Skipped]:
        """The values that could not have been stored."""
        self.row_time = self.now()
        self.row_flattened = flatten_row(data)
        return self.row_flattened.skipped

    def append(self, record: Written) -> bool:
        """Nothing is ever refused."""
        return True

    def append_console(self, stream: int, data: bytes) -> bool:
        """Nothing is ever refused."""
        return True

    def check_clock(self) -> None:
        """Nothing to do."""

    def close(self) -> int:
        """Nothing is lost that was to be kept."""
        return 0

    def close_inherited(self) -> None:
        """Nothing to do."""


def first_header(
    *, run_uid: str, entity: str, project: str, run_id: str, mode: str, host: str | None = None
) -> Header:
    """The header of a run's primary lane, written by this process from now on."""
    writer = new_writer_id()
    process = this_process()
    return Header(
        run_uid=run_uid,
        entity=entity,
        project=project,
        run_id=run_id,
        writer=writer,
        role="train",
        lane=writer,
        host=host or hostname(),
        user=user_name(),
        boot_id=process.boot_id,
        pid=process.pid,
        pid_ns=process.pid_ns,
        pid_start=process.start,
        wall_ns=time.time_ns(),
        boot_ns=boot_ns(),
        sdk=__version__,
        mode=mode,
    )


def fork_header(parent: Header, step: int) -> Header:
    """The header of a forked child's own lane, beginning at the parent's `step`."""
    child = first_header(
        run_uid=parent.run_uid,
        entity=parent.entity,
        project=parent.project,
        run_id=parent.run_id,
        mode=parent.mode,
        host=parent.host,
    )
    from msgspec.structs import replace

    label = f"fork of {parent.writer} (pid {child.pid})"
    return replace(child, primary=False, label=label, step=step)


def open_writer(run_dir: Path, header: Header, on_trouble: Callable[[str], None]) -> Writer:
    """Create the writer's file in the run directory; raises OSError where that cannot be."""
    return RecordWriter.create(run_dir / f"{header.writer}.kiseki", header, on_trouble=on_trouble)
