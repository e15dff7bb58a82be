"""Writing what changed in memory to the tables, once a transaction and run, before it is committed."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Update, bindparam, delete, update

from kiseki.ingest.files import write_files
from kiseki.ingest.state import RunState
from kiseki.ingest.values import Value, leaves
from kiseki.store.tables import DERIVED_VERSION, metrics, run_values, runs, writers
from kiseki.store.upsert import upsert

_RUN_COLUMNS = (
    "state",
    "shown_state",
    "exit_code",
    "reason",
    "created_us",
    "started_us",
    "ended_us",
    "updated_us",
    "host",
    "user",
    "summary",
    "last_step",
    "rows",
    "at",
    "source_gone",
    "damage",
    "fold",
    "version",
)
# What is said once or seldom, and may be large.
_FACT_COLUMNS = (
    "name",
    "command",
    "notes",
    "tags",
    "grp",
    "job_type",
    "config",
    "environment",
    "fold_facts",
)


def _update_of(columns: Sequence[str]) -> Update:
    return (
        update(runs)
        .where(runs.c.id == bindparam("pk"))
        .values({name: bindparam(f"new_{name}", type_=runs.c[name].type) for name in columns})
    )


# Built once: on a small append, making the statement costs more than running it.
_update_run = _update_of(_RUN_COLUMNS)
_update_whole_run = _update_of((*_RUN_COLUMNS, *_FACT_COLUMNS))
_update_writer = (
    update(writers)
    .where(writers.c.id == bindparam("pk"))
    .values(
        {
            name: bindparam(name)
            for name in (
                "path",
                "offset",
                "crc",
                "segment",
                "segment_offset",
                "sealed_to",
                "sealed_segments",
                "ended",
                "damage",
            )
        }
    )
)


def flush(connection: Connection, state: RunState) -> None:
    """Write a run's row, its changed writers, metrics and values; its `at` grows by one.

    Config, environment and the like are encoded and written only where they changed since they were written.
    """
    rows = [writer.row() for writer in state.writers.values() if writer.dirty]
    if rows:
        connection.execute(_update_writer, rows)
    state.at += 1
    row = run_row(state)
    statement = _update_run
    if state.written_facts != state.fold.facts_revision:
        statement = _update_whole_run
        row |= _facts_row(state)
        state.config_values = dict(leaves(row["config"], "config"))
    elif state.config_values is None:
        state.config_values = dict(leaves(state.fold.config, "config"))
    connection.execute(statement, {"pk": state.pk, **{f"new_{name}": value for name, value in row.items()}})
    upsert(
        connection,
        metrics,
        [
            state.metrics[stream][key].row(state.pk, stream, key)
            for stream, key in sorted(state.dirty_metrics)
        ],
    )
    _write_values(connection, state, {**state.config_values, **dict(leaves(row["summary"], "summary"))})
    write_files(connection, state)
    state.written_facts = state.fold.facts_revision
    for writer in state.writers.values():
        writer.dirty = False
    state.dirty_metrics.clear()
    state.dirty = False


def run_row(state: RunState) -> dict[str, Any]:
    """The columns of `runs` that may change with every append, by the records and what ingest knows."""
    fold, face = state.fold, state.face()
    started_us = fold.started_us
    if fold.state != "running":
        state.shown = fold.state
    first_us = min((writer.header.wall_ns // 1000 for writer in state.writers.values()), default=0)
    damage = [
        f"{writer.path or writer.header.writer}: {writer.damage}"
        for _, writer in sorted(state.writers.items())
        if writer.damage is not None
    ]
    return {
        "state": fold.state,
        "shown_state": state.shown,
        "exit_code": fold.exit_code,
        "reason": fold.reason,
        "created_us": first_us if started_us is None else started_us,
        "started_us": started_us,
        "ended_us": fold.ended_us,
        "updated_us": state.updated_us,
        "host": face.host if face is not None else None,
        "user": face.user if face is not None else None,
        "summary": fold.summary,
        "last_step": fold.last_step,
        "rows": fold.rows,
        "at": state.at,
        "source_gone": state.source_gone,
        "damage": "\n".join(damage) or None,
        "fold": fold.to_bytes(),
        "version": DERIVED_VERSION,
    }


def _facts_row(state: RunState) -> dict[str, Any]:
    fold = state.fold
    environment = fold.environment
    return {
        "name": fold.name or state.run_id,
        "command": _command(environment),
        "notes": fold.notes,
        "tags": fold.tags,
        "grp": fold.group,
        "job_type": fold.job_type,
        "config": fold.config,
        "environment": environment,
        "fold_facts": fold.facts_to_bytes(),
    }


def _command(environment: dict[str, Any]) -> str | None:
    argv = environment.get("command")
    if isinstance(argv, list) and argv:
        return shlex.join(str(word) for word in argv)
    return argv if isinstance(argv, str) else None


def _write_values(connection: Connection, state: RunState, values: dict[str, Value]) -> None:
    """Bring the run's rows of `run_values` up to date, touching those that changed."""
    gone = [key for key in state.values if key not in values]
    if gone:
        connection.execute(
            delete(run_values).where(run_values.c.run_pk == state.pk, run_values.c.key == bindparam("gone")),
            [{"gone": key} for key in gone],
        )
    upsert(
        connection,
        run_values,
        [
            {
                "run_pk": state.pk,
                "key": key,
                "project_id": state.project_pk,
                "num": value.num,
                "txt": value.txt,
                "type": value.type,
            }
            for key, value in values.items()
            if state.values.get(key) != value
        ],
    )
    state.values = values
