"""File records as versions of a run's files: rebuilt equal, followed in place, and read as they lie there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from kiseki.ingest import Ingest, LocalFollower
from kiseki.query import NotFound, RunFiles, open_file, run_files
from kiseki.records.kinds import File, State
from kiseki.store import Store
from kiseki.store.tables import file_versions

from .conftest import RunDirectory, header, send_directory
from .derived import derived_rows


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Sidecar:
    """Records the files of a run directory, as a sidecar does."""

    def __init__(self, directory: RunDirectory, number: int = 2) -> None:
        self.folder = directory.path / "files"
        self.folder.mkdir(exist_ok=True)
        self.writer = directory.writer(header(number, role="sidecar", primary=False))

    def put(self, name: str, data: bytes) -> Path:
        """Write a file and record it."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.record(name)
        return path

    def record(self, name: str, path: str | None = None) -> None:
        """Record a file as it is."""
        data, found = (self.folder / name).read_bytes(), os.stat(self.folder / name)
        self.writer.append(File(self.writer.now(), path or name, sha(data), found.st_size, found.st_mtime_ns))


@pytest.fixture
def local(run_directory: RunDirectory) -> Sidecar:
    """The sidecar of a run that lies in a followed folder."""
    run_directory.writer(header(1)).close()
    return Sidecar(run_directory)


@pytest.fixture
def follower(ingest: Ingest, run_directory: RunDirectory) -> Iterator[LocalFollower]:
    """A follower whose thread is not started."""
    follower = LocalFollower(ingest, lambda: [run_directory.path.parent])
    yield follower
    follower.close()


def catch_up(follower: LocalFollower) -> None:
    """Read all that is new: the first look finds what has grown, the second reads it."""
    follower.catch_up()
    follower.catch_up()


def read(store: Store, name: str) -> bytes:
    content = open_file(store, 1, name)
    return b"".join(content.read(0, content.file.size))


def names(files: RunFiles) -> tuple[list[str], list[str]]:
    return [file.path for file in files.files], [file.path for file in files.pending]


def test_a_rebuild_makes_the_same_versions(run_directory: RunDirectory, store: Store, ingest: Ingest) -> None:
    run_directory.writer(header(1)).close()
    sidecar = Sidecar(run_directory)
    for number in range(3):
        sidecar.put("a.txt", b"%d" % number)
        sidecar.put(f"folder/{number}.txt", b"same")
    sidecar.writer.append(File(sidecar.writer.now(), "a.txt"))
    sidecar.writer.append(File(sidecar.writer.now(), "../no.txt", sha(b""), 0, 0))
    sidecar.writer.append(State(sidecar.writer.now(), "finished"))
    sidecar.writer.close()
    send_directory(ingest, run_directory)
    before = derived_rows(store)
    assert len(before["file_versions"]) == 7
    for _ in range(2):
        assert ingest.rebuild().result(30) == [1]
        assert derived_rows(store) == before


def test_a_run_that_goes_on_while_it_is_rebuilt_loses_no_version(
    run_directory: RunDirectory, store: Store, ingest: Ingest, local: Sidecar, follower: LocalFollower
) -> None:
    for number in range(20):
        local.put(f"{number}.txt", b"x")
        catch_up(follower)
        ingest.rebuild()
    ingest.rebuild().result(30)
    with store.read() as connection:
        paths = connection.scalars(select(file_versions.c.path)).all()
    assert sorted(paths) == sorted(f"{number}.txt" for number in range(20))


def test_files_in_place_are_read_where_they_lie(
    store: Store, local: Sidecar, follower: LocalFollower
) -> None:
    local.put("日本語/a b.txt", b"content")
    local.put("big.bin", b"x" * 1_000_000)
    catch_up(follower)
    assert names(run_files(store, 1)) == (["big.bin", "日本語/a b.txt"], [])
    assert read(store, "日本語/a b.txt") == b"content"
    assert store.blobs.size(sha(b"content")) is None
    content = open_file(store, 1, "big.bin")
    assert b"".join(content.read(10, 300_000)) == b"x" * 299_990


