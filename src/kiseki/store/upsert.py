"""Insert or update in one statement, in the words of the engine in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects.sqlite import Insert, insert


@lru_cache(maxsize=32)
def _statement(table: Table, columns: tuple[str, ...]) -> Insert:
    keys = [column.name for column in table.primary_key.columns]
    statement = insert(table)
    changed = {name: statement.excluded[name] for name in columns if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)


def upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows, all with the same columns, over those that have their primary keys; or as new ones."""
    if rows:
        connection.execute(_statement(table, tuple(rows[0])), rows)
