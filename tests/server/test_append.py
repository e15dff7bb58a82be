"""The append endpoint: keys for parts, limits, answers in order, and what it refuses."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.server.recorded import APPEND_HEADERS, answers, append_body, record_run

from kiseki.app import Instance
from kiseki.client.protocol import Part, encode_request


def test_whole_file_arrives_and_is_known_then(user: Any, instance: Instance, tmp_path: Path) -> None:
    file = record_run(tmp_path, rows=[(step, {"loss": 1.0 / (step + 1)}) for step in range(5)])
    answer = user("POST", "/api/v1/append", content=append_body([file]), headers=APPEND_HEADERS)
    (taken,) = answers(answer.content)
    assert (taken.status, taken.offset, taken.crc) == (200, len(file.data), zlib.crc32(file.data))
    assert taken.url == "http://127.0.0.1:7117/ada/digits/runs/run1"
    ask = encode_request([Part(run_uid=file.uid, writer=file.writer, offset=None)])
    (known,) = answers(user("POST", "/api/v1/append", content=ask, headers=APPEND_HEADERS).content)
    assert (known.offset, known.crc) == (len(file.data), zlib.crc32(file.data))


def test_answer_is_json_unless_messagepack_is_asked_for(
    user: Any, instance: Instance, tmp_path: Path
) -> None:
    body = append_body([record_run(tmp_path)])
    answer = user("POST", "/api/v1/append", content=body, headers={"Content-Type": "application/x-msgpack"})
    document = answer.json()
    assert (document["server_id"], document["protocol"]) == (instance.store.server_id, [1, 1])
    assert document["parts"][0]["status"] == 200


def test_part_with_its_own_key_needs_no_header(stranger: Any, user: Any, key: str, tmp_path: Path) -> None:
    own, other = record_run(tmp_path, "own"), record_run(tmp_path, "other")
    body = encode_request([other.part(), own.part(key=key), other.part(key="kk_" + "0" * 40)])
    answer = stranger("POST", "/api/v1/append", content=body, headers=APPEND_HEADERS)
    assert [one.status for one in answers(answer.content)] == [401, 200, 401]
    runs = user.get("/api/v1/projects/ada/digits/runs")["runs"]
    assert [run["id"] for run in runs] == ["own"]


def test_wrong_key_of_a_part_is_not_saved_by_the_header(user: Any, tmp_path: Path) -> None:
    body = encode_request([record_run(tmp_path, "a").part(), record_run(tmp_path, "b").part(key="kk_no")])
    answer = user("POST", "/api/v1/append", content=body, headers=APPEND_HEADERS)
    assert [one.status for one in answers(answer.content)] == [200, 401]


def test_larger_body_than_allowed_is_413_and_says_how_large(
    make_instance: Callable[..., Instance], ask_app: Any, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KISEKI_MAX_BODY", "65536")
    user = ask_app(make_instance().asgi, {"Authorization": f"Bearer {key}"})
    answer = user("POST", "/api/v1/append", content=b"\0" * 65_537, headers=APPEND_HEADERS)
    assert answer.status_code == 413
    assert "65536" in answer.json()["error"]


@pytest.mark.parametrize("body", [b"", b"\xc1", b"{}", msgspec.msgpack.encode({"protocol": 1, "parts": 3})])
def test_what_is_no_request_is_400(user: Any, body: bytes) -> None:
    answer = user("POST", "/api/v1/append", content=body, headers=APPEND_HEADERS)
    assert answer.status_code == 400
    assert "append request" in answer.json()["error"]


def test_other_protocol_is_refused_in_words(user: Any) -> None:
    body = msgspec.msgpack.encode({"protocol": 2, "parts": []})
    answer = user("POST", "/api/v1/append", content=body, headers=APPEND_HEADERS)
    assert answer.status_code == 400
    assert "protocol" in answer.json()["error"]


def test_conflict_says_what_the_server_has(user: Any, tmp_path: Path) -> None:
    file = record_run(tmp_path)
    user.send(file)
    body = encode_request([file.part(offset=7, crc=1)])
    (answer,) = answers(user("POST", "/api/v1/append", content=body, headers=APPEND_HEADERS).content)
    assert (answer.status, answer.offset, answer.crc) == (409, len(file.data), zlib.crc32(file.data))
