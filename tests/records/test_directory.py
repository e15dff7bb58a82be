"""A run directory read as it lies there: merged history, lanes, damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kiseki.records import Config, Edit, RecordWriter, State, history, read_run

NewWriter = Callable[..., RecordWriter]
WALL = 1_700_000_000_000_000_000


def without_times(rows: Any) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in ("_runtime", "_timestamp")} for row in rows]


def test_a_run_of_one_writer(new_writer: NewWriter, run_dir: Path) -> None:
    writer = new_writer()
    writer.append(Edit(writer.now(), {"name": "amber-fox-12"}))
    writer.append(Config(writer.now(), {"lr": 0.1}))
    for step in range(3):
        writer.log_row({"loss": 1 / (step + 1), "val": {"acc": step}}, step)
    writer.append(State(writer.now(), "finished", 0))
    run = read_run(run_dir)
    assert [header.run_id for header in run.headers] == ["r1"]
    assert run.damage == []
    assert (run.fold.name, run.fold.config, run.fold.state) == ("amber-fox-12", {"lr": 0.1}, "finished")
    assert run.fold.summary["val"] == {"acc": 2}
    rows = list(history(run_dir))
    assert without_times(rows) == [{"_step": s, "loss": 1 / (s + 1), "val.acc": s} for s in range(3)]
    assert list(rows[0])[:3] == ["_step", "_runtime", "_timestamp"]
    assert rows[-1]["_timestamp"] == run.fold.summary["_timestamp"]
    assert rows[-1]["_runtime"] == run.fold.summary["_runtime"]
    assert 0 <= rows[0]["_runtime"] <= rows[-1]["_runtime"]
    assert rows[0]["_timestamp"] == pytest.approx(writer.header.wall_ns / 1e9 + rows[0]["_runtime"])


def test_rows_of_one_step_merge_and_the_last_value_wins(new_writer: NewWriter, run_dir: Path) -> None:
    writer = new_writer()
    writer.log_row({"a": 1.0, "b": 1.0}, 0)
    writer.log_row({"b": 2.0, "c": 3}, 0)
    writer.log_row({"a": 4.0}, 500)
    writer.log_row({"a": 5.0}, 3)
    assert without_times(history(run_dir)) == [
        {"_step": 0, "a": 1.0, "b": 2.0, "c": 3},
        {"_step": 3, "a": 5.0},
        {"_step": 500, "a": 4.0},
    ]


def test_who_resumes_comes_later_in_the_lane(new_writer: NewWriter, run_dir: Path) -> None:
    first = new_writer("wzzz", wall_ns=WALL)
    second = new_writer("waaa", lane="wzzz", resumes="wzzz", wall_ns=WALL - 10**9)
    second.log_row({"x": "second"}, 1)
    first.log_row({"x": "first"}, 1)
    first.log_row({"x": "first"}, 0)
    assert without_times(history(run_dir)) == [{"_step": 0, "x": "first"}, {"_step": 1, "x": "second"}]


def test_other_lanes_are_rows_of_their_own(new_writer: NewWriter, run_dir: Path) -> None:
    child = new_writer("waaa", primary=False, label="fork of wzzz (pid 7)", wall_ns=WALL)
    parent = new_writer("wzzz", wall_ns=WALL + 10**9)
    child.log_row({"x": 2.0}, 0)
    parent.log_row({"x": 1.0}, 0)
    rows = list(history(run_dir))
    assert without_times(rows) == [
        {"_step": 0, "x": 1.0},
        {"_step": 0, "x": 2.0, "_lane": "fork of wzzz (pid 7)"},
    ]
    assert rows[1]["_runtime"] < 1.0 <= rows[0]["_runtime"]


def test_damage_is_named_and_what_comes_before_is_shown(new_writer: NewWriter, run_dir: Path) -> None:
    writer = new_writer()
    for step in range(3):
        writer.log_row({"x": 1.0}, step)
    position = writer.position
    writer.log_row({"x": 1.0}, 3)
    with writer.path.open("r+b") as file:
        file.truncate(position + 5)
    (run_dir / "wempty.kiseki").touch()
    run = read_run(run_dir)
    assert run.damage == [
        f"{writer.path}: torn or damaged at byte {position}",
    ]
    assert [row["_step"] for row in history(run_dir)] == [0, 1, 2]
    assert run.fold.rows == 3


def test_a_directory_without_run_files_says_so(run_dir: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no run file"):
        read_run(run_dir)
    with pytest.raises(FileNotFoundError):
        next(history(run_dir))
