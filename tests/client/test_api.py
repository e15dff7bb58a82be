"""`kiseki.Api`: the same results from a server and, with none running, from the local runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.server.sampled import record_samples

from kiseki.client.api import Api, ApiError, NotFoundError
from kiseki.client.sync import sync_directory
from kiseki.client.transport import HttpTransport, TransportError
from kiseki.records.directory import history
from kiseki.records.kinds import Config, Edit
from kiseki.records.writer import RecordWriter
from kiseki.system.paths import record_root

Write = Callable[..., RecordWriter]


def _described(write_run: Write, rows: int = 20, **fields: Any) -> Path:
    """A finished run with config, name, notes and tags; returns its folder."""
    records = write_run(rows, finish=False, **fields)
    records.append(Config(records.now(), {"lr": 0.01, "big": 2**60, "nan": math.nan, "net": {"layers": 3}}))
    edits = {"name": "amber-fox-1", "notes": "tweak", "tags": ["a", "b"], "group": "g", "job_type": "train"}
    records.append(Edit(records.now(), edits))
    records.close()
    return records.path.parent


@pytest.fixture(params=["server", "local store"])
def api(request: pytest.FixtureRequest, real_server: Any, write_run: Write, tmp_path: Path) -> Api:
    """An Api over three runs of two projects, once by HTTP, once in this process."""
    folders = [
        _described(write_run, run_id="r1"),
        _described(write_run, run_id="r2", run_uid="2" * 32, writer="wbbbbbbbbbbbbbbb", rows=1500),
        _described(write_run, run_id="r3", run_uid="3" * 32, writer="wccccccccccccccc", project="other"),
    ]
    samples = [(10.0 * n, {"system.cpu": 10.0 + n}) for n in range(3)]
    named = {"entity": "me", "project": "proj", "run_id": "r1"}
    record_samples(folders[0], "0" * 31 + "1", samples, start_ns=time.time_ns(), **named)
    if request.param == "server":
        transport = HttpTransport(real_server.url, real_server.key)
        for folder in folders:
            sync_directory(folder, transport)
        return Api(base_url=real_server.url, api_key=real_server.key)
    record_root(tmp_path)
    return Api()


def test_a_run_reads_back_as_it_was_logged(api: Api, tmp_path: Path) -> None:
    run = api.run("me/proj/r1")
    assert (run.id, run.name, run.entity, run.project) == ("r1", "amber-fox-1", "me", "proj")
    assert run.path == ["me", "proj", "r1"]
    assert (run.notes, run.tags, run.group, run.job_type) == ("tweak", ["a", "b"], "g", "train")
    assert (run.config["lr"], run.config["big"], run.config["net"]) == (0.01, 2**60, {"layers": 3})
    assert math.isnan(run.config["nan"])
    assert run.summary["acc"] == 19.0 and run.summary["_step"] == 19
    assert run.summary._json_dict == run.summary and type(run.summary._json_dict) is dict
    assert run.lastHistoryStep == 19
    assert run.created_at.endswith("Z") and run.created_at[4] == "-"
    assert run.state in ("running", "crashed", "no_contact")
    assert run.url is None if api.base_url is None else run.url == f"{api.base_url}/me/proj/runs/r1"
    assert list(run.scan_history()) == list(history(tmp_path / "run-r1"))
    assert repr(run).startswith("<Run me/proj/r1 (")
    assert run.load() is run


def test_scanning_takes_keys_and_a_range(api: Api) -> None:
    run = api.run("me/proj/r2")
    rows = list(run.scan_history(keys=["acc", "_step"], min_step=10, max_step=20))
    assert [list(row.items()) for row in rows] == [[("acc", step), ("_step", step)] for step in range(10, 20)]
    assert list(run.scan_history(keys=["loss"], max_step=2)) == [{"loss": 1.0}, {"loss": 0.5}]
    assert list(run.scan_history(keys=["acc", "nothing"])) == []
    assert sum(1 for _ in run.scan_history(page_size=10)) == 1500


def test_history_is_sampled_and_a_frame_where_pandas_is(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    run = api.run("me/proj/r2")
    rows = run.history(samples=50, keys=["loss"], pandas=False)
    assert len(rows) <= 50
    assert (rows[0], rows[-1]) == ({"_step": 0, "loss": 1.0}, {"_step": 1499, "loss": 1 / 1500})
    by_other = run.history(samples=50, keys=["loss"], x_axis="acc", pandas=False)
    assert by_other[-1] == {"acc": 1499.0, "loss": 1 / 1500}
    with pytest.raises(ValueError, match='stream="gpu": there are "default" and "system"'):
        run.history(stream="gpu")
    with pytest.raises(ValueError, match="samples is 0; it takes 1 or more"):
        run.history(samples=0)
    for read in (run.history, run.scan_history):
        with pytest.raises(TypeError, match="keys takes a list of metric names, not str 'loss'"):
            read(keys="loss")
    pandas = pytest.importorskip("pandas")
    frame = run.history(samples=50, keys=["loss"])
    assert isinstance(frame, pandas.DataFrame) and list(frame.columns) == ["_step", "loss"]


def test_history_without_pandas_is_a_list_of_dicts(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    rows = api.run("r1").history()
    assert isinstance(rows, list) and len(rows) == 20 and rows[3]["acc"] == 3.0


def test_a_path_may_be_short_or_an_address(api: Api) -> None:
    forms = ("me/proj/r1", "/me/proj/r1", "proj/r1", "r1", "me/proj/runs/r1", "http://x:1/me/proj/runs/r1")
    assert {tuple(api.run(form).path) for form in forms} == {("me", "proj", "r1")}


def test_what_is_not_there_is_said(api: Api) -> None:
    for path in ("me/proj/nothing", "proj/nothing", "nothing"):
        with pytest.raises(NotFoundError, match="nothing"):
            api.run(path)
    with pytest.raises(ValueError, match="no path"):
        api.run("a/b/c/d/e")
    with pytest.raises(NotFoundError, match="no project"):
        api.runs("nothing")


def test_runs_come_page_by_page(api: Api) -> None:
    runs = api.runs("me/proj", order="+created_at", per_page=1)
    assert len(runs) == 2
    assert [run.id for run in runs] == [run.id for run in runs[:]] == [runs[0].id, runs[-1].id]
    assert [run.id for run in api.runs("proj", order="-summary_metrics.acc")] == ["r2", "r1"]
    assert [run.id for run in api.runs("proj", "nothing-like-this")] == []
    with pytest.raises(IndexError):
        runs[2]
    with pytest.raises(IndexError):
        runs[-3]
    with pytest.raises(ValueError, match="per_page"):
        api.runs("me/proj", per_page=0)


def test_projects_are_listed(api: Api) -> None:
    assert {(each.entity, each.name, each.runs) for each in api.projects()} == {
        ("me", "proj", 2),
        ("me", "other", 1),
    }
    assert api.projects(entity="you") == []


def test_a_default_project_and_entity_settle_what_a_short_path_means(
    real_server: Any, write_run: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(3, run_id="same")
    folder = write_run(
        3, run_id="same", entity="you", run_uid="2" * 32, writer="wbbbbbbbbbbbbbbb"
    ).path.parent
    sync_directory(folder, HttpTransport(real_server.url, real_server.key))
    address = {"base_url": real_server.url}
    with pytest.raises(ApiError, match="several runs"):
        Api(address, api_key=real_server.key).run("proj/same")
    monkeypatch.setenv("KISEKI_ENTITY", "you")
    assert Api(address, api_key=real_server.key).run("proj/same").entity == "you"
    named = Api({**address, "entity": "me", "project": "proj"}, api_key=real_server.key)
    assert named.run("same").entity == "me"
    assert [run.entity for run in named.runs()] == ["me"]


def test_a_notebook_sees_rows_that_came_since(write_run: Write, tmp_path: Path) -> None:
    records = write_run(3, finish=False)
    record_root(tmp_path)
    api = Api()
    assert len(list(api.run("r1").scan_history())) == 3
    records.log_row({"loss": 0.0}, 3)
    assert len(list(api.run("r1").scan_history())) == 4


def test_a_server_that_starts_is_asked_from_then_on(
    write_run: Write, tmp_path: Path, start_server: Callable[..., Any]
) -> None:
    from kiseki.system.paths import store_dir

    write_run(3)
    record_root(tmp_path)
    api = Api()
    assert api.base_url is None
    assert api.run("r1").url is None
    server = start_server(store=store_dir())
    assert api.base_url == server.url
    assert api.run("r1").url == f"{server.url}/me/proj/runs/r1"
    server.stop()
    assert api.run("r1").url is None


def test_the_environment_names_server_and_key(real_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KISEKI_BASE_URL", real_server.url)
    with pytest.raises(ApiError) as caught:
        Api().projects()
    assert caught.value.status == 401
    monkeypatch.setenv("KISEKI_API_KEY", real_server.key)
    assert Api().projects() == []


def test_a_server_that_is_away_is_one_line() -> None:
    with pytest.raises(TransportError, match="cannot reach"):
        Api(base_url="http://127.0.0.1:1").projects()


def test_no_connection_is_left_behind(api: Api) -> None:
    rows = api.run("me/proj/r2").scan_history()
    next(rows)
    rows.close()  # type: ignore[attr-defined]
    assert api.run("r1").id == "r1"


def test_threads_may_share_an_api(api: Api) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: api.run(f"me/proj/r{number % 2 + 1}").id, range(24)))
    assert found == [f"r{number % 2 + 1}" for number in range(24)]


def test_what_was_measured_beside_a_run(api: Api, tmp_path: Path) -> None:
    run = api.run("me/proj/r1")
    rows = run.history(stream="system", pandas=False)
    assert rows == list(run.scan_history(stream="system")) == list(history(tmp_path / "run-r1", "system"))
    assert [row["system.cpu"] for row in rows] == [10.0, 11.0, 12.0]
    assert set(rows[0]) == {"_runtime", "_timestamp", "system.cpu"}
    only = run.history(stream="system", keys=["system.cpu"], pandas=False)
    assert list(only[0]) == ["_timestamp", "system.cpu"]
    assert run.system_metrics == {"system.cpu": 12.0}
    assert [metric["unit"] for metric in run.system()["metrics"]] == ["%"]
    assert "system.cpu" not in run.summary
