"""`kiseki files`: lists a run's files, and brings those that are named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kiseki.records.kinds import File, Header
from kiseki.records.writer import RecordWriter
from kiseki.system.paths import record_root

CONTENTS = {"notes.txt": b"hello\n", "media/a.png": b"png" * 500, "media/b.png": b"", "line\nbreak": b"x"}


@pytest.fixture
def folder(write_run: Callable[..., Path]) -> Path:
    """A run directory with files, under a recorded root."""
    folder = write_run()
    header = Header(
        "1a2b3c4d".ljust(32, "0"), "ada", "digits", "1a2b3c4d", "w000000000000002", "sidecar",
        "w000000000000002", primary=False,
    )  # fmt: skip
    sidecar = RecordWriter.create(folder / "w000000000000002.kiseki", header)
    for name, data in CONTENTS.items():
        path = folder / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        found = path.stat()
        digest = hashlib.sha256(data).hexdigest()
        sidecar.append(File(sidecar.now(), name, digest, found.st_size, found.st_mtime_ns))
    sidecar.close()
    record_root(folder.parent)
    return folder


def test_files_are_listed_without_a_server(kiseki: Callable, folder: Path) -> None:
    ended = kiseki("files", "digits/1a2b3c4d")
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    names = ["path", "line\\nbreak", "media/a.png", "media/b.png", "notes.txt"]
    assert [line.split()[-1] for line in lines] == names
    assert "1.5 kB" in lines[2]
    local = kiseki("files", folder)
    assert [line.split()[-1] for line in local.stdout.splitlines()] == names
    listed = json.loads(kiseki("files", "1a2b3c4d", "--json").stdout)
    assert {each["path"]: each["size"] for each in listed} == {
        name: len(data) for name, data in CONTENTS.items()
    }
    assert all(len(each["digest"]) == 64 for each in listed)


def test_named_files_are_downloaded(kiseki: Callable, folder: Path, tmp_path: Path) -> None:
    ended = kiseki("files", "1a2b3c4d", "notes.txt", "media/*", "-o", tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["notes.txt (6 B)", "media/a.png (1.5 kB)", "media/b.png (0 B)"]
    assert (tmp_path / "out/media/a.png").read_bytes() == CONTENTS["media/a.png"]
    again = kiseki("files", "1a2b3c4d", "notes.txt", "-o", tmp_path / "out")
    assert again.returncode == 1
    assert again.stderr.count("\n") == 1
    assert "exists" in again.stderr


def test_what_is_not_there_is_said_in_one_line(kiseki: Callable, folder: Path) -> None:
    ended = kiseki("files", "1a2b3c4d", "nothing.txt")
    assert (ended.returncode, ended.stderr) == (1, "kiseki: this run has no file nothing.txt\n")
