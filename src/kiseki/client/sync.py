"""Sending a run directory's files to a server, once, as `kiseki sync` does; twice is once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from kiseki.client.blobs import BlobRefused
from kiseki.client.sync_files import FilesReport, send_files
from kiseki.client.transport import Transport, TransportError
from kiseki.client.uploader import Upload, Uploader
from kiseki.records.framing import Damaged, Incomplete
from kiseki.records.kinds import Header
from kiseki.records.reader import read_header
from kiseki.system.credentials import normal_url
from kiseki.system.locks import is_locked
from kiseki.system.paths import cache_home
from kiseki.system.process import ProcessId, is_alive

_SUFFIX: Final = ".kiseki"
_HEADER_READ: Final = 64 * 1024
_ATTEMPTS: Final = 4


class SyncError(RuntimeError):
    """A directory was not sent, or not all of it; one line that says why."""


class SyncReport(NamedTuple):
    """What a sync of one run directory did."""

    sent: int
    """Bytes that the server took."""
    held: int
    """Bytes that the server has of these files now."""
    left_to_sidecar: int
    """Writers of a live run that its own sidecar sends there."""
    following: int
    """Writers that the server reads by itself."""
    damage: list[str]
    """One line a damaged file (sent up to the damage), or a file whose recorded content is gone."""
    url: str | None
    """The run's page."""
    files: int = 0
    """Contents of files that were sent."""
    file_bytes: int = 0
    """Bytes of them."""

    def __str__(self) -> str:
        """Say it in one line."""
        if self.following:
            parts = ["the server reads these files itself"]
        elif self.sent:
            parts = [f"sent {self.sent:,} bytes"]
        elif not self.files:
            parts = ["already there"]
        else:
            parts = []
        if self.files:
            what = "1 file" if self.files == 1 else f"{self.files} files"
            parts.append(f"sent {what}, {self.file_bytes:,} bytes")
        if self.left_to_sidecar:
            parts.append(f"{self.left_to_sidecar} live writer left to its sidecar")
        parts += self.damage
        return "; ".join(parts) + (f" → {self.url}" if self.url else "")


def sync_directory(
    folder: Path, transport: Transport, *, clock: Callable[[], float] = time.monotonic
) -> SyncReport:
    """Send every writer of a run directory whole, then what it recorded of its files.

    Returns once the server has all.

    Raises SyncError where the server refuses a writer or cannot be reached, OSError where the folder cannot
    be read. What was sent until then stays sent.
    """
    uploads, left_to_sidecar, damage = [], 0, []
    files: list[tuple[Path, Header]] = []
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            files.append((path, _read_header(path)))
        except (Damaged, Incomplete) as error:
            damage.append(f"{path.name}: {error}")
    # A sidecar outlives its runs, and may have given one up (a wrong key): only a live run is left to it.
    training = any(_is_alive(header) for _, header in files if header.role == "train")
    for path, header in files:
        if training and header.mode == "online" and _has_sidecar(header.writer, transport.base_url):
            left_to_sidecar += 1
            continue
        upload = Upload(header.run_uid, header.writer, path, live=_is_alive(header))
        upload.size = upload.source.size()
        uploads.append(upload)
    if not uploads and not left_to_sidecar and not damage:
        raise SyncError(f"{folder} holds no run file (*{_SUFFIX})")
    sent = _send(uploads, transport, clock)
    contents = FilesReport(0, 0, [])
    # A sidecar sends its run's files; a server that reads the directory itself reads them there.
    if not left_to_sidecar and not any(upload.following for upload in uploads):
        try:
            contents = send_files(folder, transport)
        except (BlobRefused, TransportError) as error:
            raise SyncError(f"the records were sent, its files were not: {error}") from error
    damage += [f"{upload.source.path.name} is {_damage(upload)}" for upload in uploads if _damage(upload)]
    return SyncReport(
        sent,
        sum(upload.offset for upload in uploads),
        left_to_sidecar,
        sum(upload.following for upload in uploads),
        damage + contents.lacking,
        next((upload.url for upload in uploads if upload.url), None),
        contents.sent,
        contents.bytes,
    )


def _send(uploads: list[Upload], transport: Transport, clock: Callable[[], float]) -> int:
    """Work until every upload is settled; returns the bytes that the server took."""
    uploader = Uploader(transport, clock=clock)
    for upload in uploads:
        uploader.add(upload)
    first: dict[str, int] = {}
    while any(not upload.settled for upload in uploads):
        wait = uploader.next_turn() - clock()
        if wait > 0:
            time.sleep(wait)
        uploader.turn()
        for upload in uploads:
            if upload.asked:
                first.setdefault(upload.writer, upload.offset)
        stuck = [upload for upload in uploads if upload.failures >= _ATTEMPTS]
        if uploader.failures >= _ATTEMPTS or stuck:
            raise SyncError(uploader.error or next((u.error for u in stuck if u.error), "the server is busy"))
        if uploader.unauthorized is not None:
            raise SyncError(uploader.unauthorized)
    stopped = [upload.error for upload in uploads if upload.stopped and upload.error]
    if stopped:
        raise SyncError("; ".join(dict.fromkeys(stopped)))
    return sum(max(0, upload.offset - first.get(upload.writer, 0)) for upload in uploads)


def _damage(upload: Upload) -> str | None:
    """Where a file that has no living writer ends in something that is no whole frame."""
    if upload.damage is not None or upload.live or upload.following or upload.offset >= upload.size:
        return upload.damage
    return f"torn or damaged at byte {upload.offset}"


def _read_header(path: Path) -> Header:
    with open(path, "rb", buffering=0) as file:
        return read_header(file.read(_HEADER_READ))[0]


def _is_alive(header: Header) -> bool:
    return is_alive(ProcessId(header.pid, header.pid_start, header.boot_id, header.pid_ns)) is True


class _Pointer(msgspec.Struct):
    mode: str = "online"
    base_url: str | None = None


def _has_sidecar(writer: str, base_url: str) -> bool:
    """Whether a living sidecar of this user is sending this writer to the same server."""
    for spool in _spools():
        try:
            pointer = msgspec.json.decode((spool / f"{writer}.json").read_bytes(), type=_Pointer)
        except (OSError, msgspec.DecodeError):
            continue
        same = pointer.base_url is not None and normal_url(pointer.base_url) == normal_url(base_url)
        if same and pointer.mode == "online" and is_locked(spool / "lock"):
            return True
    return False


def attended_mode(writer: str) -> str | None:
    """The mode, online or offline, in which a living sidecar of this user has a writer in its care."""
    for spool in _spools():
        try:
            pointer = msgspec.json.decode((spool / f"{writer}.json").read_bytes(), type=_Pointer)
        except (OSError, msgspec.DecodeError):
            continue
        if is_locked(spool / "lock"):
            return pointer.mode
    return None


def _spools() -> Iterator[Path]:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    parents = [Path(runtime, "kiseki")] if runtime else []
    parents.append(cache_home() / "spool")
    if hasattr(os, "geteuid"):
        parents.append(Path(os.environ.get("TMPDIR") or "/tmp", f"kiseki-{os.geteuid()}", "spool"))
    for parent in parents:
        if parent.is_dir():
            yield from sorted(child for child in parent.iterdir() if child.is_dir())
