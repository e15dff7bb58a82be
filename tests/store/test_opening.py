"""A store is made, opened again, migrated, or refused in words."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, insert, select, text

from kiseki.store import StoreError, StoreFull, database, open_store, sqlite
from kiseki.store.disk import network_file_system
from kiseki.store.schema import HEAD, MIGRATIONS, migrate
from kiseki.store.tables import meta


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder}/store.db"


def schema_of(path: Path) -> dict[str, set[str]]:
    """Each table's columns and constraints and each index, as the set of their definitions: the order in
    which revisions added them is of no meaning.
    """
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: set(definitions(sql)) for name, sql in rows if name != "alembic_version"}


def definitions(sql: str) -> list[str]:
    """The parts of a CREATE statement between its outer parentheses, and what stands around these."""
    before, _, rest = sql.partition("(")
    inside, _, after = rest.rpartition(")")
    parts, depth = [""], 0
    for sign in inside:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return [" ".join(part.replace('"', "").split()) for part in (before, *parts, after)]


def test_a_fresh_store_has_the_schema_that_the_revisions_make(tmp_path: Path) -> None:
    open_store(url_of(tmp_path)).close()
    engine = create_engine(f"sqlite:///{tmp_path}/migrated.db")
    with engine.begin() as connection:
        migrate(connection, None, "here")
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == HEAD
    engine.dispose()
    assert schema_of(tmp_path / "store.db") == schema_of(tmp_path / "migrated.db")


def test_head_is_the_newest_revision() -> None:
    assert max(path.name for path in (MIGRATIONS / "versions").glob("[0-9]*.py")).startswith(HEAD)


def test_server_id_stays(tmp_path: Path) -> None:
    first = open_store(url_of(tmp_path))
    server_id = first.server_id
    first.close()
    again = open_store(url_of(tmp_path), create=False)
    assert again.server_id == server_id
    again.close()


def test_a_newer_schema_is_refused_in_words(tmp_path: Path) -> None:
    open_store(url_of(tmp_path)).close()
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"newer Kiseki.*9999.*upgrade Kiseki"):
        open_store(url_of(tmp_path))


def test_no_store_is_made_where_none_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        open_store(url_of(tmp_path), create=False)
    assert not (tmp_path / "store.db").exists()


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"these are not the bytes of a database" * 100)
    with pytest.raises(StoreError, match=r"cannot open the store .*store\.db"):
        open_store(url_of(tmp_path))


def test_other_engines_are_refused_in_words() -> None:
    with pytest.raises(StoreError, match="give sqlite"):
        open_store("postgresql://localhost/kiseki")


def test_a_network_file_system_is_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert network_file_system(tmp_path) is None
    monkeypatch.setattr(sqlite, "network_file_system", lambda path: "NFS")
    with pytest.raises(StoreError, match=r"network file system \(NFS\)"):
        open_store(url_of(tmp_path))


def test_settings_of_the_database(tmp_path: Path) -> None:
    store = open_store(url_of(tmp_path))

    def pragmas(connection: object) -> list[object]:
        names = ("journal_mode", "synchronous", "auto_vacuum", "foreign_keys", "wal_autocheckpoint")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]  # type: ignore[attr-defined]

    assert store.write(pragmas).result() == ["wal", 2, 2, 1, 64 * 1024 * 1024 // 4096]
    with store.read() as connection, pytest.raises(Exception, match=r"readonly|read-only"):
        connection.execute(insert(meta).values(key="a", value="b"))
    store.close()


def test_a_full_disk_is_seen_before_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(url_of(tmp_path), reserve_bytes=1000)
    monkeypatch.setattr(database, "free_bytes", lambda path: 1500)
    store.check_room(500)
    with pytest.raises(StoreFull, match="almost full"):
        store.check_room(501)
    store.close()


def test_closing_leaves_one_file(tmp_path: Path) -> None:
    store = open_store(url_of(tmp_path))
    store.write(lambda connection: connection.execute(insert(meta).values(key="a", value="b")))
    with store.read() as connection:
        connection.execute(select(meta)).all()
    store.close()
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]
    with pytest.raises(StoreError, match="closed"):
        store.write(lambda connection: None)
    with pytest.raises(StoreError, match="closed"), store.read():
        pass
