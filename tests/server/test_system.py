"""The system stream: what a sidecar measures stands beside the run, and never in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.server.recorded import START_NS, RunFile
from tests.server.sampled import record_samples, record_timed

from kiseki.app import Instance
from kiseki.records.directory import history, read_run

RUN = "/api/v1/runs/ada/digits/run1"
START = START_NS / 1e9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def files(folder: Path) -> list[RunFile]:
    """A training of two minutes, and samples from two hosts; the first one's sidecar was started twice."""
    train = record_timed(
        folder, [(2 * step, step, {"loss": 1 / (step + 1)}) for step in range(60)], state="finished"
    )
    first = [(10 * n, {"system.cpu": 10.0 + n, "system.proc.cpu.threads": 7}) for n in range(600)]
    again = [(6000 + 10 * n, {"system.cpu": 99.0}) for n in range(3)]
    other = [(5 + 10 * n, {"system.cpu": 50.0, "system.gpu.0.temp": 61.0 + n}) for n in range(12)]
    return [
        train,
        record_samples(folder, train.uid, first),
        record_samples(folder, train.uid, again, start_ns=START_NS + 1000),
        record_samples(folder, train.uid, other, host="node-2", start_ns=START_NS + 2000),
    ]


@pytest.fixture
def asked(user: Any, files: list[RunFile]) -> Any:
    """Asks a server that has all of it."""
    user.send(*files)
    return user


def points(user: Any, **question: Any) -> list[dict[str, Any]]:
    body = {"entity": "ada", "project": "digits", "runs": ["run1"], **question}
    answer = user("POST", "/api/v1/series", json=body)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = pa.ipc.open_stream(answer.content).read_all().to_pylist()
    return found


def test_samples_change_nothing_of_the_run(asked: Any, folder: Path) -> None:
    run = asked.get(RUN)
    assert [metric["key"] for metric in run["metrics"]] == ["loss"]
    assert [(lane["lane"], lane["label"]) for lane in run["lanes"]] == [(0, "")]
    assert (run["rows"], run["last_step"], run["state"]) == (60, 59, "finished")
    assert sorted(run["summary"]) == ["_runtime", "_step", "_timestamp", "loss"]
    assert run["summary"]["_runtime"] == 118
    project = asked.get("/api/v1/projects/ada/digits/metrics")
    assert [metric["key"] for metric in project["metrics"]] == ["loss"]
    columns = asked.get("/api/v1/projects/ada/digits/runs")["columns"]
    assert not [column for column in columns if "system" in column["key"]]
    assert [row["_step"] for row in asked.get(f"{RUN}/history")["rows"]] == list(range(60))
    assert points(asked, keys=["system.cpu"]) == []
    fold = read_run(folder).fold
    assert (fold.rows, fold.last_step, fold.summary["loss"]) == (60, 59, 1 / 60)
    assert len(list(history(folder))) == 60


def test_what_was_measured_and_by_whom(asked: Any) -> None:
    system = asked.get(f"{RUN}/system")
    assert [(lane["lane"], lane["label"]) for lane in system["lanes"]] == [
        (0, "laboratory"),
        (1, "laboratory"),
        (2, "node-2"),
    ]
    assert [
        (metric["key"], metric["device"], metric["quantity"], metric["unit"], metric["count"], metric["max"])
        for metric in system["metrics"]
    ] == [
        ("system.cpu", "cpu", "system.cpu", "%", 615, 609.0),
        ("system.gpu.0.temp", "gpu.0", "system.gpu.*.temp", "°C", 12, 72.0),
        ("system.proc.cpu.threads", "process", "system.proc.cpu.threads", "", 600, 7.0),
    ]


def test_its_points_over_wall_time(asked: Any) -> None:
    rows = points(asked, keys=["system.cpu", "loss"], x="_timestamp", stream="system", buckets=1000)
    by_lane = {lane: [row for row in rows if row["lane"] == lane] for lane in (0, 1, 2)}
    assert [len(by_lane[lane]) for lane in (0, 1, 2)] == [600, 3, 12]
    assert (by_lane[0][5]["x_first"], by_lane[0][5]["last"]) == (START + 50, 15.0)
    assert (by_lane[1][0]["x_first"], by_lane[1][0]["last"]) == (pytest.approx(START + 6000), 99.0)
    few = points(asked, keys=["system.cpu"], x="_runtime", stream="system", buckets=10, min=0, max=5999)
    assert sum(row["count"] for row in few) == 612


def test_the_step_of_the_training_at_a_time(asked: Any) -> None:
    rows = points(asked, keys=["_step"], x="_timestamp", buckets=1000)
    assert [(row["x_first"] - START, row["last"]) for row in rows] == [(2 * step, step) for step in range(60)]


def test_rows_of_the_stream_equal_the_files(asked: Any, folder: Path) -> None:
    exported = asked("GET", f"{RUN}/export?stream=system").text.splitlines()
    rows = [json.loads(line) for line in exported]
    assert rows == list(history(folder, "system"))
    assert len(rows) == 615
    assert rows[3] == {
        "_runtime": 30.0,
        "_timestamp": START + 30,
        "system.cpu": 13.0,
        "system.proc.cpu.threads": 7,
    }
    assert [row.get("_lane") for row in rows] == [None] * 603 + ["node-2"] * 12
    sampled = asked.get(f"{RUN}/history?stream=system&samples=10")["rows"]
    assert len(sampled) == 10
    assert (sampled[0], sampled[-1]) == (rows[0], rows[-1])
    threads = asked("GET", f"{RUN}/export?stream=system&keys=system.gpu.0.temp").text.splitlines()
    assert [json.loads(line)["system.gpu.0.temp"] for line in threads] == [61.0 + n for n in range(12)]


def test_a_stream_that_does_not_exist(asked: Any) -> None:
    assert asked("GET", f"{RUN}/history?stream=gpu").status_code == 400
    assert asked("GET", "/api/v1/runs/ada/digits/none/system").status_code == 404


def test_a_run_without_samples(user: Any, folder: Path) -> None:
    user.send(record_timed(folder, [(0, 0, {"loss": 1.0})]))
    assert user.get(f"{RUN}/system") == {"metrics": [], "lanes": []}
    assert user("GET", f"{RUN}/export?stream=system").text == ""
    assert user.get(f"{RUN}/history?stream=system")["rows"] == []


def test_a_rebuild_changes_nothing(asked: Any, instance: Instance) -> None:
    before = asked.get(f"{RUN}/system"), asked("GET", f"{RUN}/export?stream=system").content
    instance.ingest.seal_ended().result(30)
    assert instance.ingest.rebuild().result(30)
    assert (asked.get(f"{RUN}/system"), asked("GET", f"{RUN}/export?stream=system").content) == before
