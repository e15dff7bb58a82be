"""The blob store: contents are there whole and checked, or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from pathlib import Path

import pytest

from kiseki.store import StoreFull
from kiseki.store.blobs import DirectoryBlobs, NotAtOffset, WrongDigest

DATA = bytes(range(256)) * 4096


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_content_is_there_with_its_last_byte(tmp_path: Path) -> None:
    blobs, digest = DirectoryBlobs(tmp_path / "blobs"), sha(DATA)
    assert blobs.append(digest, 0, DATA[:1000], len(DATA)) == 1000
    assert (blobs.size(digest), blobs.have(digest)) == (None, 1000)
    with pytest.raises(FileNotFoundError):
        blobs.read(digest)
    assert blobs.append(digest, 1000, DATA[1000:], len(DATA)) == len(DATA)
    assert (blobs.size(digest), blobs.have(digest)) == (len(DATA), 0)
    assert b"".join(blobs.read(digest)) == DATA
    assert b"".join(blobs.read(digest, 10, 300)) == DATA[10:300]
    # Sent once more, it is there already.
    assert blobs.append(digest, 0, b"", len(DATA)) == len(DATA)


def test_the_empty_content_is_a_content(tmp_path: Path) -> None:
    blobs, digest = DirectoryBlobs(tmp_path / "blobs"), sha(b"")
    assert blobs.append(digest, 0, b"", 0) == 0
    assert blobs.size(digest) == 0
    assert b"".join(blobs.read(digest)) == b""


def test_an_upload_goes_on_in_another_process(tmp_path: Path) -> None:
    digest = sha(DATA)
    DirectoryBlobs(tmp_path / "blobs").append(digest, 0, DATA[:5000], len(DATA))
    again = DirectoryBlobs(tmp_path / "blobs")
    with pytest.raises(NotAtOffset) as refused:
        again.append(digest, 0, DATA[:5000], len(DATA))
    assert refused.value.have == 5000
    again.append(digest, 5000, DATA[5000:], len(DATA))
    assert b"".join(again.read(digest)) == DATA


def test_a_whole_upload_that_was_not_checked_before_a_crash_is_finished(tmp_path: Path) -> None:
    blobs, digest = DirectoryBlobs(tmp_path / "blobs"), sha(DATA)
    blobs.append(digest, 0, DATA[:-1], len(DATA))
    with open(tmp_path / "blobs" / "uploads" / f"{digest}.part", "ab") as part:
        part.write(DATA[-1:])
    again = DirectoryBlobs(tmp_path / "blobs")
    assert again.have(digest) == len(DATA)
    again.append(digest, len(DATA), b"", len(DATA))
    assert b"".join(again.read(digest)) == DATA


def test_bytes_of_another_digest_are_thrown_away(tmp_path: Path) -> None:
    blobs, digest = DirectoryBlobs(tmp_path / "blobs"), sha(DATA)
    with pytest.raises(WrongDigest, match="have the SHA-256"):
        blobs.append(digest, 0, b"x" * len(DATA), len(DATA))
    assert (blobs.size(digest), blobs.have(digest)) == (None, 0)
    blobs.append(digest, 0, DATA[:100], len(DATA))
    with pytest.raises(WrongDigest, match="came for a content"):
        blobs.append(digest, 100, DATA, len(DATA))
    assert blobs.have(digest) == 0
    blobs.append(digest, 0, DATA, len(DATA))
    assert blobs.size(digest) == len(DATA)


@pytest.mark.parametrize("digest", ["../../etc/passwd", "AB" * 32, "ab" * 31, "", "ab" * 32 + "\n"])
def test_only_a_digest_names_a_content(tmp_path: Path, digest: str) -> None:
    blobs = DirectoryBlobs(tmp_path / "blobs")
    for ask in (blobs.size, blobs.have, blobs.read, lambda name: blobs.append(name, 0, b"", 0)):
        with pytest.raises(ValueError, match="no SHA-256"):
            ask(digest)


def test_two_uploads_of_one_content_at_once_make_one(tmp_path: Path) -> None:
    blobs, digest = DirectoryBlobs(tmp_path / "blobs"), sha(DATA)

    def upload() -> None:
        have = 0
        while have < len(DATA):
            try:
                have = blobs.append(digest, have, DATA[have : have + 4096], len(DATA))
            except NotAtOffset as error:
                have = error.have

    threads = [threading.Thread(target=upload) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert b"".join(blobs.read(digest)) == DATA
    assert os.listdir(tmp_path / "blobs" / "uploads") == []


def test_no_room_is_said_before_it_is_used_up(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    blobs, digest = DirectoryBlobs(tmp_path / "blobs", reserve_bytes=free // 2), sha(DATA)
    with pytest.raises(StoreFull, match="make room"):
        blobs.append(digest, 0, DATA[:100], free)
    assert blobs.have(digest) == 0


def test_a_disk_that_fills_up_leaves_the_upload_where_it_stood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs, digest = DirectoryBlobs(tmp_path / "blobs"), sha(DATA)
    blobs.append(digest, 0, DATA[:1000], len(DATA))

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(StoreFull, match="goes on where it stood"):
            blobs.append(digest, 1000, DATA[1000:], len(DATA))
    assert blobs.size(digest) is None
    blobs.append(digest, blobs.have(digest), b"", len(DATA))
    assert b"".join(blobs.read(digest)) == DATA


def test_an_upload_that_was_left_a_week_ago_is_forgotten(tmp_path: Path) -> None:
    blobs, digest, other = DirectoryBlobs(tmp_path / "blobs"), sha(DATA), sha(DATA + b"x")
    blobs.append(digest, 0, DATA[:100], len(DATA))
    blobs.append(other, 0, DATA[:100], len(DATA) + 1)
    old = os.stat(tmp_path).st_mtime - 8 * 24 * 3600
    os.utime(tmp_path / "blobs" / "uploads" / f"{digest}.part", (old, old))
    again = DirectoryBlobs(tmp_path / "blobs")
    assert (again.have(digest), again.have(other)) == (0, 100)
