"""docs/formats/append.md against the real server: a client written from the page alone, and the real one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kiseki.client.api import Api
from kiseki.client.sync import SyncError, sync_directory
from kiseki.client.transport import HttpTransport
from kiseki.records.directory import history
from kiseki.records.writer import RecordWriter

Write = Callable[..., RecordWriter]


def test_a_client_written_from_the_page_uploads_a_run(
    real_server: Any, second_client: Any, write_run: Write
) -> None:
    path = write_run(120).path
    send = second_client.send_file
    assert send(real_server.url, real_server.key, path, "0" * 31 + "1", path.stem) == 3
    assert send(real_server.url, real_server.key, path, "0" * 31 + "1", path.stem) == 0
    run = Api(base_url=real_server.url, api_key=real_server.key).run("me/proj/r1")
    assert run.state == "finished"
    assert list(run.scan_history()) == list(history(path.parent))


def test_both_clients_can_go_on_where_the_other_stopped(
    real_server: Any, second_client: Any, write_run: Write
) -> None:
    records = write_run(50, finish=False)
    transport = HttpTransport(real_server.url, real_server.key)
    assert sync_directory(records.path.parent, transport).sent == records.position
    for step in range(50, 80):
        records.log_row({"loss": 0.5}, step)
    where = (records.path, "0" * 31 + "1", records.path.stem)
    assert second_client.send_file(real_server.url, real_server.key, *where) == 1
    for step in range(80, 90):
        records.log_row({"loss": 0.25}, step)
    sync_directory(records.path.parent, transport)
    run = Api(base_url=real_server.url, api_key=real_server.key).run("me/proj/r1")
    assert list(run.scan_history()) == list(history(records.path.parent))


def test_a_wrong_key_is_refused(real_server: Any, second_client: Any, write_run: Write) -> None:
    path = write_run(5).path
    with pytest.raises(second_client.Refused, match="401"):
        second_client.send_file(real_server.url, "kk_" + "9" * 40, path, "0" * 31 + "1", path.stem)
    with pytest.raises(SyncError, match="does not accept the key"):
        sync_directory(path.parent, HttpTransport(real_server.url, "kk_" + "9" * 40))


def test_another_run_of_the_same_name_is_refused(
    real_server: Any, second_client: Any, write_run: Write
) -> None:
    first = write_run(5).path
    second_client.send_file(real_server.url, real_server.key, first, "0" * 31 + "1", first.stem)
    second = write_run(5, writer="wbbbbbbbbbbbbbbb", run_uid="2" * 32).path
    with pytest.raises(second_client.Refused, match="exists; use resume or another id"):
        second_client.send_file(real_server.url, real_server.key, second, "2" * 32, second.stem)


def test_the_page_is_where_the_answer_says(real_server: Any, write_run: Write) -> None:
    records = write_run(5)
    report = sync_directory(records.path.parent, HttpTransport(real_server.url, real_server.key))
    assert report.url == f"{real_server.url}/me/proj/runs/r1"
