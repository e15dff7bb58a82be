"""Writing what changed in memory to the tables, once a transaction and run, before it is committed."""

from __future__ import annotations

import shlex
from typing import Any

from sqlalchemy import Connection, bindparam, delete, update

from kiseki.ingest.state import RunState, now_us
from kiseki.ingest.values import Value, leaves
from kiseki.store.tables import DERIVED_VERSION, metrics, run_values, runs, writers
from kiseki.store.upsert import upsert

_RUN_COLUMNS = (
    "name",
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
    "command",
    "notes",
    "tags",
    "grp",
    "job_type",
    "config",
    "summary",
    "environment",
    "last_step",
    "rows",
    "at",
    "source_gone",
    "damage",
    "fold",
    "version",
)
# Built once: on a small append, making the statement costs more than running it.
_update_run = (
    update(runs)
    .where(runs.c.id == bindparam("pk"))
    .values({name: bindparam(f"new_{name}", type_=runs.c[name].type) for name in _RUN_COLUMNS})
)
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
    """Write a run's row, its changed writers, metrics and values; its `at` grows by one."""
    rows = [writer.row() for writer in state.writers.values() if writer.dirty]
    if rows:
        connection.execute(_update_writer, rows)
    state.at += 1
    row = run_row(state)
    connection.execute(_update_run, {"pk": state.pk, **{f"new_{name}": row[name] for name in _RUN_COLUMNS}})
    upsert(
        connection,
        metrics,
        [state.metrics[key].row(state.pk, key) for key in sorted(state.dirty_metrics)],
    )
    _write_values(connection, state, row["config"], row["summary"])
    for writer in state.writers.values():
        writer.dirty = False
    state.dirty_metrics.clear()
    state.dirty = False


def run_row(state: RunState) -> dict[str, Any]:
    """The columns of `runs` that follow from the records, and what ingest itself keeps there."""
    fold, face = state.fold, state.face()
    environment = fold.environment
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
        "name": fold.name or state.run_id,
        "state": fold.state,
        "shown_state": state.shown,
        "exit_code": fold.exit_code,
        "reason": fold.reason,
        "created_us": first_us if started_us is None else started_us,
        "started_us": started_us,
        "ended_us": fold.ended_us,
        "updated_us": now_us(),
        "host": face.host if face is not None else None,
        "user": face.user if face is not None else None,
        "command": _command(environment),
        "notes": fold.notes,
        "tags": fold.tags,
        "grp": fold.group,
        "job_type": fold.job_type,
        "config": fold.config,
        "summary": fold.summary,
        "environment": environment,
        "last_step": fold.last_step,
        "rows": fold.rows,
        "at": state.at,
        "source_gone": state.source_gone,
        "damage": "\n".join(damage) or None,
        "fold": fold.to_bytes(),
        "version": DERIVED_VERSION,
    }


def _command(environment: dict[str, Any]) -> str | None:
    argv = environment.get("command")
    if isinstance(argv, list) and argv:
        return shlex.join(str(word) for word in argv)
    return argv if isinstance(argv, str) else None


def _write_values(
    connection: Connection, state: RunState, config: dict[str, Any], summary: dict[str, Any]
) -> None:
    """Bring the run's rows of `run_values` up to date, touching those that changed."""
    values: dict[str, Value] = {}
    values.update(leaves(config, "config"))
    values.update(leaves(summary, "summary"))
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
