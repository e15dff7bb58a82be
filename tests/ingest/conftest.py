"""What the tests of ingest share: a store, run files written by the real writer, and how they are sent."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from kiseki.client.protocol import Answer, Part
from kiseki.ingest import Ingest
from kiseki.records.framing import split_frames
from kiseki.records.kinds import Header
from kiseki.records.reader import read_header
from kiseki.records.writer import RecordWriter
from kiseki.store import Store, open_store

UID = "0" * 31 + "1"


def header(
    number: int = 1,
    *,
    uid: str = UID,
    run_id: str = "abc",
    role: str = "train",
    lane: str | None = None,
    wall_ns: int = 1_700_000_000_000_000_000,
    **more: Any,
) -> Header:
    """A header of a made-up writer; `number` makes its id."""
    writer = f"w{number:015d}"
    return Header(
        run_uid=uid,
        entity="me",
        project="digits",
        run_id=run_id,
        writer=writer,
        role=role,
        lane=lane or writer,
        host="box",
        user="me",
        wall_ns=wall_ns,
        **more,
    )


class RunDirectory:
    """A run directory with its writers' files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)

    def writer(self, head: Header) -> RecordWriter:
        """A new writer's file."""
        return RecordWriter.create(self.path / f"{head.writer}.kiseki", head)

    def files(self) -> list[tuple[Header, bytes]]:
        """Header and bytes of each writer."""
        found = [path.read_bytes() for path in sorted(self.path.glob("*.kiseki"))]
        return [(read_header(data)[0], data) for data in found]


@pytest.fixture
def run_directory(tmp_path: Path) -> RunDirectory:
    """An empty run directory."""
    return RunDirectory(tmp_path / "kiseki" / "run-20260101_000000-abc")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A fresh store."""
    store = open_store(f"sqlite:///{tmp_path}/store/store.db", reserve_bytes=0)
    yield store
    store.close()


@pytest.fixture
def ingest(store: Store) -> Iterator[Ingest]:
    """Ingest on the fresh store."""
    ingest = Ingest(store)
    yield ingest
    ingest.close()


def cut(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """A file's bytes as whole-frame pieces of about these sizes, the last one to the end."""
    begin = read_header(data)[1]
    ends = [end for _, end in split_frames(data, begin).spans]
    pieces: list[bytes] = []
    start = 0
    for size in (*sizes, len(data)):
        fitting = [end for end in ends if start < end <= max(start + size, begin)]
        later = [end for end in ends if end > start]
        if not later:
            break
        end = fitting[-1] if fitting else later[0]
        pieces.append(data[start:end])
        start = end
    assert b"".join(pieces) == data
    return pieces


def part(data: bytes, offset: int = 0, crc: int = 0, *, of: Header, live: bool = True) -> Part:
    """The part that sends `data` at `offset`."""
    return Part(
        run_uid=of.run_uid,
        writer=of.writer,
        offset=offset,
        crc=crc,
        end_crc=crc32(data, crc),
        data=data,
        live=live,
    )


def send(ingest: Ingest, data: bytes, of: Header, sizes: Sequence[int] = (256 * 1024,) * 1000) -> Answer:
    """Send a writer's whole file in pieces; the last answer."""
    offset = crc = 0
    answer = Answer(status=0)
    for piece in cut(data, sizes):
        (answer,) = ingest.append([part(piece, offset, crc, of=of)]).result(30)
        assert answer.status == 200, answer
        offset, crc = offset + len(piece), crc32(piece, crc)
        assert (answer.offset, answer.crc) == (offset, crc)
    return answer


def send_directory(ingest: Ingest, directory: RunDirectory) -> None:
    """Send every writer of a run directory."""
    for head, data in directory.files():
        send(ingest, data, head)


def same(left: Any, right: Any) -> bool:
    """Equal in type and value; NaN equals NaN."""
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and bool(left == right)
