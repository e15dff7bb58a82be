"""The derived tables of a store as plain values, to be compared: surrogate keys replaced by names."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Table, select

from kiseki.records.kinds import read_extension
from kiseki.store import Store
from kiseki.store.tables import (
    as_text,
    chunks,
    console_blocks,
    file_versions,
    metrics,
    run_values,
    runs,
    writers,
)

decode = msgspec.msgpack.Decoder(ext_hook=read_extension).decode

# What the server itself knows, when and in what order things came: no derived facts.
_OF_THE_SERVER = {
    "id",
    "project_id",
    "at",
    "color",
    "updated_us",
    "shown_state",
    "fold",
    "fold_facts",
    "run_pk",
    "writer_pk",
}


def derived_rows(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Every derived table, row by row, in an order of its own contents."""
    with store.read() as connection:
        uids = dict(connection.execute(select(runs.c.id, runs.c.uid)).all())
        names = dict(connection.execute(select(writers.c.id, writers.c.writer)).all())

        def rows_of(table: Table) -> list[dict[str, Any]]:
            columns = [
                as_text(column) if column.type.__class__.__name__ == "JsonText" else column
                for column in table.c
            ]
            found = []
            for row in connection.execute(select(*columns)):
                values = dict(zip(table.c.keys(), row, strict=True))
                plain = {key: value for key, value in values.items() if key not in _OF_THE_SERVER}
                if "run_pk" in values:
                    plain["run"] = uids[values["run_pk"]]
                if "writer_pk" in values:
                    plain["writer"] = names[values["writer_pk"]]
                found.append(plain)
            return sorted(found, key=lambda plain: repr(sorted(plain.items())))

        result = {
            table.name: rows_of(table)
            for table in (runs, writers, chunks, metrics, run_values, file_versions, console_blocks)
        }
        folds = connection.execute(select(runs.c.uid, runs.c.fold, runs.c.fold_facts)).all()
    result["folds"] = sorted(
        (
            {
                "run": uid,
                "fold": repr(_unordered(decode(fold))),
                "facts": repr(_unordered(decode(facts or b"\xc0"))),
            }
            for uid, fold, facts in folds
        ),
        key=lambda fold: str(fold["run"]),
    )
    return result


def _unordered(value: Any) -> Any:
    """A decoded fold with its maps and lists of pairs in one order: it is a set of facts."""
    if isinstance(value, dict):
        return sorted(((key, _unordered(inner)) for key, inner in value.items()), key=repr)
    if isinstance(value, list):
        inner = [_unordered(item) for item in value]
        pairs = bool(inner) and all(isinstance(item, list) and len(item) == 2 for item in inner)
        return sorted(inner, key=repr) if pairs else inner
    return value
