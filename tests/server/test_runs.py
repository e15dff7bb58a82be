"""Projects and runs over HTTP: sorted, filtered, paged, counted, and one in full."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.server.recorded import START_NS, record_run

RUNS = "/api/v1/projects/ada/digits/runs"


@pytest.fixture
def three(user: Any, tmp_path: Path) -> Any:
    """A user of a server with three runs, started a minute apart."""
    made = [
        ("one", {"lr": 0.1, "arch": "CNN"}, {"name": "amber-fox-1", "tags": ["baseline"], "notes": "Tweak"}),
        ("two", {"lr": 0.01, "arch": "mlp", "deep": {"x": True}}, {"name": "calm-heron-2", "tags": []}),
        ("three", {"lr": 10, "extra": "a"}, {"name": "deep-owl-3", "tags": ["old", "基準"]}),
    ]
    for minute, (run_id, config, edits) in enumerate(made):
        user.send(
            record_run(
                tmp_path,
                run_id,
                [(0, {"loss": 3.0 - minute}), (1, {"loss": 2.0 - minute})],
                config=config,
                start_ns=START_NS + minute * 60 * 10**9,
                state="failed" if run_id == "two" else "finished",
                **edits,
            )
        )
    return user


def _ids(user: Any, **query: Any) -> list[str]:
    return [run["id"] for run in user.get(RUNS, params=query)["runs"]]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (["-created"], ["three", "two", "one"]),
        (["created"], ["one", "two", "three"]),
        (["name"], ["one", "two", "three"]),
        (["state", "created"], ["two", "one", "three"]),
        (["config.lr"], ["two", "one", "three"]),
        (["-config.lr"], ["three", "one", "two"]),
        (["summary.loss"], ["three", "two", "one"]),
        (["config.arch"], ["one", "two", "three"]),
        (["-config.arch"], ["two", "one", "three"]),
        (["config.extra", "created"], ["three", "one", "two"]),
        (["-config.extra", "created"], ["three", "one", "two"]),
        (["notes", "created"], ["one", "two", "three"]),
        (["config.nothing", "created"], ["one", "two", "three"]),
        (["config.deep.x", "-created"], ["two", "three", "one"]),
    ],
)
def test_runs_are_sorted_and_what_lacks_the_value_comes_last(
    three: Any, sort: list[str], expected: list[str]
) -> None:
    assert _ids(three, sort=sort) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {"one", "two", "three"}),
        ("FOX", {"one"}),
        ("two", {"two"}),
        ("tweak", {"one"}),
        ("base", {"one"}),
        ("基準", {"three"}),
        ("fox tweak", {"one"}),
        ("fox owl", set()),
        ("%", set()),
        ("_", set()),
        ('","', set()),
    ],
)
def test_filter_finds_words_in_name_id_notes_and_tags(three: Any, text: str, expected: set[str]) -> None:
    assert set(_ids(three, filter=text)) == expected
    assert three.get(f"{RUNS}/count", params={"filter": text}) == {"count": len(expected)}


def test_pages_follow_each_other_and_say_whether_more_come(three: Any) -> None:
    first = three.get(RUNS, params={"limit": 2})
    second = three.get(RUNS, params={"limit": 2, "offset": 2})
    assert [len(first["runs"]), first["more"], len(second["runs"]), second["more"]] == [2, True, 1, False]


def test_columns_are_those_of_all_runs_with_types(three: Any) -> None:
    columns = {
        one["key"]: (one["type"], one["count"]) for one in three.get(RUNS, params={"limit": 1})["columns"]
    }
    assert columns["config.lr"] == ("num", 3)
    assert columns["config.arch"] == ("txt", 2)
    assert columns["config.deep.x"] == ("bool", 1)
    assert columns["summary.loss"] == ("num", 3)


@pytest.mark.parametrize(
    "query",
    [
        {"sort": "speed"},
        {"sort": ["config.lr"] * 100},
        {"limit": 0},
        {"limit": "many"},
        {"offset": -1},
        {"offset": 10**30},
        {"filter": "many " * 1000},
    ],
)
def test_senseless_questions_are_400_and_name_the_part(three: Any, query: dict[str, Any]) -> None:
    answer = three("GET", RUNS, params=query)
    assert answer.status_code == 400
    assert next(iter(query)) in answer.json()["error"]


def test_run_is_shown_as_it_was_recorded(three: Any) -> None:
    run = three.get("/api/v1/runs/ada/digits/one")
    assert (run["entity"], run["project"], run["id"], run["name"]) == ("ada", "digits", "one", "amber-fox-1")
    assert (run["state"], run["exit_code"]) == ("finished", 0)
    assert run["config"] == {"lr": 0.1, "arch": "CNN"}
    assert run["summary"]["loss"] == 2.0
    assert (run["tags"], run["notes"]) == (["baseline"], "Tweak")
    assert (run["rows"], run["last_step"]) == (2, 1)
    assert run["started"] == pytest.approx(START_NS / 1e9)
    assert 0 <= run["runtime"] < 60
    assert run["url"] == "http://127.0.0.1:7117/ada/digits/runs/one"
    assert run["lanes"] == [{"lane": 0, "label": ""}]
    (loss,) = run["metrics"]
    assert (loss["key"], loss["count"], loss["min"], loss["max"], loss["last"]) == ("loss", 2, 2.0, 3.0, 2.0)
    assert (loss["step_min"], loss["step_max"]) == (0, 1)


def test_colours_are_places_in_the_project(three: Any) -> None:
    runs = three.get(RUNS, params={"sort": "created"})["runs"]
    assert [run["color"] for run in runs] == [0, 1, 2]


def test_odd_numbers_keep_their_value(user: Any, tmp_path: Path) -> None:
    config = {"nan": float("nan"), "big": 2**80, "inf": float("-inf")}
    user.send(record_run(tmp_path, config=config))
    shown = user.get("/api/v1/runs/ada/digits/run1")["config"]
    assert shown == {
        "nan": {"$float": "NaN"},
        "big": {"$int": str(2**80)},
        "inf": {"$float": "-Infinity"},
    }


def test_projects_are_listed_with_their_runs(three: Any, tmp_path: Path) -> None:
    later = START_NS + 86_400 * 10**9
    three.send(record_run(tmp_path, "live", [(0, {"a": 1.0})], project="peds", start_ns=later, state=None))
    peds, digits = three.get("/api/v1/projects")["projects"]
    assert (peds["name"], peds["runs"]) == ("peds", 1)
    assert (digits["entity"], digits["name"], digits["runs"], digits["running"]) == ("ada", "digits", 3, 0)
    assert digits["last_activity"] >= START_NS / 1e9


def test_metrics_of_a_project_count_runs_and_points(three: Any) -> None:
    (loss,) = three.get("/api/v1/projects/ada/digits/metrics")["metrics"]
    assert loss == {"key": "loss", "runs": 3, "points_max": 2, "numbers": 6, "type": "f64"}


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/projects/ada/nothing/runs",
        "/api/v1/projects/ada/nothing/runs/count",
        "/api/v1/projects/ada/nothing/metrics",
        "/api/v1/runs/ada/nothing/run1",
        "/api/v1/runs/ada/digits/nothing",
        "/api/v1/runs/ada/digits/nothing/history",
        "/api/v1/runs/ada/digits/nothing/export",
    ],
)
def test_unknown_project_or_run_is_404_and_named(three: Any, path: str) -> None:
    answer = three("GET", path)
    assert answer.status_code == 404
    assert "nothing" in answer.json()["error"]
