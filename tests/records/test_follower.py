"""Following a file while another process appends to it."""

from __future__ import annotations

import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from kiseki.records import DecodedRow, Follower, RecordWriter, State, read_records

NewWriter = Callable[..., RecordWriter]


def read_all(follower: Follower, max_bytes: int = 1000) -> bytes:
    parts = []
    while part := follower.read_new(max_bytes):
        parts.append(part)
    return b"".join(parts)


def test_it_hands_out_every_byte_once_in_whole_frames(new_writer: NewWriter) -> None:
    writer = new_writer()
    follower = Follower(writer.path)
    followed = b""
    for step in range(500):
        writer.log_row({"x": step / 2, f"k{step % 7}": 1.0}, step)
        if step % 50 == 0:
            followed += read_all(follower)
            assert follower.offset == writer.position
            assert read_records(followed).damage is None
    followed += read_all(follower)
    assert followed == writer.path.read_bytes()
    assert follower.crc == zlib.crc32(followed)
    assert (follower.pending, follower.damage) == (0, None)
    assert follower.read_new() == b""


def test_it_goes_on_where_another_one_stopped(new_writer: NewWriter) -> None:
    writer = new_writer()
    for step in range(100):
        writer.log_row({"x": step / 2}, step)
    first = Follower(writer.path)
    start = first.read_new(700)
    first.close()
    second = Follower(writer.path, first.offset, first.crc)
    rest = read_all(second)
    assert start + rest == writer.path.read_bytes()
    assert second.crc == zlib.crc32(start + rest)


def test_it_opens_again_after_close(new_writer: NewWriter) -> None:
    writer = new_writer()
    follower = Follower(writer.path)
    assert read_all(follower)
    follower.close()
    follower.close()
    writer.log_row({"x": 1.0}, 0)
    assert read_all(follower)


def test_a_frame_larger_than_asked_for_comes_whole(new_writer: NewWriter) -> None:
    writer = new_writer()
    writer.log_row({"s": "x" * 300_000}, 0)
    writer.log_row({"s": "y"}, 1)
    assert read_all(Follower(writer.path), 64) == writer.path.read_bytes()


def test_an_incomplete_frame_is_pending_and_then_comes(run_dir: Path, new_writer: NewWriter) -> None:
    writer = new_writer()
    writer.log_row({"x": 1.0}, 0)
    whole = writer.path.read_bytes()
    path = run_dir / "growing"
    follower = Follower(path)
    with pytest.raises(FileNotFoundError):
        follower.read_new()
    followed = b""
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        followed += follower.read_new()
        assert len(followed) == follower.offset
        assert follower.pending == end - len(followed)
    assert followed == whole
    assert follower.damage is None


@pytest.mark.parametrize("broken", [3, 13, 20, 600, -1])
def test_damage_is_named_and_nothing_behind_it_comes(new_writer: NewWriter, broken: int) -> None:
    writer = new_writer()
    for step in range(20):
        writer.log_row({"x": step / 2}, step)
    data = bytearray(writer.path.read_bytes())
    data[broken] ^= 0x40
    writer.path.write_bytes(data)
    follower = Follower(writer.path)
    followed = read_all(follower)
    reading = read_records(bytes(data))
    assert follower.damage == reading.damage
    assert follower.damage is not None
    assert len(followed) <= broken % len(data)
    writer.log_row({"x": 1.0}, 20)
    assert follower.read_new() == b""


def test_a_file_that_shrinks_is_damage(new_writer: NewWriter) -> None:
    writer = new_writer()
    writer.log_row({"x": 1.0}, 0)
    follower = Follower(writer.path)
    followed = read_all(follower)
    writer.path.write_bytes(followed[:-10])
    assert follower.read_new() == b""
    assert follower.damage == f"cut below byte {len(followed)}, which was read before"


WRITING = """
import sys
sys.path.insert(0, sys.argv[2])
from kiseki.records import Header, RecordWriter, State
header = Header("0" * 32, "ada", "engines", "r1", "w", "train", "w")
writer = RecordWriter.create(sys.argv[1], header)
for step in range(30_000):
    writer.log_row({"x": step / 2, f"k{step % 100}": "text"}, step)
writer.append(State(writer.now(), "finished", 0))
"""


def test_it_keeps_up_with_a_process_that_writes(run_dir: Path) -> None:
    path = run_dir / "w.kiseki"
    source = str(Path(__file__).parents[2] / "src")
    child = subprocess.Popen([sys.executable, "-c", WRITING, str(path), source])
    follower = Follower(path)
    followed = b""
    ended = False
    while not ended:
        ended = child.poll() is not None
        if path.exists():
            followed += read_all(follower, 64 * 1024)
            assert follower.damage is None
    assert followed == path.read_bytes()
    entries = read_records(followed).entries
    steps = [entry.record.step for entry in entries if isinstance(entry.record, DecodedRow)]
    assert steps == list(range(30_000))
    assert isinstance(entries[-1].record, State)
