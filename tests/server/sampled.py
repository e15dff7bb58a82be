"""Run files whose records lie minutes apart: a training, and the samples of a sidecar beside it."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.server.recorded import START_NS, RunFile

from kiseki.records import writer as writing
from kiseki.records.kinds import Header, State
from kiseki.records.writer import RecordWriter

Timed = Iterable[tuple[float, int, Mapping[str, Any]]]
"""Rows: second after the header, step, values."""

_BOOT_NS = 10**9


def record_timed(
    folder: Path,
    rows: Timed,
    *,
    role: str = "train",
    uid: str | None = None,
    host: str = "laboratory",
    state: str | None = None,
    start_ns: int = START_NS,
    **header: Any,
) -> RunFile:
    """Write a writer's file with rows at these seconds; `state` is a training's end at the last of them."""
    uid = uid or secrets.token_hex(16)
    name = "w" + secrets.token_hex(8)[:15]
    training = role == "train"
    fields: dict[str, Any] = {"entity": "ada", "project": "digits", "run_id": "run1", "lane": name} | header
    head = Header(
        run_uid=uid,
        writer=name,
        role=role,
        label="" if training else host,
        primary=training,
        host=host,
        wall_ns=start_ns,
        boot_ns=_BOOT_NS,
        **fields,
    )
    folder.mkdir(parents=True, exist_ok=True)
    now = _BOOT_NS
    with patch.object(writing, "boot_ns", lambda: now):
        file = RecordWriter.create(folder / f"{name}.kiseki", head)
        for second, step, row in rows:
            now = _BOOT_NS + int(second * 1e9)
            file.log_row(row, step)
        if state is not None:
            file.append(State(file.now(), state, 0 if state == "finished" else 1, None, None))
        file.close()
    return RunFile(uid, name, folder / f"{name}.kiseki")


def record_samples(
    folder: Path, uid: str, samples: Iterable[tuple[float, Mapping[str, Any]]], **more: Any
) -> RunFile:
    """Write a sidecar's file: what it measured at these seconds."""
    rows = [(second, number, row) for number, (second, row) in enumerate(samples)]
    return record_timed(folder, rows, role="sidecar", uid=uid, **more)
