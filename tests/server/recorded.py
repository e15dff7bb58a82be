"""Run files made by the real writer, and their way into a server through the append protocol."""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kiseki.client.protocol import MSGPACK, Answer, Part, Response, decode_response, encode_request
from kiseki.records.kinds import Config, Edit, Environment, Header, State
from kiseki.records.writer import RecordWriter

START_NS = 1_750_000_000 * 10**9


@dataclass(frozen=True)
class RunFile:
    """One writer's file."""

    uid: str
    writer: str
    path: Path

    @property
    def data(self) -> bytes:
        return self.path.read_bytes()

    def part(self, **changes: Any) -> Part:
        """The part that sends the whole file."""
        data = self.data
        fields: dict[str, Any] = {"offset": 0, "crc": 0, "end_crc": zlib.crc32(data), "data": data}
        return Part(run_uid=self.uid, writer=self.writer, **{**fields, **changes})


def record_run(
    folder: Path,
    run_id: str = "run1",
    rows: Iterable[tuple[int, Mapping[str, Any]]] = (),
    *,
    entity: str = "ada",
    project: str = "digits",
    config: Mapping[str, Any] | None = None,
    state: str | None = "finished",
    start_ns: int = START_NS,
    uid: str | None = None,
    lane: tuple[str, str] | None = None,
    environment: Mapping[str, Any] | None = None,
    **edits: Any,
) -> RunFile:
    """Write a run file into `folder`; `lane` is (first writer, label) of one that is not primary."""
    uid = uid or secrets.token_hex(16)
    writer = "w" + secrets.token_hex(8)[:15]
    header = Header(
        run_uid=uid,
        entity=entity,
        project=project,
        run_id=run_id,
        writer=writer,
        role="train",
        lane=writer if lane is None else (lane[0] or writer),
        label="" if lane is None else lane[1],
        primary=lane is None,
        host="laboratory",
        user="ada",
        wall_ns=start_ns,
    )
    folder.mkdir(parents=True, exist_ok=True)
    file = RecordWriter.create(folder / f"{writer}.kiseki", header)
    if config:
        file.append(Config(file.now(), dict(config), []))
    if environment:
        file.append(Environment(file.now(), dict(environment)))
    if edits:
        file.append(Edit(file.now(), edits))
    for step, row in rows:
        file.log_row(row, step)
    if state is not None:
        file.append(State(file.now(), state, 0 if state == "finished" else 1, None, None))
    file.close()
    return RunFile(uid, writer, folder / f"{writer}.kiseki")


def append_body(files: Sequence[RunFile]) -> bytes:
    """The request that sends these files whole."""
    return encode_request([file.part() for file in files])


def answers(body: bytes) -> list[Answer]:
    """The answers of a MessagePack append response."""
    return list(_response(body).parts)


def _response(body: bytes) -> Response:
    return decode_response(body)


APPEND_HEADERS = {"Content-Type": MSGPACK, "Accept": MSGPACK}
