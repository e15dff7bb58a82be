"""History and export equal what the run directory itself says."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from tests.server.recorded import START_NS, record_run

from kiseki.query import history as history_module
from kiseki.records.directory import history
from kiseki.records.numbers import from_json

RUN = "/api/v1/runs/ada/digits/run1"


def _export(user: Any, **query: Any) -> list[dict[str, Any]]:
    answer = user("GET", f"{RUN}/export", params=query)
    assert answer.status_code == 200, answer.text
    return [from_json(line) for line in answer.content.splitlines()]


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    return type(one) is type(other) and bool(one == other)


ODD_ROWS = [
    (0, {"loss": 1.0, "acc": 0, "name": "first", "flag": True, "none": None}),
    (1, {"loss": math.nan, "acc": 2**60, "list": [1, [2.5, "x"]], "deep": {"a": {"b": 1}}}),
    (1, {"acc": 7, "late": math.inf}),
    (5, {"loss": -math.inf, "acc": 2**70, "flag": False}),
    (3, {"loss": 2.5, "日本": "値"}),
    (-7, {}),
    (3, {}),
    (99, {}),
]


def test_export_equals_the_run_directory(user: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    file = record_run(folder, rows=ODD_ROWS)
    fork = record_run(
        folder,
        rows=[(0, {"loss": 9.0}), (2, {"loss": 8.0})],
        uid=file.uid,
        lane=("", "fork of it (pid 7)"),
        start_ns=START_NS + 10**9,
    )
    user.send(file, fork)
    expected = list(history(folder))
    found = _export(user)
    assert [row.get("_lane", "") for row in found] == [""] * 6 + ["fork of it (pid 7)"] * 2
    assert _equal(found, expected)


def test_long_run_is_exported_in_windows_without_a_seam(
    user: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "WINDOW_ROWS", 100)
    file = record_run(tmp_path / "run", rows=[(step * 3, {"a": float(step)}) for step in range(1000)])
    user.send(file)
    assert _equal(_export(user), list(history(tmp_path / "run")))


def test_windows_and_segments_need_not_meet(
    user: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "WINDOW_ROWS", 3000)
    values = [{f"key/{number}": float(step * number) for number in range(20)} for step in range(15_000)]
    # The first step is logged again in the last segment: the later record wins, in the first window.
    rows = [*enumerate(values), (0, {"key/1": -1.0})]
    file = record_run(tmp_path / "run", rows=rows)
    assert len(file.data) > 2 * 1024 * 1024
    user.send(file)
    assert _equal(_export(user), list(history(tmp_path / "run")))


def test_steps_are_bounded_below_inclusive_above_exclusive(user: Any, tmp_path: Path) -> None:
    user.send(record_run(tmp_path, rows=[(step, {"a": step}) for step in range(10)]))
    assert [row["_step"] for row in _export(user, min_step=3, max_step=6)] == [3, 4, 5]
    assert _export(user, min_step=30) == []
    assert _export(user, max_step=0) == []
    assert _export(user, min_step=10**30) == _export(user, max_step=-(10**30)) == []
    assert len(_export(user, min_step=-(10**30), max_step=10**30)) == 10


def test_with_keys_only_rows_that_have_all_of_them(user: Any, tmp_path: Path) -> None:
    rows = [(0, {"a": 1, "b": 2}), (1, {"a": 3}), (2, {"a": 5, "b": 6, "c": 7})]
    user.send(record_run(tmp_path, rows=rows))
    found = _export(user, keys=["a", "b"])
    assert [{key: row[key] for key in ("_step", "a", "b")} for row in found] == [
        {"_step": 0, "a": 1, "b": 2},
        {"_step": 2, "a": 5, "b": 6},
    ]
    assert not any("c" in row for row in found)


def test_sample_is_even_and_keeps_both_ends(user: Any, tmp_path: Path) -> None:
    user.send(record_run(tmp_path, rows=[(step, {"a": step}) for step in range(101)]))
    rows = user.get(f"{RUN}/history", params={"samples": 11})["rows"]
    assert [row["_step"] for row in rows] == list(range(0, 101, 10))
    assert len(user.get(f"{RUN}/history")["rows"]) == 101
    assert [row["_step"] for row in user.get(f"{RUN}/history", params={"samples": 1})["rows"]] == [100]


@pytest.mark.parametrize("keys", [["_step", "b"], ["b", "b", "_timestamp"]])
def test_keys_that_every_row_has_may_be_named_too(user: Any, tmp_path: Path, keys: list[str]) -> None:
    user.send(record_run(tmp_path, rows=[(0, {"a": 1}), (1, {"a": 2, "b": 3})]))
    (row,) = _export(user, keys=keys)
    assert (row["_step"], row["b"]) == (1, 3)
    assert [row["_step"] for row in _export(user, keys=["_step"])] == [0, 1]
    assert all("a" not in row for row in _export(user, keys=["_step"]))


def test_sample_with_keys_has_them_all(user: Any, tmp_path: Path) -> None:
    rows = [(step, {"a": step, **({"b": -step, "s": "x"} if step % 3 == 0 else {})}) for step in range(100)]
    user.send(record_run(tmp_path, rows=rows))
    found = user.get(f"{RUN}/history", params={"keys": ["a", "b", "s"], "samples": 4})["rows"]
    assert [(row["_step"], row["a"], row["b"], row["s"]) for row in found] == [
        (step, step, -step, "x") for step in (0, 33, 66, 99)
    ]
    assert user.get(f"{RUN}/history", params={"keys": ["a", "none"]}) == {"rows": []}


def test_sample_goes_over_all_lanes(user: Any, tmp_path: Path) -> None:
    own = record_run(tmp_path, rows=[(step, {"a": step}) for step in range(10)])
    fork = record_run(
        tmp_path,
        rows=[(step, {"a": step, "late": 1.5}) for step in range(5, 15)],
        uid=own.uid,
        lane=("", "fork"),
        start_ns=START_NS + 10**9,
    )
    user.send(own, fork)
    whole = user.get(f"{RUN}/history")["rows"]
    assert whole == [json.loads(line) for line in user("GET", f"{RUN}/export").content.splitlines()]
    sample = user.get(f"{RUN}/history", params={"samples": 5})["rows"]
    assert [whole.index(row) for row in sample] == [0, 5, 10, 14, 19]


def test_run_without_rows_has_no_history(user: Any, tmp_path: Path) -> None:
    user.send(record_run(tmp_path, config={"a": 1}))
    assert user.get(f"{RUN}/history") == {"rows": []}
    assert _export(user) == []
