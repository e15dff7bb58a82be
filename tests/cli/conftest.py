"""A `kiseki` to call as a user does, and run directories to call it on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kiseki.records.kinds import Config, Edit, Header, State, Summary
from kiseki.records.writer import RecordWriter
from kiseki.system.process import this_process

Kiseki = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def kiseki(tmp_path: Path) -> Kiseki:
    """`kiseki(*arguments, stdin="", env=None, cwd=tmp_path)` runs the command in a process of its own."""

    def call(
        *arguments: str | Path, stdin: str = "", env: dict[str, str] | None = None, cwd: Path = tmp_path
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "kiseki.cli", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            timeout=60,
        )

    return call


def write_run(root: Path, run_id: str = "1a2b3c4d", *, rows: int = 3, state: str | None = "finished") -> Path:
    """A run directory below `root/kiseki`, as a script of this process would have left it."""
    folder = root / "kiseki" / f"run-20260101_120000-{run_id}"
    folder.mkdir(parents=True)
    process = this_process()
    writer = f"w{run_id.ljust(15, 'a')}"
    header = Header(
        run_uid=run_id.ljust(32, "0"),
        entity="ada",
        project="digits",
        run_id=run_id,
        writer=writer,
        role="train",
        lane=writer,
        host="laptop",
        user="ada",
        boot_id=process.boot_id,
        pid=process.pid,
        pid_ns=process.pid_ns,
        pid_start=process.start,
    )
    out = RecordWriter.create(folder / f"{writer}.kiseki", header)
    out.append(Edit(t=out.now(), set={"name": "amber-fox-12", "tags": ["baseline"], "notes": "tweak"}))
    out.append(Config(t=out.now(), set={"lr": 0.1, "model": {"depth": 2}}, delete=[]))
    for step in range(rows):
        out.log_row({"loss": 1.0 / (step + 1), "step_name": f"s{step}"}, step)
    out.append(Summary(t=out.now(), set=[(["best", "loss"], 0.25)], delete=[]))
    if state is not None:
        out.append(State(t=out.now(), state=state, exit_code=0))
    out.close()
    return folder


@pytest.fixture(name="write_run")
def _write_run(tmp_path: Path) -> Callable[..., Path]:
    """`write_run(root=tmp_path, run_id=…, rows=3, state="finished")`: a run directory."""

    def write(root: Path = tmp_path, run_id: str = "1a2b3c4d", **options: object) -> Path:
        return write_run(root, run_id, **options)  # type: ignore[arg-type]

    return write
