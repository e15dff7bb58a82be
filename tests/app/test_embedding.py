"""The store inside another process: local runs are read with no server, one owner at a time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.server.recorded import record_run

from kiseki.app import embedded
from kiseki.app.errors import StoreTaken
from kiseki.client.transport import AsgiTransport
from kiseki.records.numbers import from_json
from kiseki.system.owner import OwnerLock, read_owner
from kiseki.system.paths import record_root, store_dir


def _ask(app: Any, path: str) -> Any:
    reply = AsgiTransport(app).request("GET", path)
    assert reply.status == 200, reply.body
    return from_json(reply.body)


def test_local_runs_are_there_without_a_server(tmp_path: Path) -> None:
    root = tmp_path / "kiseki"
    record_run(root / "run-20250101_000000-run1", rows=[(0, {"a": 1.0}), (1, {"a": 2.0})])
    record_root(root)
    with embedded() as instance:
        (run,) = _ask(instance.asgi, "/api/v1/projects/ada/digits/runs")["runs"]
        rows = _ask(instance.asgi, "/api/v1/runs/ada/digits/run1/history")["rows"]
    assert (run["id"], run["state"], run["url"]) == ("run1", "finished", None)
    assert [row["a"] for row in rows] == [1.0, 2.0]
    assert read_owner(store_dir()) is None


def test_what_was_added_since_is_caught_up(tmp_path: Path) -> None:
    root = tmp_path / "kiseki"
    record_run(root / "run-20250101_000000-run1")
    record_root(root)
    with embedded():
        pass
    record_run(root / "run-20250101_000001-run2", "run2")
    with embedded() as instance:
        assert _ask(instance.asgi, "/api/v1/projects/ada/digits/runs/count") == {"count": 2}


def test_served_store_is_not_taken_but_named(start_server: Callable[..., Any]) -> None:
    server = start_server()
    with pytest.raises(StoreTaken) as raised, embedded(server.store):
        pass
    assert raised.value.url == server.url
    assert server.url in str(raised.value)


def test_call_waits_for_another_call_and_gives_up_in_words(tmp_path: Path) -> None:
    held = OwnerLock(tmp_path / "store")
    assert held.acquire()
    with pytest.raises(StoreTaken, match="in use by process"), embedded(tmp_path / "store", wait_s=0.1):
        pass
    held.release()
    with embedded(tmp_path / "store", wait_s=0.1) as instance:
        assert _ask(instance.asgi, "/api/v1/projects") == {"projects": []}


def test_lock_is_free_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ours"), embedded(tmp_path / "store"):
        raise RuntimeError("ours")
    assert read_owner(tmp_path / "store") is None


def test_importing_the_app_loads_no_server() -> None:
    code = "import sys, kiseki.app; print(sorted({'starlette', 'uvicorn', 'sqlalchemy'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
