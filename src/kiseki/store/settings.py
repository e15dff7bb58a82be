"""What a server and its projects have set, by name; what the names mean is no matter of the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, select

from kiseki.store.tables import settings
from kiseki.store.upsert import upsert


def read_settings(connection: Connection) -> dict[tuple[str, str], dict[str, Any]]:
    """Return everything that is set, by (entity, project); the server's own under ("", "")."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in connection.execute(select(settings)):
        found.setdefault((row.entity, row.project), {})[row.name] = row.value
    return found


def change_settings(connection: Connection, entity: str, project: str, changes: Mapping[str, Any]) -> None:
    """Set the names in `changes` for a project ("", "" for the server); None takes a name back."""
    gone = [name for name, value in changes.items() if value is None]
    if gone:
        connection.execute(
            delete(settings).where(
                settings.c.entity == entity, settings.c.project == project, settings.c.name.in_(gone)
            )
        )
    rows = [
        {"entity": entity, "project": project, "name": name, "value": value}
        for name, value in changes.items()
        if value is not None
    ]
    upsert(connection, settings, rows)
