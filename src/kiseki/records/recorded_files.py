"""Which versions of a run's files its directory has on record: for whoever takes or sends them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from .framing import FRAME, MAGIC, PRELUDE_BYTES, Damaged, Incomplete
from .kinds import SIDECAR, File
from .layout import path_on_disk
from .reader import Follower, read_header

_SUFFIX: Final = ".kiseki"
_FILE: Final = 6
_HEADER_READ: Final = 64 * 1024
_SCAN: Final = 1024 * 1024
_decode_file = msgspec.msgpack.Decoder(File).decode


class Version(NamedTuple):
    """A file as it was recorded; without a digest it was removed."""

    digest: str | None
    size: int
    mtime_ns: int


def read_recorded(folder: Path) -> dict[str, Version]:
    """Return the newest recorded version of each path below `files/`; those that were removed are left out.

    Reads the files of all sidecars that the run directory had. One that cannot be read is passed over: what
    it says is found out anew.
    """
    found: dict[str, tuple[int, Version]] = {}
    for name in os.listdir(folder):
        if name.endswith(_SUFFIX):
            try:
                _read(folder / name, found)
            except (OSError, Damaged, Incomplete, msgspec.DecodeError):
                continue
    return {path: version for path, (_, version) in found.items() if version.digest is not None}


def _read(path: Path, found: dict[str, tuple[int, Version]]) -> None:
    with open(path, "rb", buffering=0) as file:
        header = read_header(file.read(_HEADER_READ))[0]
    if header.role != SIDECAR:
        return
    follower = Follower(path)
    try:
        while data := follower.read_new(_SCAN):
            position = PRELUDE_BYTES if data.startswith(MAGIC) else 0
            while position < len(data):
                begin = position + FRAME.size
                position = begin + int.from_bytes(data[position : position + 4], "little")
                if position - begin > 1 and data[begin + 1] == _FILE:
                    record = _decode_file(data[begin:position])
                    time_us = header.wall_ns // 1000 + record.t
                    name = path_on_disk(record.path)
                    if name not in found or found[name][0] <= time_us:
                        version = Version(record.digest, record.size, record.mtime_ns)
                        found[name] = (time_us, version)
    finally:
        follower.close()
