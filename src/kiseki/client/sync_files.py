"""Sending the contents of a run directory's recorded files to a server that lacks them."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from kiseki.client.blobs import BlobChanged, BlobRefused, ask_blob, upload_blob
from kiseki.client.transport import Transport, TransportError
from kiseki.records.layout import FILES
from kiseki.records.recorded_files import Version, read_recorded

T = TypeVar("T")

_ATTEMPTS: Final = 4
_PAUSE_S: Final = 0.5
_READ: Final = 1024 * 1024


class FilesReport(NamedTuple):
    """What was done with the files of one run directory."""

    sent: int
    """Contents that the server did not have before."""
    bytes: int
    """Bytes of them that were sent."""
    lacking: list[str]
    """One line a file whose recorded content is neither here nor there any more."""


def send_files(folder: Path, transport: Transport) -> FilesReport:
    """Send what the server lacks of the newest recorded contents of a run directory, the smallest first.

    Raises BlobRefused where the server takes none, TransportError where it does not answer: what was sent
    stays sent, and the next call goes on there.
    """
    sent = bytes_sent = 0
    lacking: list[str] = []
    done: set[str] = set()
    for name, version in sorted(read_recorded(folder).items(), key=lambda item: (item[1].size, item[0])):
        digest = version.digest
        if digest is None or digest in done:
            continue
        done.add(digest)
        path = folder / FILES / name
        if not _is_still(path, version):
            if not _patiently(partial(ask_blob, transport, digest)).present:
                lacking.append(f"{_shown(name)} is no longer what was recorded")
            continue
        try:
            more = _patiently(partial(upload_blob, transport, digest, path, version.size))
        except (BlobChanged, FileNotFoundError, PermissionError) as error:
            lacking.append(f"{_shown(name)}: {error}")
            continue
        sent += more > 0
        bytes_sent += more
    return FilesReport(sent, bytes_sent, lacking)


def _is_still(path: Path, version: Version) -> bool:
    """Whether a file has the recorded content; only what was touched since is read for it."""
    try:
        with open(path, "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            if found.st_size != version.size or not stat.S_ISREG(found.st_mode):
                return False
            if found.st_mtime_ns == version.mtime_ns:
                return True
            digest = hashlib.sha256()
            while piece := file.read(_READ):
                digest.update(piece)
    except OSError:
        return False
    return digest.hexdigest() == version.digest


def _patiently(call: Callable[[], T]) -> T:
    """Call again after a pause while the server is busy, full or away; raises what it said last."""
    for attempt in range(1, _ATTEMPTS):
        try:
            return call()
        except BlobRefused as error:
            if not error.later:
                raise
        except TransportError:
            pass
        time.sleep(_PAUSE_S * attempt)
    return call()


def _shown(name: str) -> str:
    """A file's name on one line, whatever is in it."""
    return repr(name)[1:-1] if not name.isprintable() else name
