"""Reading a run directory as it lies there: the plain, slow and obviously right way, the tests' oracle."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .fold import RunFold
from .kinds import DATA_ROLES, DEFAULT_STREAM, SYSTEM_STREAM, Header, stream_of
from .lanes import order_lanes
from .reader import DecodedRow, Reading, read_records


class LocalRun(NamedTuple):
    """A run directory: the headers of its writers, the fold of their records, and each damage in one line."""

    headers: list[Header]
    fold: RunFold
    damage: list[str]


def read_run(directory: str | os.PathLike[str]) -> LocalRun:
    """Read every run file of a directory. Raises FileNotFoundError where it holds none."""
    headers: list[Header] = []
    damage: list[str] = []
    fold = RunFold()
    for path, reading in _readings(Path(directory)):
        if reading.damage is not None:
            damage.append(f"{path}: {reading.damage}")
        if reading.header is None:
            continue
        headers.append(reading.header)
        fold.see(reading.header)
        for entry in reading.entries:
            fold.apply(reading.header, entry.offset, entry.record, entry.time_us)
    return LocalRun(headers, fold, damage)


def history(directory: str | os.PathLike[str], stream: str = DEFAULT_STREAM) -> Iterator[dict[str, Any]]:
    """The rows of a run directory's stream, merged: within a lane the last record wins per (key, step).

    Each row is `{"_step", "_runtime" (s), "_timestamp" (unix s), **values}`, the times those of its last
    record, and `"_lane"`, the lane's label, where that is not the primary one. Lane after lane, each by step.
    Rows of the system stream have no `_step`, and `_lane`, the host's name, where it is not the first one's.
    """
    system = stream == SYSTEM_STREAM
    first_host: str | None = None
    for header, rows in lane_rows(directory, stream):
        label = None if header.primary else header.label
        if system:
            host = host_of(header)
            first_host = host if first_host is None else first_host
            label = None if host == first_host else host
        for step in sorted(rows):
            row = rows[step]
            first = {"_runtime": row.pop("_runtime"), "_timestamp": row.pop("_timestamp")}
            if not system:
                first = {"_step": step, **first}
            yield {**first, **row} if label is None else {**first, **row, "_lane": label}


def lane_rows(
    directory: str | os.PathLike[str], stream: str = DEFAULT_STREAM
) -> Iterator[tuple[Header, dict[int, dict[str, Any]]]]:
    """The lanes of a run directory's stream: the first writer's header, and the merged rows by step.

    Each row has its values, `_runtime` (s) and `_timestamp` (unix s).
    """
    readings = [reading for _, reading in _readings(Path(directory))]
    headers = {r.header.writer: r.header for r in readings if r.header is not None}
    entries = {r.header.writer: r.entries for r in readings if r.header is not None}
    started_us = min((h.wall_ns // 1000 for h in headers.values() if h.role in DATA_ROLES), default=0)
    for lane in order_lanes(h for h in headers.values() if stream_of(h.role) == stream):
        rows: dict[int, dict[str, Any]] = {}
        for header in lane:
            for entry in entries[header.writer]:
                record = entry.record
                if isinstance(record, DecodedRow):
                    row = rows.setdefault(record.step, {})
                    row.update(zip(record.names, record.values, strict=True))
                    row["_runtime"] = (record.time_us - started_us) / 1e6
                    row["_timestamp"] = record.time_us / 1e6
        yield lane[0], rows


def host_of(header: Header) -> str:
    """The host whose samples a sidecar's writer holds."""
    return header.label or header.host


def _readings(directory: Path) -> list[tuple[Path, Reading]]:
    paths = sorted(directory.glob("*.kiseki"))
    if not paths:
        raise FileNotFoundError(f"{directory} holds no run file (*.kiseki)")
    found = [(path, path.read_bytes()) for path in paths]
    # An empty file is one that its writer has made this moment.
    return [(path, read_records(data)) for path, data in found if data]
