"""`sync_directory`: every writer whole, twice is once, and a reason in one line where it is not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kiseki.client.sync import SyncError, sync_directory
from kiseki.client.transport import HttpTransport
from kiseki.records.writer import RecordWriter
from kiseki.system.locks import FileLock
from kiseki.system.paths import spool_dir
from kiseki.system.process import this_process

Write = Callable[..., RecordWriter]


def test_every_writer_arrives_and_twice_is_once(server: Any, serve: Any, write_run: Write) -> None:
    first = write_run(100, mode="offline").path
    second = write_run(10, writer="wbbbbbbbbbbbbbbb", role="sidecar", mode="offline").path
    with serve(server) as url:
        report = sync_directory(first.parent, HttpTransport(url))
        assert report.sent == first.stat().st_size + second.stat().st_size
        again = sync_directory(first.parent, HttpTransport(url))
    assert again.sent == 0
    assert str(again).startswith("already there")
    assert {name: bytes(data) for name, data in server.writers.items()} == {
        path.stem: path.read_bytes() for path in (first, second)
    }
    assert server.breaches == []


def test_a_writer_with_a_living_sidecar_is_left_to_it(server: Any, serve: Any, write_run: Write) -> None:
    process = this_process()
    records = write_run(
        5,
        finish=False,
        pid=process.pid,
        pid_start=process.start,
        boot_id=process.boot_id,
        pid_ns=process.pid_ns,
    )
    spool = spool_dir("lock-of-a-test")
    lock = FileLock(spool / "lock")
    with serve(server) as url:
        pointer = {"mode": "online", "base_url": url, "writer": records.path.stem}
        (spool / f"{records.path.stem}.json").write_text(json.dumps(pointer))
        assert lock.acquire()
        left = sync_directory(records.path.parent, HttpTransport(url))
        assert left.left_to_sidecar == 1 and server.writers == {}
        lock.release()  # The sidecar died: nobody else sends it.
        assert sync_directory(records.path.parent, HttpTransport(url)).sent == records.position


def test_a_run_that_ended_is_sent_though_its_sidecar_lives(server: Any, serve: Any, write_run: Write) -> None:
    """The sidecar may have stopped this run's upload for good, with a wrong key or another server."""
    records = write_run(5)
    spool = spool_dir("lock-of-a-test")
    lock = FileLock(spool / "lock")
    with serve(server) as url:
        pointer = {"mode": "online", "base_url": url, "writer": records.path.stem}
        (spool / f"{records.path.stem}.json").write_text(json.dumps(pointer))
        assert lock.acquire()
        report = sync_directory(records.path.parent, HttpTransport(url))
        assert (report.left_to_sidecar, report.sent) == (0, records.position)
        lock.release()


def test_a_damaged_file_is_sent_up_to_its_damage(server: Any, serve: Any, write_run: Write) -> None:
    path = write_run(20).path
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    with serve(server) as url:
        report = sync_directory(path.parent, HttpTransport(url))
    sent = len(server.writers[path.stem])
    assert report.damage == [f"{path.name} is torn or damaged at byte {sent}"]
    assert whole.startswith(bytes(server.writers[path.stem]))


def test_a_file_that_is_no_run_file_is_named(server: Any, serve: Any, write_run: Write) -> None:
    path = write_run(5).path
    (path.parent / "wzzzzzzzzzzzzzzz.kiseki").write_bytes(b"something else entirely, and long enough")
    with serve(server) as url:
        report = sync_directory(path.parent, HttpTransport(url))
    assert report.damage[0].startswith("wzzzzzzzzzzzzzzz.kiseki: ")
    assert bytes(server.writers[path.stem]) == path.read_bytes()


def test_a_server_that_is_away_is_said(write_run: Write, server: Any, serve: Any) -> None:
    path = write_run(5).path
    with serve(server) as url:
        pass
    with pytest.raises(SyncError, match=f"cannot reach {url}"):
        sync_directory(path.parent, HttpTransport(url))


def test_a_refused_run_is_said(write_run: Write, server: Any, serve: Any) -> None:
    path = write_run(5).path
    server.uids[("me", "proj", "r1")] = "another"
    with serve(server) as url, pytest.raises(SyncError, match="exists; use resume or another id"):
        sync_directory(path.parent, HttpTransport(url))


def test_a_followed_run_needs_no_sending(write_run: Write, server: Any, serve: Any) -> None:
    path = write_run(5).path
    server.following.add(path.stem)
    with serve(server) as url:
        report = sync_directory(path.parent, HttpTransport(url))
    assert str(report) == "the server reads these files itself"


def test_a_folder_without_runs_is_said(tmp_path: Path) -> None:
    with pytest.raises(SyncError, match="holds no run file"):
        sync_directory(tmp_path, HttpTransport("http://localhost:1"))


def test_an_unreadable_file_is_said(write_run: Write, server: Any, serve: Any) -> None:
    path = write_run(5).path
    (path.parent / "wyyyyyyyyyyyyyyy.kiseki").mkdir()
    with serve(server) as url, pytest.raises(OSError, match="wyyyyyyyyyyyyyyy"):
        sync_directory(path.parent, HttpTransport(url))
    assert os.path.exists(path)
