"""Contents on their way: uploaded resumably, synced with their runs, and downloaded whole and checked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kiseki.client.api import Api, NotFoundError
from kiseki.client.blobs import BlobChanged, BlobRefused, BlobState, ask_blob, upload_blob
from kiseki.client.files import DownloadError
from kiseki.client.sync import SyncError, sync_directory
from kiseki.client.transport import HttpTransport, Reply, TransportError
from kiseki.records.kinds import File, Header
from kiseki.records.writer import RecordWriter

Write = Callable[..., RecordWriter]


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def transport(real_server: Any) -> HttpTransport:
    return HttpTransport(real_server.url, real_server.key)


@pytest.fixture
def api(real_server: Any) -> Api:
    return Api(base_url=real_server.url, api_key=real_server.key)


@pytest.fixture
def run_with_files(write_run: Write) -> Callable[[dict[str, bytes]], Path]:
    """`run_with_files({name: content})` → a run directory whose sidecar recorded these files."""

    def make(contents: dict[str, bytes]) -> Path:
        folder = write_run(3, mode="offline").path.parent
        sidecar = write_run(0, writer="wbbbbbbbbbbbbbbb", role="sidecar", primary=False, mode="offline")
        for name, data in contents.items():
            path = folder / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            found = path.stat()
            sidecar.append(File(sidecar.now(), name, sha(data), found.st_size, found.st_mtime_ns))
        sidecar.close()
        return folder

    return make


class BrokenTransport:
    """A transport whose `n`-th request (from 1) loses its answer."""

    def __init__(self, inner: HttpTransport, broken: int) -> None:
        self.base_url, self.key = inner.base_url, inner.key
        self._inner = inner
        self._left = broken

    def request(self, method: str, path: str, **options: Any) -> Reply:
        reply = self._inner.request(method, path, **options)
        self._left -= 1
        if self._left == 0:
            raise TransportError("cut")
        return reply


def test_a_broken_upload_goes_on_where_it_stood(transport: HttpTransport, tmp_path: Path) -> None:
    data = os.urandom(100_000)
    path = tmp_path / "model.bin"
    path.write_bytes(data)
    heard: list[int] = []
    with pytest.raises(TransportError):
        upload_blob(BrokenTransport(transport, 4), sha(data), path, len(data), piece_bytes=20_000)  # type: ignore[arg-type]
    assert ask_blob(transport, sha(data)) == BlobState(False, 60_000)
    assert upload_blob(transport, sha(data), path, len(data), heard.append, piece_bytes=20_000) == 40_000
    assert heard == [60_000, 80_000, 100_000]
    assert ask_blob(transport, sha(data)) == BlobState(True, 100_000)
    assert upload_blob(transport, sha(data), path, len(data), heard.append) == 0
    assert heard[3:] == [100_000]


def test_an_empty_file_is_sent(transport: HttpTransport, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert upload_blob(transport, sha(b""), tmp_path / "empty", 0) == 0
    assert ask_blob(transport, sha(b"")).present


def test_a_piece_that_is_too_large_is_halved(
    transport: HttpTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(200_000)
    (tmp_path / "a").write_bytes(data)
    monkeypatch.setattr("kiseki.server.blobs.MAX_PIECE", 50_000)
    assert upload_blob(transport, sha(data), tmp_path / "a", len(data)) == 200_000


def test_a_file_that_changed_is_not_sent_as_what_it_was(transport: HttpTransport, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"new content")
    with pytest.raises(BlobChanged, match="not the content"):
        upload_blob(transport, sha(b"old content"), path, len(b"old content"))
    assert ask_blob(transport, sha(b"old content")) == BlobState(False, 0)
    with pytest.raises(BlobChanged, match="changed while"):
        upload_blob(transport, sha(b"old"), path, 3)

    def touch(_have: int) -> None:
        os.utime(path, ns=(1, 1))

    with pytest.raises(BlobChanged, match="changed while"):
        upload_blob(transport, sha(b"new content"), path, len(b"new content"), touch)


def test_a_refusal_says_whether_to_wait(real_server: Any, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(BlobRefused, match="key") as refused:
        upload_blob(HttpTransport(real_server.url, "kk_wrong"), sha(b"a"), tmp_path / "a", 1)
    assert (refused.value.status, refused.value.later) == (401, False)
    real_server.instance.store.blobs._reserve_bytes = 2**62
    with pytest.raises(BlobRefused, match="make room") as full:
        upload_blob(HttpTransport(real_server.url, real_server.key), sha(b"a"), tmp_path / "a", 1)
    assert (full.value.status, full.value.later) == (507, True)


def test_sync_brings_the_files_of_a_run(
    transport: HttpTransport, api: Api, run_with_files: Callable[..., Path], tmp_path: Path
) -> None:
    contents = {"a.txt": b"alpha", "日本/b c.bin": os.urandom(70_000), "same.txt": b"alpha", "empty": b""}
    report = sync_directory(run_with_files(contents), transport)
    assert (report.files, report.file_bytes, report.damage) == (2, 70_005, [])
    assert "sent 2 files, 70,005 bytes" in str(report)
    again = sync_directory(tmp_path / "run-r1", transport)
    assert (again.sent, again.files) == (0, 0)
    assert str(again).startswith("already there")
    run = api.run("me/proj/r1")
    assert [file.name for file in run.files()] == sorted(contents)
    for name, data in contents.items():
        file = run.file(name)
        assert (file.size, file.digest) == (len(data), sha(data))
        file.download(tmp_path / "out").close()
        assert (tmp_path / "out" / name).read_bytes() == data


def test_sync_says_which_recorded_content_is_gone(
    transport: HttpTransport, run_with_files: Callable[..., Path]
) -> None:
    folder = run_with_files({"gone.txt": b"1", "changed\n.txt": b"2", "touched.txt": b"3"})
    (folder / "files/gone.txt").unlink()
    (folder / "files/changed\n.txt").write_bytes(b"x")
    os.utime(folder / "files/changed\n.txt", ns=(1, 1))
    os.utime(folder / "files/touched.txt", ns=(1, 1))
    report = sync_directory(folder, transport)
    assert report.files == 1
    assert sorted(report.damage) == [
        "changed\\n.txt is no longer what was recorded",
        "gone.txt is no longer what was recorded",
    ]


def test_sync_without_room_keeps_the_records_and_says_so(
    real_server: Any,
    transport: HttpTransport,
    run_with_files: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kiseki.client.sync_files._PAUSE_S", 0.0)
    real_server.instance.store.blobs._reserve_bytes = 2**62
    with pytest.raises(SyncError, match="records were sent, its files were not"):
        sync_directory(run_with_files({"a.txt": b"1"}), transport)
    real_server.instance.store.blobs._reserve_bytes = 0


@pytest.fixture
def synced(
    transport: HttpTransport, api: Api, run_with_files: Callable[..., Path]
) -> Callable[[dict[str, bytes]], Any]:
    """`synced({name: content})` → the run, read from the server that has it."""

    def make(contents: dict[str, bytes]) -> Any:
        sync_directory(run_with_files(contents), transport)
        return api.run("me/proj/r1")

    return make


def test_files_are_listed_by_name_and_pattern(synced: Callable[..., Any]) -> None:
    run = synced({"a.txt": b"1", "media/b.png": b"22", "media/c%.png": b"333"})
    files = run.files()
    assert len(files) == 3
    assert files[1].name == "media/b.png"
    assert repr(files) == "<Files me/proj/r1 (3)>"
    assert repr(files[0]) == "<File a.txt (1 bytes)>"
    assert [file.name for file in run.files(["a.txt", "nothing"])] == ["a.txt"]
    assert [file.name for file in run.files(pattern="media/%.png")] == ["media/b.png", "media/c%.png"]
    with pytest.raises(NotFoundError, match=r"no file 'b\.png'"):
        run.file("b.png")
    with pytest.raises(TypeError, match="list"):
        run.files("a.txt")
    file = run.file("media/c%.png")
    assert file.mimetype == "image/png"
    assert file.url.endswith("/files/media/c%25.png")
    assert file.updated_at.endswith("Z")


def test_a_download_writes_over_nothing_unasked(synced: Callable[..., Any], tmp_path: Path) -> None:
    file = synced({"a.txt": b"from the server"}).file("a.txt")
    with file.download(tmp_path / "out") as opened:
        assert opened.read() == "from the server"
    (tmp_path / "out/a.txt").write_text("mine")
    with pytest.raises(ValueError, match="replace=True"):
        file.download(tmp_path / "out")
    with file.download(tmp_path / "out", exist_ok=True) as opened:
        assert opened.read() == "mine"
    file.download(tmp_path / "out", replace=True).close()
    assert (tmp_path / "out/a.txt").read_text() == "from the server"
    assert os.listdir(tmp_path / "out") == ["a.txt"]


def test_a_download_that_breaks_off_goes_on(
    synced: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(3_000_000)
    file = synced({"model.bin": data}).file("model.bin")
    cuts = [700_000, 10, 1_500_000]
    whole = HttpTransport._chunks

    def cut(self: HttpTransport, chunks: Any) -> Any:
        left = cuts.pop() if cuts else 1 << 40
        for chunk in whole(self, chunks):
            if len(chunk) > left:
                raise TransportError("the line was cut")
            left -= len(chunk)
            yield chunk

    monkeypatch.setattr(HttpTransport, "_chunks", cut)
    monkeypatch.setattr("kiseki.client.files._PAUSE_S", 0.0)
    file.download(tmp_path / "out").close()
    assert (tmp_path / "out/model.bin").read_bytes() == data


def test_another_version_is_never_mixed_in(
    synced: Callable[..., Any], transport: HttpTransport, run_with_files: Any, tmp_path: Path
) -> None:
    file = synced({"a.txt": b"one"}).file("a.txt")
    folder = tmp_path / "run-r1"
    # The sidecar that comes after the first records another content.
    names = ("0" * 31 + "1", "me", "proj", "r1", "w" + "c" * 15, "sidecar", "w" + "c" * 15)
    header = Header(*names, primary=False)
    later = RecordWriter.create(folder / f"{header.writer}.kiseki", header)
    (folder / "files/a.txt").write_bytes(b"two!")
    found = (folder / "files/a.txt").stat()
    later.append(File(later.now() + 10**12, "a.txt", sha(b"two!"), found.st_size, found.st_mtime_ns))
    later.close()
    sync_directory(folder, transport)
    with pytest.raises(DownloadError, match="another file now"):
        file.download(tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []
