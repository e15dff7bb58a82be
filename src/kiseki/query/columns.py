"""The config and summary keys of a project's runs, with the type of their values."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, and_, func, select

from kiseki.query.answers import Column, ColumnType
from kiseki.store.tables import run_values

_TYPES: Final[dict[str, ColumnType]] = {"num": "num", "txt": "txt", "bool": "bool"}


def columns_of(connection: Connection, project_id: int) -> list[Column]:
    """Return the columns of a project by key.

    Counts come from the index alone; the type is that of the first and the last run with the key
    (`any` where they differ, or where the number of numeric values says that they are mixed).
    """
    groups = (
        select(
            run_values.c.key,
            func.count().label("runs"),
            func.count(run_values.c.num).label("numbers"),
            func.min(run_values.c.run_pk).label("first_run"),
            func.max(run_values.c.run_pk).label("last_run"),
        )
        .where(run_values.c.project_id == project_id)
        .group_by(run_values.c.key)
        .subquery()
    )
    first, last = run_values.alias("first_value"), run_values.alias("last_value")
    query = (
        select(
            groups.c.key,
            groups.c.runs,
            groups.c.numbers,
            first.c.type.label("first_type"),
            last.c.type.label("last_type"),
        )
        .join(first, and_(first.c.run_pk == groups.c.first_run, first.c.key == groups.c.key))
        .join(last, and_(last.c.run_pk == groups.c.last_run, last.c.key == groups.c.key))
        .order_by(groups.c.key)
    )
    return [
        Column(key=row.key, type=_type(row.first_type, row.last_type), count=row.runs)
        for row in connection.execute(query)
    ]


def _type(first: str, last: str) -> ColumnType:
    return _TYPES.get(first, "any") if first == last else "any"
