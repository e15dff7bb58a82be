"""The store of one instance: opened once by its owner, one writer thread, any number of snapshot readers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Connection, insert, select

from kiseki.store import sqlite
from kiseki.store.blobs import Blobs, DirectoryBlobs
from kiseki.store.commits import QUEUE_LIMIT, CommitThread
from kiseki.store.disk import free_bytes
from kiseki.store.errors import StoreError, StoreFull
from kiseki.store.schema import bring_to_head
from kiseki.store.tables import meta

if TYPE_CHECKING:
    from kiseki.store.console_tails import ConsoleTails
    from kiseki.store.tails import Tails

T = TypeVar("T")

RESERVE_BYTES = 128 * 1024 * 1024
"""Room that is left on the disk, so that the log can always be copied and small writes go on."""

LOG_LIMIT_BYTES = 4 * sqlite.CHECKPOINT_BYTES
"""Size of the log at which the writer waits for readers to let it be emptied."""

VACUUM_PAGES = 2048
"""Free pages that the file may keep for the journal's next rows, and how many go back at a time."""


class Store:
    """What is kept: opened with `open_store`, read in snapshots, written by one thread."""

    def __init__(self, path: Path, *, reserve_bytes: int, queue_limit: int) -> None:
        self.path = path
        self.reserve_bytes = reserve_bytes
        self.opened_us = time.time_ns() // 1000
        self._writer_engine = sqlite.writer_engine(path)
        self._reader_engine = sqlite.reader_engine(path)
        self._tails: Tails | None = None
        self._console_tails: ConsoleTails | None = None
        self._closed = False
        self.blobs: Blobs = DirectoryBlobs(path.parent / "blobs", reserve_bytes=reserve_bytes)
        """The contents of files, by digest."""
        self.writer = CommitThread(self._writer_engine.connect, queue_limit=queue_limit)
        try:
            self.server_id = self.write(self._prepare).result()
        except BaseException:
            self.writer.close()
            raise
        self.writer.between_groups.append(self._tidy)

    @property
    def tails(self) -> Tails:
        """Decoded columns of segments that are not sealed yet; NumPy is loaded on first use."""
        if self._tails is None:
            from kiseki.store.tails import Tails

            self._tails = Tails()
        return self._tails

    @property
    def console_tails(self) -> ConsoleTails:
        """The terminals of what is not sealed yet."""
        if self._console_tails is None:
            from kiseki.store.console_tails import ConsoleTails

            self._console_tails = ConsoleTails(self.tails)
        return self._console_tails

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read-only connection inside one snapshot. Keep it under a second: the log grows meanwhile."""
        if self._closed:
            raise StoreError(f"the store {self.path} is closed")
        with self._reader_engine.connect() as connection, connection.begin():
            yield connection

    def write(self, fn: Callable[[Connection], T], *, low: bool = False, weight: int = 0) -> Future[T]:
        """Run `fn(connection)` in the writer thread; the future resolves once its transaction is on disk.

        Jobs queued close together share a commit; where one raises, all are undone and run again one by one,
        so that it undoes only itself. `low` jobs run one a commit, behind the others. `weight` is the memory
        that the job keeps while it waits. Raises StoreBusy where the queue is full.
        """
        return self.writer.submit(fn, low=low, weight=weight)

    def check_room(self, more_bytes: int = 0) -> None:
        """Raise StoreFull where writing `more_bytes` would eat into the disk's reserve."""
        free = free_bytes(self.path.parent)
        if free - more_bytes < self.reserve_bytes:
            raise StoreFull(
                f"the disk of {self.path.parent} is almost full ({free // 2**20} MB left,"
                f" {self.reserve_bytes // 2**20} MB are kept free): make room; what was not taken comes again"
            )

    def close(self) -> None:
        """Finish what is queued, copy the log into the database, and let go of the file. Twice is once."""
        if self._closed:
            return
        self._closed = True
        # SQLite copies the log into the database where the last connection goes: that must be the writer's.
        self._reader_engine.dispose()
        self.writer.close()
        self._writer_engine.dispose()

    def _prepare(self, connection: Connection) -> str:
        bring_to_head(connection, str(self.path))
        found = connection.execute(select(meta.c.value).where(meta.c.key == "server_id")).scalar()
        if found is not None:
            return str(found)
        server_id = secrets.token_hex(8)
        connection.execute(insert(meta).values(key="server_id", value=server_id))
        return server_id

    def _tidy(self, connection: Connection) -> None:
        if sqlite.log_bytes(self.path) > LOG_LIMIT_BYTES:
            sqlite.checkpoint(connection)
        if self.writer.waiting == 0:
            sqlite.give_back_space(connection, VACUUM_PAGES)


def open_store(
    url: str,
    *,
    create: bool = True,
    reserve_bytes: int = RESERVE_BYTES,
    queue_limit: int = QUEUE_LIMIT,
) -> Store:
    """Open the store at `url` (`sqlite:////absolute/path/store.db`) as its one owner.

    Raises StoreError, in words, where the folder lies on a network file system, the file is no store, the
    schema is newer than this version, or there is none and `create` is false. The caller holds the
    owner's lock.
    """
    path = sqlite.database_path(url)
    if not path.exists() and not create:
        raise StoreError(f"there is no store at {path}: start one with `kiseki up`")
    path.parent.mkdir(parents=True, exist_ok=True)
    sqlite.check_place(path)
    try:
        return Store(path, reserve_bytes=reserve_bytes, queue_limit=queue_limit)
    except StoreError:
        raise
    except Exception as error:
        raise StoreError(f"cannot open the store {path}: {error}") from error
