"""The training's part of the sidecar: started, shared by equals, looked after, waited for in bounds."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kiseki.sdk.finish import _Bar, await_records, await_upload, finish_bound, read_upload
from kiseki.sdk.launch import lock_name
from kiseki.sdk.settings import RunSettings

Train = Callable[..., Any]


def test_equals_share_a_sidecar_and_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    local = RunSettings()
    server = RunSettings(base_url="http://localhost:7117", api_key="kk_" + "0" * 40)
    assert lock_name(local) == lock_name(RunSettings(project="other", mode="offline"))
    names = {
        lock_name(local),
        lock_name(server),
        lock_name(RunSettings(base_url="http://localhost:7118", api_key="kk_" + "0" * 40)),
        lock_name(RunSettings(base_url="http://localhost:7117", api_key="kk_" + "1" * 40)),
    }
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    names.add(lock_name(server))
    assert len(names) == 5
    assert all("kk_" not in name for name in names)


def test_sidecar_holds_its_lock_while_the_run_lives(train: Train) -> None:
    done = train("""
        import json, time
        from kiseki.system.locks import is_locked
        run = kiseki.init()
        spool = run._sidecar.spool
        (pointer,) = spool.glob("w*.json")
        told = json.loads(pointer.read_text())
        assert pointer.stat().st_mode & 0o777 == 0o600
        assert spool.stat().st_mode & 0o777 == 0o700
        assert told["run_dir"] == run.sync_dir and told["mode"] == "online" and told["base_url"] is None
        assert told["project"] == run.project and told["entity"] == run.entity
        assert told["program"] == __file__
        assert told["recording"] == {}
        deadline = time.monotonic() + 30
        while not is_locked(spool / "lock"):
            assert time.monotonic() < deadline, (spool / "sidecar.log").read_text()
            time.sleep(0.01)
        print((spool / "lock").read_text())
    """)
    assert done.status == 0, done.err
    assert int(done.out) > 1


def test_secrets_never_touch_the_spool(train: Train, isolated_home: Path) -> None:
    key = "kk_" + "7" * 40
    done = train(
        "run = kiseki.init(); run.log({'a': 1}); print(run.url)",
        env={
            "KISEKI_BASE_URL": "http://127.0.0.1:9",
            "KISEKI_API_KEY": key,
            "KISEKI_FINISH_TIMEOUT": "0.2",
            "LOGNAME": "mei",
        },
    )
    assert done.status == 0, done.err
    assert done.out.startswith("http://127.0.0.1:9/mei/uncategorized/runs/")
    for folder in (isolated_home, done.folder):
        for path in folder.rglob("*"):
            assert not path.is_file() or key.encode() not in path.read_bytes(), path


def test_dead_sidecar_is_started_anew(train: Train) -> None:
    done = train("""
        import os, signal, time
        import kiseki.sdk.launch
        kiseki.sdk.launch.LOOK_INTERVAL_S = 0.05
        run = kiseki.init()
        lock = run._sidecar.spool / "lock"
        def holder(other_than=0):
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                try:
                    pid = int(lock.read_text())
                    if pid != other_than:
                        return pid
                except (OSError, ValueError):
                    pass
                time.sleep(0.01)
            raise AssertionError("no sidecar")
        first = holder()
        os.kill(first, signal.SIGKILL)
        second = holder(other_than=first)
        assert second != first
    """)
    assert done.status == 0, done.err


@pytest.mark.parametrize("executable", ["", "/usr/bin/blender"])
def test_program_that_is_no_python_is_never_started(executable: str, train: Train) -> None:
    done = train(f"""
        import sys
        sys.executable = {executable!r}
        run = kiseki.init()
        run.log({{"a": 1}})
        assert not (run._sidecar.spool / "sidecar.log").exists()
    """)
    assert done.status == 0, done.err
    assert len(done.warnings) == 1 and "kiseki sync" in done.warnings[0]
    assert done.run.fold.state == "finished"


def test_local_run_waits_for_nothing(train: Train) -> None:
    done = train("""
        import time
        from kiseki.sdk import finish
        finish.await_upload = lambda *_: 1 / 0
        kiseki.init().finish()
        kiseki.init(mode="offline", settings={"base_url": "http://127.0.0.1:9"}).finish()
    """)
    assert done.status == 0, done.err


def test_unreachable_server_is_waited_for_in_bounds_and_said(train: Train) -> None:
    env = {
        "KISEKI_BASE_URL": "http://127.0.0.1:9",
        "KISEKI_FINISH_TIMEOUT": "0.3",
        "KISEKI_API_KEY": "kk_" + "0" * 40,
    }
    done = train("kiseki.init(id='x').log({'a': 1})", env=env)
    assert done.status == 0
    (line,) = done.warnings
    assert f"kiseki sync ./kiseki/{done.directories[0].name}" in line and "not sent" in line
    assert done.rows == [{"_step": 0, "a": 1}]


def test_without_a_key_nothing_is_waited_for(train: Train) -> None:
    done = train(
        """
        import kiseki.sdk.finish
        kiseki.sdk.finish.time.sleep = lambda seconds: 1 / 0
        kiseki.init(id="x").log({"a": 1})
        kiseki.finish()
    """,
        env={"KISEKI_BASE_URL": "http://127.0.0.1:9"},
    )
    assert done.status == 0, done.err
    first, second = done.warnings
    assert "KISEKI_API_KEY" in first and "kiseki login" in first and "kiseki sync" in second


def progress(path: Path, **values: object) -> Path:
    path.write_text(
        json.dumps({"offset": 0, "size": 10, "state": "sending", "error": None, "url": None, **values})
    )
    return path


@pytest.mark.parametrize("told", [{"offset": 10, "state": "done", "closed": True}, {"state": "following"}])
def test_wait_ends_when_all_is_sent(told: dict[str, object], tmp_path: Path) -> None:
    assert await_upload(progress(tmp_path / "p", **told), 10, 600, tmp_path, lambda: None)


def test_wait_ends_at_once_where_the_server_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = progress(tmp_path / "p", offset=4, state="stopped", error="no valid key")
    assert not await_upload(told, 10, 600, tmp_path, lambda: None)
    said = capsys.readouterr().err
    assert "6 bytes" in said and "no valid key" in said and f"kiseki sync {tmp_path}" in said


def test_wait_is_for_the_files_too_and_says_which_are_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left = {"files_left": 3, "files_bytes_left": 40_000_000, "files_error": "disk full"}
    told = progress(tmp_path / "p", offset=10, state="done", **left)
    assert not await_upload(told, 10, 0, tmp_path, lambda: None)
    said = capsys.readouterr().err
    assert "3 files (40.0 MB) are not sent yet (disk full)" in said and "kiseki sync" in said


def test_a_file_that_could_not_be_taken_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = progress(tmp_path / "p", offset=10, state="done", closed=True, files_error="a.bin cannot be read")
    assert await_upload(told, 10, 600, tmp_path, lambda: None)
    assert "a.bin cannot be read" in capsys.readouterr().err


def test_the_bar_counts_files(tmp_path: Path) -> None:
    bar = _Bar(1_000)
    first = read_upload(progress(tmp_path / "p", offset=1_000, files_left=12, files_bytes_left=99_000))
    assert "files: 0 of 12, 99.0 kB left" in bar.line(first, 30.0)
    later = read_upload(progress(tmp_path / "p", offset=1_000, files_left=9, files_bytes_left=40_000))
    assert "60.0 kB of 100.0 kB, files: 3 of 12, 40.0 kB left" in bar.line(later, 20.0)


def test_wait_sees_to_it_that_a_sidecar_lives(tmp_path: Path) -> None:
    """It may be killed while `finish` waits for it."""
    file = progress(tmp_path / "p")

    def start_sidecar() -> None:
        progress(file, offset=10, state="done", closed=True)

    assert await_upload(file, 10, 600, tmp_path, start_sidecar)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"offset": "x"}'])
def test_damaged_progress_is_no_progress(text: str, tmp_path: Path) -> None:
    (tmp_path / "p").write_text(text)
    assert not await_upload(tmp_path / "p", 10, 0, tmp_path, lambda: None)


def test_a_local_run_of_a_job_waits_for_its_records_but_not_without_a_sidecar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr("kiseki.sdk.finish.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("kiseki.sdk.finish.time.sleep", lambda seconds: None)
    asked: list[int] = []
    for pointer in ("p.json", "none.json"):
        (tmp_path / pointer).touch()

    def has_sidecar() -> bool:
        asked.append(1)
        if len(asked) == 20:
            progress(tmp_path / "p", state="done", closed=True)
        return True

    await_records(tmp_path / "p", 600, lambda: None, has_sidecar)
    assert len(asked) == 20
    before = next(clock)
    await_records(tmp_path / "none", 600, lambda: None, lambda: False)
    assert next(clock) - before < 10


def test_bound_is_longer_where_the_sidecar_dies_with_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert os.getpid() == 1 or finish_bound(None) == 30
    assert finish_bound(3.5) == 3.5
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert finish_bound(None) == 600
    monkeypatch.delenv("SLURM_JOB_ID")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert finish_bound(None) == 600
