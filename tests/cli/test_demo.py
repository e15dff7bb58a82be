"""`kiseki demo` and the example: real runs through the library, seen by the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kiseki.system.owner import read_owner
from kiseki.system.paths import data_home, store_dir

ROOT = Path(__file__).parents[2]


def _demo_runs(kiseki: Callable) -> list[dict]:
    return [run for run in json.loads(kiseki("runs", "--json").stdout) if run["project"] == "demo"]


def test_demo_makes_its_runs_once(kiseki: Callable) -> None:
    first = kiseki(
        "demo", "--no-serve", env={"KISEKI_BASE_URL": "http://127.0.0.1:9", "WANDB_PROJECT": "other"}
    )
    assert first.returncode == 0, first.stderr
    assert first.stdout == f"made 6 runs in {data_home() / 'demo/kiseki'}\n"
    assert kiseki("demo", "--no-serve").stdout == ""
    runs = _demo_runs(kiseki)
    assert sorted(run["state"] for run in runs) == ["failed", *["finished"] * 5]
    assert {run["rows"] for run in runs} == {400}


def test_demo_shows_a_live_run_until_it_is_stopped(
    kiseki: Callable, wait_until: Callable, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "kiseki.cli", "demo", "--port", "0"]
    with (tmp_path / "log").open("wb") as log:
        demo = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_until(lambda: (owner := read_owner(store_dir())) and owner.url, what="the demo's server")
        wait_until(
            lambda: any(run["state"] == "running" and run["rows"] > 1 for run in _demo_runs(kiseki)),
            what="the live run",
        )
    finally:
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=30) == 0, (tmp_path / "log").read_text()
    assert sorted({run["state"] for run in _demo_runs(kiseki)}) == ["failed", "finished", "killed"]


def test_the_digits_example_learns_and_is_logged(kiseki: Callable, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    command = [sys.executable, ROOT / "examples/digits.py", "--runs", "2", "--epochs", "8", "--pace", "0"]
    ended = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    runs = json.loads(kiseki("runs", "digits", "--json").stdout)
    assert [run["state"] for run in runs] == ["finished", "finished"]
    assert all(run["summary"]["val/accuracy"] > 0.85 for run in runs)
    assert {run["config"]["activation"] for run in runs} == {"relu", "tanh"}
    rows = [json.loads(line) for line in kiseki("export", runs[0]["id"]).stdout.splitlines()]
    assert [row["_step"] for row in rows] == list(range(8))
