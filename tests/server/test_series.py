"""Charts' points over HTTP: exact, labelled by run, key and lane, over steps or time."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.server.recorded import START_NS, record_run

from kiseki.app import create_instance
from kiseki.query import series
from kiseki.records.directory import history

QUESTION = {"entity": "ada", "project": "digits"}


def _series(user: Any, **question: Any) -> list[dict[str, Any]]:
    answer = user("POST", "/api/v1/series", json={**QUESTION, **question})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.apache.arrow.stream"
    rows: list[dict[str, Any]] = pa.ipc.open_stream(answer.content).read_all().to_pylist()
    return rows


def _place(row: dict[str, Any]) -> tuple[int, int, int]:
    return row["run"], row["key"], row["lane"]


def test_each_point_is_a_row_while_there_are_few(user: Any, tmp_path: Path) -> None:
    user.send(record_run(tmp_path, rows=[(0, {"loss": 3.0}), (7, {"loss": 1, "acc": True})]))
    rows = _series(user, runs=["run1"], keys=["loss", "none", "acc"])
    assert [(_place(row), row["x_first"], row["x_last"], row["last"]) for row in rows] == [
        ((0, 0, 0), 0.0, 0.0, 3.0),
        ((0, 0, 0), 7.0, 7.0, 1.0),
        ((0, 2, 0), 7.0, 7.0, 1.0),
    ]


def test_buckets_are_exact_over_many_runs(user: Any, tmp_path: Path) -> None:
    values = {f"run{n}": [math.sin(n + step / 7) for step in range(300)] for n in range(3)}
    for run_id, own in values.items():
        user.send(record_run(tmp_path, run_id, [(step, {"v": value}) for step, value in enumerate(own)]))
    rows = _series(user, runs=["run2", "run0"], keys=["v"], min=10, max=209, buckets=20)
    assert len(rows) == 40
    for row in rows:
        own = values[["run2", "run0"][row["run"]]]
        covered = own[int(row["x_first"]) : int(row["x_last"]) + 1]
        assert (row["count"], row["min"], row["max"]) == (len(covered), min(covered), max(covered))
        assert (row["first"], row["last"]) == (covered[0], covered[-1])
        assert row["sum"] == pytest.approx(sum(covered))
    assert sum(row["count"] for row in rows) == 2 * 200


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_buckets_equal_brute_force_over_the_run_directory(data: st.DataObject) -> None:
    value = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf]))
    rows = data.draw(st.lists(st.tuples(st.integers(0, 40), value), min_size=1, max_size=80))
    other = data.draw(st.lists(st.tuples(st.integers(0, 40), value), max_size=20))
    buckets = data.draw(st.integers(1, 50))
    with TemporaryDirectory() as name:
        folder = Path(name)
        own = record_run(folder / "run", rows=[(step, {"v": v}) for step, v in rows])
        fork = record_run(
            folder / "run",
            rows=[(step, {"v": v}) for step, v in other],
            uid=own.uid,
            lane=("", "fork"),
            start_ns=START_NS + 1000,
        )
        instance = create_instance(f"sqlite:///{folder}/store.db", local_roots=False)
        try:
            answers = instance.ingest.append([own.part(), fork.part()]).result()
            assert [answer.status for answer in answers] == [200, 200]
            stream = series(instance.store, [1], ["v"], buckets=buckets)
        finally:
            instance.close()
        lanes: dict[int, dict[int, float]] = {}
        for row in history(folder / "run"):
            lanes.setdefault(int("_lane" in row), {})[row["_step"]] = row["v"]
    found = pa.ipc.open_stream(stream).read_all().to_pylist()
    assert sum(row["count"] + row["nan"] + row["pinf"] + row["ninf"] for row in found) == sum(
        map(len, lanes.values())
    )
    for row in found:
        points = sorted(lanes[row["lane"]].items())
        covered = [v for step, v in points if row["x_first"] <= step <= row["x_last"]]
        finite = [v for v in covered if math.isfinite(v)]
        assert (row["count"], row["nan"]) == (len(finite), sum(map(math.isnan, covered)))
        if finite:
            figures = (row["min"], row["max"], row["first"], row["last"])
            assert figures == (min(finite), max(finite), finite[0], finite[-1])
            assert row["sum"] == pytest.approx(math.fsum(finite), abs=1e-6)


def test_odd_values_are_counted_apart(user: Any, tmp_path: Path) -> None:
    values = [1.0, math.nan, math.inf, 2.0, -math.inf, "text", None, 4.0]
    user.send(record_run(tmp_path, rows=[(step, {"v": value}) for step, value in enumerate(values)]))
    (row,) = _series(user, runs=["run1"], keys=["v"], buckets=1)
    assert (row["count"], row["nan"], row["pinf"], row["ninf"]) == (3, 1, 1, 1)
    assert (row["min"], row["max"], row["sum"], row["last"]) == (1.0, 4.0, 7.0, 4.0)


def test_last_record_of_a_step_wins_within_a_lane_and_lanes_stay_apart(user: Any, tmp_path: Path) -> None:
    own = record_run(tmp_path, rows=[(0, {"v": 1.0}), (0, {"v": 2.0})])
    fork = record_run(
        tmp_path, rows=[(0, {"v": 9.0})], uid=own.uid, lane=("", "fork"), start_ns=START_NS + 1000
    )
    user.send(own, fork)
    rows = _series(user, runs=["run1"], keys=["v"])
    assert [(row["lane"], row["last"], row["count"]) for row in rows] == [(0, 2.0, 1), (1, 9.0, 1)]
    assert user.get("/api/v1/runs/ada/digits/run1")["lanes"] == [
        {"lane": 0, "label": ""},
        {"lane": 1, "label": "fork"},
    ]


@pytest.mark.parametrize(("x", "start"), [("_runtime", 0.0), ("_timestamp", START_NS / 1e9)])
def test_time_is_an_axis_too(user: Any, tmp_path: Path, x: str, start: float) -> None:
    user.send(record_run(tmp_path, rows=[(step, {"v": step}) for step in range(5)]))
    rows = _series(user, runs=["run1"], keys=["v"], x=x)
    assert sum(row["count"] for row in rows) == 5
    assert all(start <= row["x_first"] <= row["x_last"] < start + 60 for row in rows)
    assert _series(user, runs=["run1"], keys=["v"], x=x, min=start + 60) == []


def test_range_may_be_wider_than_any_step(user: Any, tmp_path: Path) -> None:
    user.send(record_run(tmp_path, rows=[(step, {"v": float(step)}) for step in range(20)]))

    def counted(**bounds: float) -> int:
        rows = _series(user, runs=["run1"], keys=["v"], buckets=4, **bounds)
        return int(sum(row["count"] for row in rows))

    assert counted(min=-1.7e308, max=1.7e308) == counted() == 20
    assert counted(min=1e300) == counted(max=-1e300) == 0


def test_no_points_are_a_table_without_rows(user: Any, tmp_path: Path) -> None:
    user.send(record_run(tmp_path))
    assert _series(user, runs=["run1"], keys=["v"]) == []
    assert _series(user, runs=[], keys=[]) == []


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ({"runs": ["run1"], "keys": ["v"], "buckets": 0}, "buckets"),
        ({"runs": ["run1"], "keys": ["v"], "x": "_wall"}, "x"),
        ({"runs": ["run1"], "keys": ["v"], "min": 2, "max": 1}, "min"),
        ({"runs": "run1", "keys": ["v"]}, "runs"),
        ({"keys": ["v"]}, "runs"),
        ({"runs": ["run1"] * 1001, "keys": ["v"] * 100}, "100000 series"),
    ],
)
def test_senseless_questions_are_400(user: Any, tmp_path: Path, question: dict[str, Any], named: str) -> None:
    user.send(record_run(tmp_path))
    answer = user("POST", "/api/v1/series", json={**QUESTION, **question})
    assert answer.status_code == 400
    assert named in answer.json()["error"]


def test_unknown_run_is_404(user: Any, tmp_path: Path) -> None:
    user.send(record_run(tmp_path))
    answer = user("POST", "/api/v1/series", json={**QUESTION, "runs": ["run1", "ghost"], "keys": ["v"]})
    assert answer.status_code == 404
    assert "ghost" in answer.json()["error"]
