"""A run's files as the public API gives them: listed, and downloaded whole and checked."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, overload
from urllib.parse import quote

from kiseki.client.transport import TransportError

if TYPE_CHECKING:
    from kiseki.client.api import Api

_ATTEMPTS: Final = 5
"""How often a download that broke off goes on without having got anything new."""

_PAUSE_S: Final = 0.2


class DownloadError(RuntimeError):
    """A file did not arrive whole; nothing was left in its place. One line says why."""


class File:
    """One file of a run, as it was when it was listed."""

    def __init__(self, api: Api, run_address: str, document: dict[str, Any], base_url: str | None) -> None:
        """Use `Run.file` or `Run.files`."""
        self._api = api
        self._document = document
        self._address = f"{run_address}/files/{quote(self.name, safe='/')}"
        self._base_url = base_url

    @property
    def name(self) -> str:
        """The path below the run's `files/`, with `/` between its parts."""
        return str(self._document["path"])

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return int(self._document["size"])

    @property
    def digest(self) -> str:
        """The SHA-256 of its bytes, in hexadecimal."""
        return str(self._document["digest"])

    @property
    def mimetype(self) -> str:
        """What kind of file its name says it is, such as `text/csv`."""
        return str(self._document["media_type"])

    @property
    def updated_at(self) -> str:
        """When it was last changed, in UTC: `2026-11-24T17:10:55Z`."""
        when = datetime.fromtimestamp(self._document["updated"], timezone.utc)
        return when.strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def url(self) -> str | None:
        """Where a server answers with its bytes; None where no server is asked."""
        return None if self._base_url is None else self._base_url + self._address

    def download(
        self, root: str | os.PathLike[str] = ".", replace: bool = False, exist_ok: bool = False
    ) -> IO[str]:
        """Save the file as `root/<name>` and return it, opened for reading as text.

        The file appears whole and checked against its digest, or not at all; a download that breaks off goes
        on where it stood. Raises ValueError where there is a file already, unless `replace` writes over it
        or `exist_ok` leaves it; DownloadError, ApiError and TransportError where it does not arrive.
        """
        target = _inside(Path(root), self.name)
        if target.exists() and not replace:
            if exist_ok:
                return open(target, encoding="utf-8", errors="replace")
            raise ValueError(
                f"{target} exists: pass replace=True to write over it, or exist_ok=True to leave it as it is"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name[:100]}.{os.getpid()}.part")
        try:
            with open(partial, "wb") as file:
                self._fetch(file)
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
        return open(target, encoding="utf-8", errors="replace")

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes in pieces as they arrive; they are checked when the last one is there.

        Raises as `download` does.
        """
        digest = hashlib.sha256()
        have = failures = 0
        while have < self.size or have == failures == 0:
            before = have
            try:
                with self._open(have) as pieces:
                    for piece in pieces:
                        digest.update(piece)
                        have += len(piece)
                        yield piece
                if have < self.size:
                    raise TransportError(f"{self.name} broke off at byte {have} of {self.size}")
                break
            except TransportError:
                failures = 0 if have > before else failures + 1
                if failures >= _ATTEMPTS:
                    raise
                time.sleep(_PAUSE_S * failures)
        if digest.hexdigest() != self.digest:
            raise DownloadError(f"{self.name} changed while it was downloaded: list the run's files again")

    def __repr__(self) -> str:
        """Name the file and its length."""
        return f"<File {self.name} ({self.size} bytes)>"

    def _fetch(self, file: IO[bytes]) -> None:
        for piece in self.chunks():
            file.write(piece)

    @contextmanager
    def _open(self, start: int) -> Iterator[Iterator[bytes]]:
        etag = f'"{self.digest}"'
        headers = {"Range": f"bytes={start}-", "If-Range": etag} if start else {}
        with self._api.open_stream(self._address, headers) as stream:
            if stream.headers.get("etag") != etag or (start > 0 and stream.status != 206):
                raise DownloadError(f"{self.name} is another file now: list the run's files again")
            yield stream.chunks


class Files(Sequence[File]):
    """The files of a run, by path."""

    def __init__(self, files: list[File], run: str) -> None:
        """Use `Run.files`."""
        self._files = files
        self._run = run

    def __len__(self) -> int:
        """How many there are."""
        return len(self._files)

    @overload
    def __getitem__(self, index: int) -> File: ...

    @overload
    def __getitem__(self, index: slice) -> list[File]: ...

    def __getitem__(self, index: int | slice) -> File | list[File]:
        """Return one file or, for a slice, a list."""
        return self._files[index]

    def __repr__(self) -> str:
        """Name the run and the number."""
        return f"<Files {self._run} ({len(self)})>"


def matches(name: str, names: Sequence[str] | None, pattern: str | None) -> bool:
    """Whether a file is one of `names` (None: all) and fits `pattern`, where `%` stands for any text.

    >>> matches("media/a.png", None, "%.png"), matches("a.txt", ["b.txt"], None)
    (True, False)
    """
    if names is not None and name not in names:
        return False
    if pattern is None:
        return True
    glob = "".join("*" if sign == "%" else f"[{sign}]" if sign in "*?[" else sign for sign in pattern)
    return fnmatchcase(name, glob)


def _inside(root: Path, name: str) -> Path:
    """Where a file of this name lies below `root`; ValueError for a name that would leave it."""
    parts = name.split("/")
    foreign = os.name == "nt" and any(sign in name for sign in '\\:*?"<>|')
    if foreign or "\0" in name or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"a file {name!r} cannot be saved here; read it with File.chunks()")
    return root.joinpath(*parts)
