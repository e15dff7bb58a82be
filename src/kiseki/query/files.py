"""The files of a run: for each path the newest version whose content is there, and what is awaited."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import Row, Select, func, select

from kiseki.query.errors import NotFound
from kiseki.query.media_types import media_type_of
from kiseki.store.in_place import Opened, Recorded, is_there, open_recorded
from kiseki.store.tables import blobs, file_versions, writers

if TYPE_CHECKING:
    from kiseki.store import Store

MAX_OLDER: Final = 1000
"""How many versions of one path are looked at, the newest first."""

MAX_IN_PLACE: Final = 3
"""How many of them are compared with the file as it lies in the run directory: it is only one of them."""

_PATHS_AT_ONCE: Final = 500


class RunFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file as it can be read now: `size` in bytes, `updated` when it was last changed (unix s)."""

    path: str
    size: int
    digest: str
    updated: float
    media_type: str


class PendingFile(msgspec.Struct, frozen=True, kw_only=True):
    """A version that was recorded, but whose content is not here (yet)."""

    path: str
    size: int


class RunFiles(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a run by path, and the newer versions that are awaited."""

    files: list[RunFile]
    pending: list[PendingFile]


@dataclass(frozen=True)
class FileContent:
    """One file, opened: its bytes come from the blob store, or from where the run wrote it."""

    file: RunFile
    _store: Store
    _opened: Opened | None

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to `end`, in pieces of at most 256 KiB; once.

        Raises FileNotFoundError where the blob store lost the content; OSError in the middle where a file in
        place changes.
        """
        if self._opened is not None:
            return self._opened.read(start, end)
        return self._store.blobs.read(self.file.digest, start, end)

    def close(self) -> None:
        """Give back what is open, where nothing is read."""
        if self._opened is not None:
            self._opened.close()


def run_files(store: Store, run_pk: int) -> RunFiles:
    """Return the files of a run, and the versions that are awaited, each by path."""
    with store.read() as connection:
        newest = connection.execute(_ranked(run_pk, most=1)).all()
    # Outside of the snapshot: files in place may lie on a slow disk.
    lost = [version.path for version in newest if version.digest is not None and not _at_hand(version)]
    older: dict[str, list[Row[Any]]] = {path: [] for path in lost}
    older |= _versions_of(store, run_pk, lost)
    files, pending = [], []
    for version in newest:
        if version.digest is None:
            continue
        if version.path in older:
            pending.append(PendingFile(path=version.path, size=version.size))
            found = next((each for each in _candidates(older[version.path]) if _at_hand(each)), None)
            if found is None or found.digest is None:
                continue
            version = found
        files.append(_run_file(version))
    return RunFiles(files=files, pending=pending)


def open_file(store: Store, run_pk: int, path: str) -> FileContent:
    """Open the visible version of a path; raises NotFound, which says whether one is awaited."""
    versions = _versions_of(store, run_pk, [path]).get(path, [])
    for version in _candidates(versions):
        if version.digest is None:
            break
        if version.stored is not None:
            return FileContent(_run_file(version), store, None)
        recorded = _recorded(version)
        opened = None if recorded is None else open_recorded(recorded)
        if opened is not None:
            return FileContent(_run_file(version), store, opened)
    if versions and versions[0].digest is not None:
        raise NotFound(f"{path!r} is not here (yet): its machine has not sent it, or is writing it now")
    raise NotFound(f"this run has no file {path!r}")


# The one total order of records: (time, writer, byte).
_LATEST: Final = (
    file_versions.c.stamp_us.desc(),
    writers.c.writer.desc(),
    file_versions.c.offset.desc(),
)


def _ranked(run_pk: int, *, most: int, paths: Sequence[str] | None = None) -> Select[Any]:
    """The `most` newest versions of each path (all paths, or these), by path, the newest first."""
    place = func.row_number().over(partition_by=file_versions.c.path, order_by=_LATEST).label("place")
    versions = (
        select(
            file_versions.c.path,
            file_versions.c.digest,
            file_versions.c.size,
            file_versions.c.mtime_ns,
            file_versions.c.stamp_us,
            writers.c.path.label("writer_path"),
            blobs.c.digest.label("stored"),
            place,
        )
        .join(writers, writers.c.id == file_versions.c.writer_pk)
        .outerjoin(blobs, blobs.c.digest == file_versions.c.digest)
        .where(file_versions.c.run_pk == run_pk)
    )
    if paths is not None:
        versions = versions.where(file_versions.c.path.in_(paths))
    ranked = versions.subquery()
    return select(ranked).where(ranked.c.place <= most).order_by(ranked.c.path, ranked.c.place)


def _versions_of(store: Store, run_pk: int, paths: Sequence[str]) -> dict[str, list[Row[Any]]]:
    """The versions of each of these paths that has any, the newest first."""
    found: dict[str, list[Row[Any]]] = {}
    for start in range(0, len(paths), _PATHS_AT_ONCE):
        query = _ranked(run_pk, most=MAX_OLDER, paths=paths[start : start + _PATHS_AT_ONCE])
        with store.read() as connection:
            for version in connection.execute(query):
                found.setdefault(version.path, []).append(version)
    return found


def _candidates(versions: list[Row[Any]]) -> Iterator[Row[Any]]:
    """The versions that may be the visible one, the newest first."""
    for place, version in enumerate(versions):
        if place < MAX_IN_PLACE or version.stored is not None or version.digest is None:
            yield version


def _at_hand(version: Row[Any]) -> bool:
    """Whether a version's content is there; a removal always is."""
    if version.digest is None or version.stored is not None:
        return True
    recorded = _recorded(version)
    return recorded is not None and is_there(recorded)


def _recorded(version: Row[Any]) -> Recorded | None:
    if version.writer_path is None:
        return None
    folder = os.path.dirname(version.writer_path)
    return Recorded(folder, version.path, version.digest, version.size, version.mtime_ns)


def _run_file(version: Row[Any]) -> RunFile:
    return RunFile(
        path=version.path,
        size=version.size,
        digest=version.digest,
        updated=version.mtime_ns / 1e9 if version.mtime_ns else version.stamp_us / 1e6,
        media_type=media_type_of(version.path),
    )
