"""`runs`, `show` and `export` through a server, or through the user's own store with none running."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kiseki.system.paths import record_root


@pytest.fixture(params=["a server runs", "no server runs"])
def somewhere(
    request: pytest.FixtureRequest,
    write_run: Callable,
    tmp_path: Path,
    start_server: Callable,
    wait_until: Callable,
) -> Path:
    """Two local runs of this user, seen by a running `kiseki up`, or by the store without one."""
    write_run(run_id="1a2b3c4d", rows=300)
    folder = write_run(run_id="5e6f7a8b", rows=2, state="failed")
    record_root(folder.parent)
    if request.param == "a server runs":
        server = start_server(own=True)

        def followed() -> bool:
            projects = json.loads(server.get("/api/v1/projects"))["projects"]
            return [project["runs"] for project in projects] == [2]

        wait_until(followed, what="both runs to be followed")
    return tmp_path


def test_runs_lists_what_there_is(kiseki: Callable, somewhere: Path) -> None:
    ended = kiseki("runs")
    assert ended.returncode == 0, ended.stderr
    title, *lines = ended.stdout.splitlines()
    assert title.split() == ["STATE", "NAME", "RUN", "CREATED", "RUNTIME", "TAGS", "NOTES"]
    assert sorted(line.split()[3] for line in lines) == ["ada/digits/1a2b3c4d", "ada/digits/5e6f7a8b"]
    assert {tuple(line.split()[:2]) for line in lines} == {("✓", "finished"), ("✕", "failed")}


def test_runs_as_json_can_be_filtered_and_sorted(kiseki: Callable, somewhere: Path) -> None:
    runs = json.loads(kiseki("runs", "ada/digits", "--json", "--sort", "summary.loss").stdout)
    assert [run["id"] for run in runs] == ["1a2b3c4d", "5e6f7a8b"]
    assert runs[0]["config"] == {"lr": 0.1, "model": {"depth": 2}}
    assert [
        run["id"] for run in json.loads(kiseki("runs", "digits", "--json", "--filter", "5e6f").stdout)
    ] == ["5e6f7a8b"]
    limited = kiseki("runs", "--json", "-n", "1")
    assert len(json.loads(limited.stdout)) == 1
    assert limited.stderr == "more runs than shown in ada/digits: --limit\n"


@pytest.mark.parametrize("path", ["ada/digits/1a2b3c4d", "digits/1a2b3c4d", "1a2b3c4d"])
def test_show_finds_a_run_by_each_form_of_its_path(kiseki: Callable, somewhere: Path, path: str) -> None:
    ended = kiseki("show", path, "--json")
    assert ended.returncode == 0, ended.stderr
    run = json.loads(ended.stdout)
    assert (run["id"], run["state"], run["summary"]["best"]["loss"], run["rows"]) == (
        "1a2b3c4d",
        "finished",
        0.25,
        300,
    )


def test_show_and_export_equal_what_the_files_say(kiseki: Callable, somewhere: Path) -> None:
    folder = somewhere / "kiseki/run-20260101_120000-1a2b3c4d"
    ours, theirs = (json.loads(kiseki("show", "--json", what).stdout) for what in (folder, "digits/1a2b3c4d"))
    for key in (
        "name",
        "state",
        "exit_code",
        "config",
        "summary",
        "tags",
        "notes",
        "rows",
        "last_step",
        "host",
        "user",
    ):
        assert theirs[key] == ours[key], key
    assert kiseki("export", "digits/1a2b3c4d").stdout == kiseki("export", folder).stdout


def test_what_is_not_there_is_said_so(kiseki: Callable, somewhere: Path) -> None:
    for arguments, said in (
        (("show", "nope"), 'no run "nope"'),
        (("export", "ada/digits/nope"), "nope"),
        (("runs", "other"), 'no project "other"'),
    ):
        ended = kiseki(*arguments)
        assert ended.returncode == 1
        assert said in ended.stderr
        assert ended.stderr.count("\n") == 1


def test_without_any_run_the_list_is_empty(kiseki: Callable) -> None:
    assert kiseki("runs").stdout == "no runs\n"
    assert kiseki("runs", "--json").stdout == "[]\n"
