"""The append protocol's client against a strict server: whatever fails, its bytes equal the file."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiseki.client import protocol
from kiseki.client.protocol import Answer, Part, Response
from kiseki.client.transport import Reply, Stream, TransportError
from kiseki.client.uploader import HEARTBEAT_S, Upload, Uploader
from kiseki.records.kinds import Header
from kiseki.records.writer import RecordWriter

Fault = str | int | None
WRITER = "waaaaaaaaaaaaaaa"


class Clock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Wire:
    """A transport to a strict server in this process; `faults` are the fates of the next requests."""

    def __init__(self, server: Any, key: str | None = None) -> None:
        self.base_url = "http://wire"
        self.key = key
        self.server = server
        self.faults: list[Fault] = []
        self.connected = False
        self.sizes: list[int] = []

    def request(
        self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        self.sizes.append(len(body))
        fault = self.faults.pop(0) if self.faults else None
        if fault == "unreachable":
            self.connected = False
            raise TransportError("cannot reach http://wire: Connection refused")
        self.connected = True
        if isinstance(fault, int):
            return Reply(fault, {}, b"")
        if fault == "garbage":
            return Reply(200, {}, b"<html>")
        if fault == "rollback":
            for writer, data in self.server.writers.items():
                boundary = _boundary(data, len(data) // 2)
                self.server.writers[writer] = data[:boundary]
        if fault == "forget":
            self.server.writers.clear()
        answer = self.server.answer(body, self.key)
        if fault == "lost answer":
            self.connected = False
            raise TransportError("cannot reach http://wire: connection reset")
        return Reply(200, {}, answer)

    def stream(
        self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Stream:
        reply = self.request(method, path, body=body, headers=headers)
        return Stream(reply.status, reply.headers, iter([reply.body]))

    def is_open(self) -> bool:
        return self.connected

    def close(self) -> None:
        self.connected = False


def _boundary(data: bytes, limit: int) -> int:
    """The last frame end that is not behind `limit`, or 0."""
    end, position = 0, 16
    while position + 8 <= len(data):
        position += 8 + int.from_bytes(data[position : position + 4], "little")
        if position > limit:
            break
        end = position
    return end


def _upload(path: Path, *, live: bool = False, uid: str = "0" * 31 + "1") -> Upload:
    upload = Upload(uid, path.stem, path, live=live)
    upload.size = path.stat().st_size
    return upload


def _work(uploader: Uploader, clock: Clock, uploads: list[Upload], *, turns: int = 300) -> None:
    """Let time pass and turns be taken until every upload is settled."""
    for _ in range(turns):
        if all(upload.settled for upload in uploads):
            return
        clock.now = max(clock.now, uploader.next_turn())
        uploader.turn()
    pytest.fail("the upload does not settle")


def _setup(server: Any, *paths: Path, live: bool = False) -> tuple[Wire, Clock, Uploader, list[Upload]]:
    wire, clock = Wire(server), Clock()
    uploader = Uploader(wire, clock=clock)
    uploads = [_upload(path, live=live) for path in paths]
    for upload in uploads:
        uploader.add(upload)
    return wire, clock, uploader, uploads


@settings(max_examples=60, deadline=None)
@given(
    rounds=st.lists(
        st.tuples(
            st.integers(0, 40),
            st.lists(
                st.sampled_from(
                    [
                        "unreachable",
                        "lost answer",
                        "rollback",
                        "forget",
                        "garbage",
                        413,
                        429,
                        503,
                        507,
                        502,
                        None,
                    ]
                ),
                max_size=4,
            ),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_the_servers_bytes_equal_the_file_whatever_fails(rounds: list[tuple[int, list[Fault]]]) -> None:
    from protocol_server import StrictServer

    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{WRITER}.kiseki"
        header = Header(
            run_uid="0" * 31 + "1",
            entity="e",
            project="p",
            run_id="r",
            writer=WRITER,
            role="train",
            lane=WRITER,
        )
        records = RecordWriter.create(path, header)
        server = StrictServer()
        wire, clock, uploader, (upload,) = _setup(server, path)
        step = 0
        for rows, faults in rounds:
            for _ in range(rows):
                records.log_row({"x": float(step)}, step)
                step += 1
            wire.faults = list(faults)
            upload.size = path.stat().st_size
            _work(uploader, clock, [upload])
            if "rollback" in faults or "forget" in faults:
                clock.now += HEARTBEAT_S
                upload.live = True  # What notices a rollback of a server that nothing is sent to.
                uploader.turn()
                _work(uploader, clock, [upload])
            assert bytes(server.writers[WRITER]) == path.read_bytes()
        assert server.breaches == []
        assert not upload.stopped


def test_a_new_connection_asks_before_it_sends(server: Any, write_run: Callable[..., RecordWriter]) -> None:
    records = write_run(5, finish=False)
    wire, clock, uploader, (upload,) = _setup(server, records.path)
    _work(uploader, clock, [upload])
    wire.connected = False
    records.log_row({"loss": 0.0}, 5)
    upload.size = records.position
    _work(uploader, clock, [upload])
    kinds = ["ask" if part.offset is None else "send" for parts in server.requests for part in parts]
    assert kinds == ["ask", "send", "ask", "send"]


def test_a_live_writer_is_listed_every_five_seconds(
    server: Any, write_run: Callable[..., RecordWriter]
) -> None:
    _, clock, uploader, (upload,) = _setup(server, write_run(5, finish=False).path, live=True)
    _work(uploader, clock, [upload])
    sent = len(server.requests)
    assert uploader.next_turn() == upload.contact_at + HEARTBEAT_S
    clock.now += HEARTBEAT_S - 0.1
    uploader.turn()
    assert len(server.requests) == sent
    clock.now += 0.1
    uploader.turn()
    beat = server.requests[-1][0]
    assert (beat.offset, beat.data, beat.live) == (upload.offset, b"", True)


def test_one_request_carries_parts_of_many_writers(
    server: Any, write_run: Callable[..., RecordWriter]
) -> None:
    paths = [
        write_run(20, writer=f"w{number:015}", run_id=f"r{number}", run_uid=f"{number:032}").path
        for number in range(5)
    ]
    wire, clock = Wire(server), Clock()
    uploader = Uploader(wire, clock=clock)
    uploads = [_upload(path, uid=f"{number:032}") for number, path in enumerate(paths)]
    for upload in uploads:
        uploader.add(upload)
    _work(uploader, clock, uploads)
    assert [len(parts) for parts in server.requests] == [5, 5]
    assert all(bytes(server.writers[path.stem]) == path.read_bytes() for path in paths)


def test_no_writer_starves_behind_a_long_one(server: Any, write_run: Callable[..., RecordWriter]) -> None:
    long = write_run(60_000).path
    short = write_run(5, writer="wbbbbbbbbbbbbbbb", role="sidecar").path
    wire, clock, uploader, uploads = _setup(server, long, short)
    server.max_body = 300 * 1024
    for _ in range(4):
        clock.now = max(clock.now, uploader.next_turn())
        uploader.turn()
    assert bytes(server.writers[short.stem]) == short.read_bytes()
    assert max(len(part.data) for parts in server.requests for part in parts) <= 256 * 1024
    _work(uploader, clock, uploads)
    assert bytes(server.writers[long.stem]) == long.read_bytes()
    assert max(wire.sizes) <= 300 * 1024


def test_a_record_that_is_too_large_is_said_and_tried_again(
    server: Any, write_run: Callable[..., RecordWriter]
) -> None:
    records = write_run(3, finish=False)
    records.log_row({"text": "x" * 100_000}, 3)
    _, clock, uploader, (upload,) = _setup(server, records.path)
    limit = 60_000

    def answer(body: bytes, key: str | None, taken: Any = server.answer) -> bytes:
        if len(body) <= limit:
            found: bytes = taken(body, key)
            return found
        parts = protocol.decode_request(body).parts
        answers = [Answer(status=413) for _ in parts]
        return protocol.encode_response(Response(server_id=server.server_id, parts=answers))

    server.answer = answer
    for _ in range(20):
        clock.now = max(clock.now, uploader.next_turn())
        uploader.turn()
        if upload.error:
            break
    assert upload.error is not None and "more than the server takes" in upload.error
    assert f"byte {upload.offset}" in upload.error
    assert not upload.stopped
    limit = 200_000
    _work(uploader, clock, [upload])
    assert bytes(server.writers[WRITER]) == records.path.read_bytes()
    assert upload.error is None


def test_a_proxy_that_takes_nothing_is_asked_ever_less_often(
    server: Any, write_run: Callable[..., RecordWriter]
) -> None:
    wire, clock, uploader, (upload,) = _setup(server, write_run(3).path)
    wire.faults = [413] * 1000
    began = clock.now
    for _ in range(20):
        clock.now = max(clock.now, uploader.next_turn())
        uploader.turn()
    assert clock.now - began > 60
    assert upload.error is not None and "takes no request" in upload.error
    wire.faults = []
    _work(uploader, clock, [upload])
    assert upload.error is None


def test_requests_grow_to_what_the_server_takes_once_a_refusal_is_past(
    server: Any, write_run: Callable[..., RecordWriter]
) -> None:
    records = write_run(3000, finish=False)
    wire, clock, uploader, (upload,) = _setup(server, records.path)
    wire.faults = [None, *[413] * 4]
    _work(uploader, clock, [upload])
    assert max(wire.sizes[6:]) < 40_000 < max(wire.sizes[:2])

    def log_much(start: int) -> int:
        """The largest request that much new data goes out in."""
        for step in range(start, start + 3000):
            records.log_row({"loss": 1.0, "step": float(step)}, step)
        upload.size = records.position
        before = len(wire.sizes)
        _work(uploader, clock, [upload])
        return max(wire.sizes[before:])

    assert log_much(10_000) < 40_000  # The refusal is not a minute old.
    clock.now += 60.0
    largest = [log_much(20_000 + 10_000 * turn) for turn in range(3)]
    assert largest[-1] > 100_000
    assert bytes(server.writers[WRITER]) == records.path.read_bytes()


def test_other_bytes_on_the_server_stop_the_writer(
    server: Any, write_run: Callable[..., RecordWriter]
) -> None:
    path = write_run(10).path
    other = write_run(9, writer="wbbbbbbbbbbbbbbb").path.read_bytes()
    server.writers[WRITER] = bytearray(other)
    _, clock, uploader, (upload,) = _setup(server, path)
    _work(uploader, clock, [upload])
    assert upload.stopped
    assert upload.error is not None and "not the beginning of" in upload.error
    assert bytes(server.writers[WRITER]) == other


def test_a_file_shorter_than_the_servers_stops_the_writer(
    server: Any, write_run: Callable[..., RecordWriter]
) -> None:
    path = write_run(10).path
    server.writers[WRITER] = bytearray(path.read_bytes() + b"more")
    _, clock, uploader, (upload,) = _setup(server, path)
    _work(uploader, clock, [upload])
    assert upload.stopped
    assert upload.error is not None and "more than" in upload.error


def test_a_torn_tail_waits_and_is_sent_once_whole(
    server: Any, write_run: Callable[..., RecordWriter]
) -> None:
    path = write_run(10).path
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    _, clock, uploader, (upload,) = _setup(server, path, live=True)
    _work(uploader, clock, [upload])
    assert whole.startswith(bytes(server.writers[WRITER])) and len(server.writers[WRITER]) < len(whole) - 3
    path.write_bytes(whole)
    upload.size = len(whole)
    _work(uploader, clock, [upload])
    assert bytes(server.writers[WRITER]) == whole


def test_damage_is_named_and_nothing_behind_it_sent(
    server: Any, write_run: Callable[..., RecordWriter]
) -> None:
    path = write_run(10).path
    data = bytearray(path.read_bytes())
    at = _boundary(bytes(data), len(data) - 200)
    data[at + 12] ^= 1
    path.write_bytes(data)
    _, clock, uploader, (upload,) = _setup(server, path)
    _work(uploader, clock, [upload])
    assert upload.damage == f"torn or damaged at byte {at}"
    assert len(server.writers[WRITER]) == at


def test_a_server_of_another_protocol_is_said(server: Any, write_run: Callable[..., RecordWriter]) -> None:
    def answer(body: bytes, key: str | None) -> bytes:
        return protocol.encode_response(Response(server_id="s", protocol=(2, 3), parts=[Answer(status=200)]))

    server.answer = answer
    _, clock, uploader, _ = _setup(server, write_run(1).path)
    clock.now = uploader.next_turn()
    uploader.turn()
    assert uploader.error is not None and "append protocol 2-3" in uploader.error


def test_a_damaged_request_is_sent_again(server: Any, write_run: Callable[..., RecordWriter]) -> None:
    path = write_run(10).path
    _, clock, uploader, (upload,) = _setup(server, path)
    taken, refused = server.answer, 0

    def answer(body: bytes, key: str | None) -> bytes:
        nonlocal refused
        parts = protocol.decode_request(body).parts
        if any(part.data for part in parts) and refused < 2:
            refused += 1
            answers = [Answer(status=400, error="checksum") for _ in parts]
            return protocol.encode_response(Response(server_id=server.server_id, parts=answers))
        found: bytes = taken(body, key)
        return found

    server.answer = answer
    _work(uploader, clock, [upload])
    assert refused == 2
    assert bytes(server.writers[WRITER]) == path.read_bytes()


def test_messages_survive_the_wire_and_ignore_what_is_new() -> None:
    import msgspec

    part = Part(run_uid="u", writer="w", offset=3, crc=1, end_crc=zlib.crc32(b"x"), data=b"x", live=True)
    assert protocol.decode_request(protocol.encode_request([part])).parts == [part]
    later = msgspec.msgpack.encode(
        {
            "server_id": "s",
            "protocol": [1, 4],
            "max_body": 9,
            "new": 1,
            "parts": [{"status": 200, "newer": 2}],
        }
    )
    assert protocol.decode_response(later).parts[0].offset == 0
