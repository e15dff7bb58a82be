"""Which files are taken, when, and what the worker makes of files that change while it reads them."""

from __future__ import annotations

import hashlib
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from kiseki.records.directory import read_run
from kiseki.records.kinds import File
from kiseki.records.reader import read_records
from kiseki.records.recorded_files import Version
from kiseki.sidecar import file_worker
from kiseki.sidecar import files as scanning
from kiseki.sidecar.file_attendant import FileAttendant
from kiseki.sidecar.file_work import FileWork
from kiseki.sidecar.files import FileScan
from kiseki.sidecar.follow import RunFollow
from kiseki.sidecar.run_files import RunFiles

Wait = Callable[..., Any]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty `files/`."""
    (tmp_path / "files").mkdir()
    return tmp_path / "files"


def _ready(scan: FileScan, now: float, **options: Any) -> list[str]:
    return sorted(found.path for found in scan.look(now, **options).ready)


def test_a_file_is_taken_once_when_it_rests_and_again_when_it_changed(root: Path) -> None:
    scan = FileScan(root)
    (root / "a").write_text("1")
    assert _ready(scan, 100.0) == []
    assert _ready(scan, 101.5) == []
    (root / "a").write_text("22")
    assert _ready(scan, 102.5) == []  # changed meanwhile
    assert _ready(scan, 104.6) == ["a"]
    assert _ready(scan, 120.0) == []
    os.utime(root / "a", ns=(5, 5))
    assert _ready(scan, 122.0) == []
    assert _ready(scan, 124.1) == ["a"]


def test_a_file_that_never_rests_is_taken_each_minute_as_a_copy(root: Path) -> None:
    scan = FileScan(root)
    taken = []
    for second in range(200):
        (root / "log").write_text("x" * second)
        taken += [(second, found.moving) for found in scan.look(100.0 + second).ready]
    assert taken == [(60, True), (121, True), (182, True)]  # counted from the first change that is not taken


def test_a_large_file_that_never_rests_is_taken_less_often(root: Path) -> None:
    scan = FileScan(root)
    taken = []
    for second in range(400):
        with (root / "huge").open("wb") as file:
            file.truncate(scanning.MOVING_BYTES_A_SECOND * 150 + second)
        taken += [second for found in scan.look(100.0 + second).ready if found.moving]
    assert taken == [151, 303]


def test_the_end_takes_all_at_once_marked_ones_too(root: Path) -> None:
    scan = FileScan(root, held=lambda path: path == "last.pt")
    (root / "last.pt").write_text("1")
    (root / "now.txt").write_text("1")
    assert [_ready(scan, now) for now in (100.0, 102.5, 105.0)] == [[], ["now.txt"], []]
    (root / "new.txt").write_text("1")
    assert _ready(scan, 105.1, ended=True) == ["last.pt", "new.txt"]


def test_removed_files_are_told_but_not_what_cannot_be_seen(root: Path, tmp_path: Path) -> None:
    scan = FileScan(root)
    (root / "sub").mkdir()
    (root / "sub/a").write_text("1")
    (tmp_path / "original").write_text("1")
    (root / "link").symlink_to(tmp_path / "original")
    assert _ready(scan, 100.0, ended=True) == ["link", "sub/a"]
    (tmp_path / "original").unlink()
    assert scan.look(102.0).removed == []
    (root / "sub/a").unlink()
    assert scan.look(104.0).removed == ["sub/a"]
    (root / "link").unlink()
    assert scan.look(106.0).removed == ["link"]


def test_what_is_no_file_is_passed_over_with_one_line(root: Path) -> None:
    said: list[str] = []
    scan = FileScan(root, say=said.append)
    os.mkfifo(root / "pipe")
    (root / "itself").symlink_to("itself")
    (root / "nowhere").symlink_to("gone")
    (root / "up").symlink_to(root.parent)
    (root / "good").write_text("1")
    for now in (100.0, 103.0, 106.0):
        scan.look(now)
    assert _ready(scan, 107.0, ended=True) == []
    assert [line.removeprefix(f"{root}/").split()[0] for line in sorted(said)] == [
        "itself", "nowhere", "pipe", "up",
    ]  # fmt: skip


def test_ignored_patterns_are_left_alone(root: Path) -> None:
    scan = FileScan(root, ignore_globs=["*.tmp", "cache/*"])
    for name in ("a.tmp", "a.txt", "cache/x/y", "keep/cache"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("1")
    assert _ready(scan, 100.0, ended=True) == ["a.txt", "keep/cache"]


def test_too_many_files_are_said_and_none_of_them_counts_as_removed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "MAX_FILES", 5)
    said: list[str] = []
    scan = FileScan(root, say=said.append)
    for number in range(9):
        (root / str(number)).write_text("1")
    assert len(scan.look(100.0, ended=True).ready) == 5
    assert scan.look(102.0).removed == []
    assert len(said) == 1 and "more than 5 files" in said[0]


def _read_while(
    path: Path, change: Callable[[], object], monkeypatch: pytest.MonkeyPatch, *, moving: bool = False
) -> dict[str, Any]:
    """Have the worker hash `path`, and `change` happen after the first piece was read."""
    real, done = os.read, []

    def read(descriptor: int, length: int) -> bytes:
        data = real(descriptor, length)
        if not done:
            done.append(True)
            change()
        return data

    answers: list[dict[str, Any]] = []
    with monkeypatch.context() as broken:
        broken.setattr(os, "read", read)
        file_worker.hash_file({"id": 1, "path": str(path), "moving": moving}, answers.append)
    return answers[0]


@pytest.mark.parametrize("change", ["grow", "truncate", "rewrite", "replace", "remove"])
def test_no_digest_of_a_file_that_changed_while_it_was_read(
    change: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = root / "a"
    path.write_bytes(b"a" * 3_000_000)
    os.utime(path, ns=(5, 5))
    (root / "b").write_bytes(b"b" * 3_000_000)
    changes = {
        "grow": lambda: path.open("ab").write(b"more"),
        "truncate": lambda: os.truncate(path, 10),
        "rewrite": lambda: path.open("r+b").write(b"other"),
        "replace": lambda: os.replace(root / "b", path),
        "remove": lambda: path.unlink(),
    }
    assert _read_while(path, changes[change], monkeypatch)["did"] == "changed"


def test_of_a_file_that_grows_without_end_its_beginning_is_hashed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = root / "log"
    path.write_bytes(b"a" * 3_000_000)
    answer = _read_while(path, lambda: path.open("ab").write(b"more"), monkeypatch, moving=True)
    assert (answer["did"], answer["size"]) == ("hashed", 3_000_000)
    assert answer["digest"] == hashlib.sha256(b"a" * 3_000_000).hexdigest()


def test_a_copy_of_a_growing_file_is_its_beginning(root: Path, tmp_path: Path) -> None:
    path, copy = root / "log", tmp_path / "copies/1"
    path.write_bytes(b"line\n" * 100_000)
    answers: list[dict[str, Any]] = []
    order = {"id": 1, "path": str(path), "moving": True, "copy_to": str(copy)}
    file_worker.hash_file(order, answers.append)
    assert answers[0]["digest"] == hashlib.sha256(copy.read_bytes()).hexdigest()
    assert (answers[0]["size"], copy.read_bytes()) == (500_000, path.read_bytes())


@pytest.fixture
def work() -> Iterator[FileWork]:
    """A worker, ended with the test."""
    made = FileWork()
    yield made
    made.rest()


def _await_through(files: RunFiles, work: FileWork, wait_until: Wait, to: str | None = None) -> None:
    import time

    def through() -> bool:
        now = time.monotonic()
        work.work(now)
        files.look(now, ended=True, to=to)
        return files.through

    wait_until(through)


def test_the_worker_hashes_and_the_next_one_goes_on_where_it_died(
    root: Path, work: FileWork, wait_until: Wait
) -> None:
    import signal

    recorded: list[tuple[str, Version]] = []

    def record(path: str, version: Version) -> bool:
        recorded.append((path, version))
        if len(recorded) == 1:
            assert work.pid is not None
            os.kill(work.pid, signal.SIGKILL)
        return True

    for number in range(300):
        (root / f"{number}.bin").write_bytes(b"x" * (number % 7))
    _await_through(RunFiles(root.parent, work, record), work, wait_until)
    assert sorted(path for path, _ in recorded) == sorted(f"{number}.bin" for number in range(300))
    for path, version in recorded:
        assert version.digest == hashlib.sha256((root / path).read_bytes()).hexdigest()


def test_a_file_that_cannot_be_read_is_one_line_and_costs_no_other(
    root: Path, work: FileWork, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: dict[str, Version] = {}
    said: list[str] = []

    def record(path: str, version: Version) -> bool:
        recorded[path] = version
        return True

    (root / "good").write_text("1")
    (root / "bad").symlink_to("/proc/self/mem")  # a regular file that no one can read from its beginning
    files = RunFiles(root.parent, work, record, say=said.append)
    _await_through(files, work, wait_until)
    assert list(recorded) == ["good"]
    assert len(said) == 1 and "bad cannot be read" in said[0] and files.error == said[0]


def _file_records(folder: Path) -> list[File]:
    """The records of this test's files, not of those that tell of code and packages."""
    return [
        entry.record
        for path in sorted(folder.glob("*.kiseki"))
        for entry in read_records(path.read_bytes()).entries
        if isinstance(entry.record, File) and len(entry.record.path) == 5
    ]


