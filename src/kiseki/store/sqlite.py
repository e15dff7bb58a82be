"""SQLite as the store's engine: how connections are opened, for the one writer and for readers."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool, QueuePool

from kiseki.store.disk import network_file_system
from kiseki.store.errors import StoreError

PAGE = 4096
CHECKPOINT_BYTES = 64 * 1024 * 1024
"""Size of the write-ahead log at which a commit copies it into the database."""

READERS = 16


def database_path(url: str) -> Path:
    """The file that a `sqlite:////absolute/path` URL names; StoreError for any other kind of URL."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise StoreError(f"cannot use the store {url!r}: give sqlite:////absolute/path/store.db")
    return Path(parsed.database).absolute()


def check_place(path: Path) -> None:
    """Refuse, in words, a folder where SQLite's write-ahead log would not be safe."""
    network = network_file_system(path.parent)
    if network is not None:
        raise StoreError(
            f"the store cannot lie at {path.parent}: that is a network file system ({network}), where"
            " SQLite's log is not safe; choose a folder on a local disk (run directories may stay)"
        )


def writer_engine(path: Path) -> Engine:
    """The engine of the one connection that writes: fully synchronous, with immediate transactions."""

    def connect() -> sqlite3.Connection:
        raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        raw.execute(f"PRAGMA page_size={PAGE}")
        raw.execute("PRAGMA auto_vacuum=INCREMENTAL")
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute("PRAGMA synchronous=FULL")
        raw.execute("PRAGMA foreign_keys=ON")
        raw.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_BYTES // PAGE}")
        raw.execute(f"PRAGMA journal_size_limit={CHECKPOINT_BYTES}")
        raw.execute("PRAGMA cache_size=-32768")
        return raw

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", lambda connection: _begin(connection, "BEGIN IMMEDIATE"))
    return engine


def reader_engine(path: Path) -> Engine:
    """The engine of read-only connections; a transaction is one snapshot."""
    uri = f"file:{_quoted(path)}?mode=ro"

    def connect() -> sqlite3.Connection:
        raw = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
        raw.execute("PRAGMA query_only=ON")
        raw.execute("PRAGMA cache_size=-8192")
        return raw

    engine = create_engine(
        "sqlite://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=4,
        max_overflow=READERS - 4,
        pool_timeout=30,
    )
    event.listen(engine, "begin", lambda connection: _begin(connection, "BEGIN"))
    return engine


def checkpoint(connection: Connection) -> None:
    """Copy the whole write-ahead log into the database and empty it, as far as readers allow.

    For the writer's own connection, outside of a transaction: SQLite 3.40 must not see a second one do it.
    """
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def give_back_space(connection: Connection, pages: int) -> None:
    """Return up to `pages` free pages to the file system; for the writer, outside of a transaction."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    if raw.execute("PRAGMA freelist_count").fetchone()[0] > pages:
        raw.execute(f"PRAGMA incremental_vacuum({pages})").fetchall()


def log_bytes(path: Path) -> int:
    """Size of the write-ahead log beside the database."""
    try:
        return os.stat(f"{path}-wal").st_size
    except FileNotFoundError:
        return 0


def _begin(connection: Any, statement: str) -> None:
    connection.exec_driver_sql(statement)


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
