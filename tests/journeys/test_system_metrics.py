"""System metrics from a real training to a server: their size, their limits, and without a network."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.world import Home, Server, await_true

from kiseki.records.directory import history
from kiseki.records.kinds import SIDECAR, SYSTEM_STREAM, State
from kiseki.records.numbers import from_json
from kiseki.records.reader import read_records

MIB = 2**20
_LIMIT = 600 * MIB

_TRAINING = """
import os, sys, time
for group in sys.argv[1:]:
    with open(group, "w") as procs:
        procs.write(str(os.getpid()))
import kiseki
run = kiseki.init(project="journey", id="r", settings={"x_stats_sampling_interval": 1.0})
held = b"x" * (200 * 2**20)
began = time.monotonic()
while time.monotonic() - began < 3.5:
    run.log({"loss": 1.0})
    time.sleep(0.1)
run.finish()
print(len(held))
"""


def _system_rows(server: Server) -> list[dict[str, Any]]:
    run = next((run for run in server.runs() if run["id"] == "r"), None)
    if run is None:
        return []
    path = f"/api/v1/runs/{run['entity']}/{run['project']}/r/export?stream=system"
    return [from_json(line) for line in server.request(path).splitlines()]


def _sidecar_has_ended(folder: Path) -> bool:
    readings = [read_records(path.read_bytes()) for path in folder.glob("*.kiseki")]
    own = [reading for reading in readings if reading.header and reading.header.role == SIDECAR]
    return bool(own) and all(isinstance(reading.entries[-1].record, State) for reading in own)


@pytest.fixture
def limited_groups() -> Iterator[list[Path]]:
    """The `cgroup.procs` files of a control group that has 600 MB of memory, version 1 or 2."""
    root = Path("/sys/fs/cgroup")
    v2 = (root / "cgroup.controllers").exists()
    group = (root if v2 else root / "memory") / f"kiseki-journey-{os.getpid()}"
    try:
        group.mkdir()
        try:
            (group / ("memory.max" if v2 else "memory.limit_in_bytes")).write_text(str(_LIMIT))
            yield [group / "cgroup.procs"]
        finally:
            with contextlib.suppress(OSError):
                await_true(lambda: not (group / "cgroup.procs").read_text(), what="an empty group")
                group.rmdir()
    except OSError as error:
        pytest.skip(f"no control group with a limit can be made here: {error.strerror}")


def test_a_training_in_a_container_is_measured_against_its_limit(
    laptop: Home, cloud: Home, limited_groups: list[Path]
) -> None:
    server = cloud.server()
    laptop.uploads_to(server)
    script = laptop.work / "train.py"
    script.write_text(_TRAINING)
    laptop.python(
        f"import sys, runpy; sys.argv = ['train.py', *{json.dumps([str(p) for p in limited_groups])}];"
        f"runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    rows = await_true(lambda: _system_rows(server), what="the system metrics on the server")
    held = max(rows, key=lambda row: row.get("system.proc.memory.rssMB", 0.0))
    resident = held["system.proc.memory.rssMB"]
    assert 200 < resident < 400
    assert held["system.proc.memory.percent"] == pytest.approx(100 * resident * MIB / _LIMIT, rel=0.01)
    assert 30 < held["system.memory_percent"] < 100
    assert held["system.proc.memory.availableMB"] < _LIMIT / MIB - 200
    assert all(row["_runtime"] >= 0 and "loss" not in row for row in rows)
    run = server.run("r")
    assert run is not None
    assert run["environment"]["cgroup"]["memory_bytes"] == _LIMIT
    assert run["environment"]["cpu"]["count_logical"] == os.cpu_count()
    assert run["last_step"] > 10  # The steps are the training's.
    for pid in laptop.sidecars():  # It lives in the group, which is to be removed.
        os.kill(pid, 15)


def test_an_offline_run_is_measured_and_synced(laptop: Home, cloud: Home) -> None:
    (laptop.work / "train.py").write_text(_TRAINING)
    laptop.python("import runpy, sys; sys.argv = ['x']; runpy.run_path('train.py')", KISEKI_MODE="offline")
    folder = laptop.run_folder("r")
    await_true(lambda: _sidecar_has_ended(folder), what="the end of the sidecar's own file")
    local = list(history(folder, SYSTEM_STREAM))
    server = cloud.server()
    laptop.uploads_to(server)
    laptop.kiseki("sync", str(folder))
    rows = await_true(lambda: _system_rows(server), what="the system metrics on the server")
    assert [row["system.memory_percent"] for row in rows] == [row["system.memory_percent"] for row in local]
    assert len(rows) >= 3
    assert any(row.get("system.proc.memory.rssMB", 0.0) > 200 for row in rows)