def test_files_without_a_server_are_recorded_and_the_next_sidecar_knows(world: Any, wait_until: Wait) -> None:
    world.sidecar()
    trainer = world.trainer()
    (trainer.run_dir / "files").mkdir()
    (trainer.run_dir / "files/a.txt").write_text("one")
    wait_until(lambda: _file_records(trainer.run_dir), seconds=60)
    world.sidecars[0].kill()
    world.sidecars[0].wait()
    (trainer.run_dir / "files/b.txt").write_text("two")
    world.sidecar(linger=0.0)
    trainer.do("finish")
    wait_until(lambda: not world.pointers(), seconds=60)
    records = sorted(_file_records(trainer.run_dir), key=lambda record: record.path)
    assert [(record.path, record.digest) for record in records] == [
        ("a.txt", hashlib.sha256(b"one").hexdigest()),
        ("b.txt", hashlib.sha256(b"two").hexdigest()),
    ]
    assert records[0].mtime_ns == os.stat(trainer.run_dir / "files/a.txt").st_mtime_ns
    assert read_run(trainer.run_dir).damage == []


def test_a_worker_that_ended_after_the_last_run_wakes_nobody(root: Path, wait_until: Wait) -> None:
    attendant, run = FileAttendant(), RunFollow(root.parent)
    (root / "a").write_text("1")
    others = psutil.Process().children()
    attendant.attend(run, 1.0)
    attendant.attend(run, 2.0)
    (worker,) = [child for child in psutil.Process().children() if child not in others]
    attendant.release(run)
    wait_until(lambda: worker.status() == psutil.STATUS_ZOMBIE)
    poll = select.poll()
    attendant.register(poll)
    assert poll.poll(0) == []


def test_the_words_of_another_program_leave_its_own_log_as_it_is(tmp_path: Path) -> None:
    mine = tmp_path / "mine.log"
    mine.write_bytes(b"x" * 300_000)
    with mine.open("ab") as output:
        code = "from kiseki.sidecar.log import log; log('files wait')"
        subprocess.run([sys.executable, "-c", code], stderr=output, check=True)
    assert mine.read_bytes().startswith(b"x" * 300_000) and mine.read_text().endswith(" files wait\n")
