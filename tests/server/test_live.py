"""The event stream of a real server: told within a second, told once, never in the way."""

from __future__ import annotations

import json
import socket
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.server.recorded import APPEND_HEADERS, RunFile, append_body, record_run

from kiseki.client.protocol import Part, encode_request
from kiseki.records.framing import split_frames


@pytest.fixture
def server(start_server: Callable[..., Any]) -> Any:
    return start_server("--no-local-runs")


@pytest.fixture
def client(server: Any) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {server.key}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=20) as client:
        yield client


def _send(client: httpx.Client, file: RunFile) -> None:
    answer = client.post("/api/v1/append", content=append_body([file]), headers=APPEND_HEADERS)
    assert answer.status_code == 200


def _events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def test_change_of_a_run_is_told_with_where_it_is(client: httpx.Client, tmp_path: Path) -> None:
    with client.stream("GET", "/api/v1/live") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines).startswith(":")
        _send(client, record_run(tmp_path, rows=[(0, {"a": 1.0})]))
        told = next(_events(lines))
    assert {key: told[key] for key in ("entity", "project", "run")} == {
        "entity": "ada",
        "project": "digits",
        "run": "run1",
    }
    assert client.get("/api/v1/runs/ada/digits/run1").json()["at"] >= told["at"]


def test_stream_of_a_project_tells_nothing_of_others(client: httpx.Client, tmp_path: Path) -> None:
    with client.stream("GET", "/api/v1/live", params={"project": "ada/peds"}) as stream:
        lines = stream.iter_lines()
        next(lines)
        _send(client, record_run(tmp_path, "hidden"))
        _send(client, record_run(tmp_path, "shown", project="peds"))
        assert next(_events(lines))["run"] == "shown"


def test_project_must_be_named_whole(client: httpx.Client) -> None:
    answer = client.get("/api/v1/live", params={"project": "ada"})
    assert answer.status_code == 400
    assert "entity/project" in answer.json()["error"]


def test_reader_that_reads_nothing_slows_nobody(server: Any, client: httpx.Client, tmp_path: Path) -> None:
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        request = (
            f"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.key}\r\n\r\n"
        )
        deaf.sendall(request.encode())
        with client.stream("GET", "/api/v1/live") as stream:
            lines = stream.iter_lines()
            next(lines)
            for number in range(200):
                _send(client, record_run(tmp_path, f"run{number}", rows=[(0, {"a": 1.0})]))
            waited = {f"run{number}" for number in range(200)}
            events = _events(lines)
            while waited:
                waited.discard(next(events)["run"])


def test_many_changes_of_a_run_are_told_as_the_newest(client: httpx.Client, tmp_path: Path) -> None:
    file = record_run(tmp_path, rows=[(step, {"a": float(step)}) for step in range(300)])
    data = file.data
    spans = split_frames(data, 16, verify=True).spans
    ends = [end for _, end in spans][5:]
    with client.stream("GET", "/api/v1/live") as stream:
        lines = stream.iter_lines()
        next(lines)
        taken, crc = 0, 0
        for end in [*ends, len(data)]:
            if end <= taken:
                continue
            part = _piece(file, data, taken, end, crc)
            crc = part.end_crc
            taken = end
            body = encode_request([part])
            assert client.post("/api/v1/append", content=body, headers=APPEND_HEADERS).status_code == 200
        last = client.get("/api/v1/runs/ada/digits/run1").json()["at"]
        seen = []
        for told in _events(lines):
            seen.append(told["at"])
            if told["at"] >= last:
                break
    assert seen == sorted(set(seen))


def _piece(file: RunFile, data: bytes, start: int, end: int, crc: int) -> Part:
    piece = data[start:end]
    return file.part(offset=start, crc=crc, end_crc=zlib.crc32(piece, crc), data=piece)


def test_open_stream_does_not_keep_the_server_from_ending(server: Any, client: httpx.Client) -> None:
    with client.stream("GET", "/api/v1/live") as stream:
        lines = stream.iter_lines()
        next(lines)
        server.process.terminate()
        assert list(_events(lines)) == []
    assert server.process.wait(timeout=20) == 0