def test_a_file_that_changed_since_is_awaited(store: Store, local: Sidecar, follower: LocalFollower) -> None:
    path = local.put("a.txt", b"one")
    catch_up(follower)
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert names(run_files(store, 1)) == ([], ["a.txt"])
    with pytest.raises(NotFound, match="is not here"):
        open_file(store, 1, "a.txt")
    local.record("a.txt")
    catch_up(follower)
    assert names(run_files(store, 1)) == (["a.txt"], [])
    assert read(store, "a.txt") == b"two"
    path.unlink()
    assert names(run_files(store, 1)) == ([], ["a.txt"])


def test_what_was_recorded_of_a_growing_log_is_read_from_its_beginning(
    store: Store, local: Sidecar, follower: LocalFollower
) -> None:
    path = local.put("train.log", b"line 1\n")
    catch_up(follower)
    with path.open("ab") as log:
        log.write(b"line 2\nhalf a li")
    assert names(run_files(store, 1)) == (["train.log"], [])
    assert read(store, "train.log") == b"line 1\n"


def test_a_file_that_changes_while_it_is_read_ends_the_answer(
    store: Store, local: Sidecar, follower: LocalFollower
) -> None:
    path = local.put("model.bin", b"a" * 1_000_000)
    catch_up(follower)
    content = open_file(store, 1, "model.bin")
    pieces = content.read(0, content.file.size)
    assert set(next(pieces)) == {ord("a")}
    path.write_bytes(b"b" * 1_000_000)
    with pytest.raises(OSError, match="changed while"):
        next(pieces)


def test_a_saved_link_is_followed_where_its_content_is_the_recorded_one(
    store: Store, local: Sidecar, follower: LocalFollower, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_bytes(b"mine")
    (local.folder / "linked.txt").symlink_to(outside)
    local.record("linked.txt")
    catch_up(follower)
    assert read(store, "linked.txt") == b"mine"
    # The same size and time, but another content: somebody else's file behind the same name.
    before = outside.stat()
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"keys")
    os.utime(secret, ns=(before.st_atime_ns, before.st_mtime_ns))
    (local.folder / "linked.txt").unlink()
    (local.folder / "linked.txt").symlink_to(secret)
    with pytest.raises(NotFound):
        open_file(store, 1, "linked.txt")


def test_a_linked_folder_leads_nowhere(
    store: Store, local: Sidecar, follower: LocalFollower, tmp_path: Path
) -> None:
    path = local.put("folder/a.txt", b"abc")
    catch_up(follower)
    assert read(store, "folder/a.txt") == b"abc"
    path.parent.rename(tmp_path / "elsewhere")
    (local.folder / "folder").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotFound):
        open_file(store, 1, "folder/a.txt")


def test_a_pipe_or_folder_in_a_files_place_hangs_nobody(
    store: Store, local: Sidecar, follower: LocalFollower
) -> None:
    for name in ("pipe", "folder"):
        local.put(name, b"").unlink()
    catch_up(follower)
    os.mkfifo(local.folder / "pipe")
    (local.folder / "folder").mkdir()
    assert names(run_files(store, 1)) == ([], ["folder", "pipe"])
    for name in ("pipe", "folder"):
        with pytest.raises(NotFound):
            open_file(store, 1, name)


def test_a_name_that_is_no_utf8_is_found_by_its_spelling(
    store: Store, local: Sidecar, follower: LocalFollower
) -> None:
    path = os.path.join(os.fsencode(local.folder), b"caf\xe9.txt")
    with open(path, "wb") as file:
        file.write(b"latin")
    local.record(os.fsdecode(b"caf\xe9.txt"), "caf\\udce9.txt")
    catch_up(follower)
    assert read(store, "caf\\udce9.txt") == b"latin"


def test_a_blob_that_was_sent_is_read_when_the_directory_is_gone(
    store: Store, ingest: Ingest, local: Sidecar, follower: LocalFollower
) -> None:
    path = local.put("a.txt", b"kept")
    catch_up(follower)
    store.blobs.append(sha(b"kept"), 0, b"kept", 4)
    ingest.note_blob(sha(b"kept"), 4).result(10)
    path.unlink()
    assert names(run_files(store, 1)) == (["a.txt"], [])
    assert read(store, "a.txt") == b"kept"
