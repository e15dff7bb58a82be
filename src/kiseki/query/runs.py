"""The runs of a project: pages of them, sorted and filtered, and one run in full."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, String, and_, case, func, or_, select

from kiseki.query.answers import (
    Lane,
    Run,
    RunCount,
    RunDetail,
    RunMetric,
    RunsPage,
    RunSystem,
    SystemLane,
    SystemMetric,
)
from kiseki.query.columns import columns_of
from kiseki.query.errors import InvalidQuery, NotFound
from kiseki.query.projects import find_project
from kiseki.records.kinds import DEFAULT_STREAM, SYSTEM_STREAM
from kiseki.records.measures import measure_of
from kiseki.store.tables import as_text, projects, run_values, runs
from kiseki.store.tables import metrics as metric_rows

if TYPE_CHECKING:
    from kiseki.store import Store

MAX_PAGE: Final = 1000
"""Most runs of one page."""

MAX_WORDS: Final = 100
"""Most words of a filter: each is four conditions, and SQLite nests a thousand."""

MAX_SORT_KEYS: Final = 16
"""Most keys of a sort: each joins a table, and SQLite joins 64."""

_LIVE_STATES: Final = ("running",)


def runs_page(
    store: Store,
    entity: str,
    project: str,
    *,
    filter: str = "",
    sort: Sequence[str] = ("-created",),
    limit: int = 100,
    offset: int = 0,
    base_url: str | None = None,
) -> RunsPage:
    """Return up to `limit` (at most 1,000) runs of a project from the `offset`-th on.

    `filter`: each of its words must occur in name, id, notes or a tag, in any case. `sort`: keys in
    order of their weight (`created`, `name`, `state`, `runtime`, `notes`, `tags`, `config.X`,
    `summary.X`), `-` before one for descending; a run that lacks a value comes last either way.
    Raises NotFound for an unknown project, InvalidQuery for an unknown key, or too many keys or words.
    """
    now_us = time.time_ns() // 1000
    limit = min(limit, MAX_PAGE)
    with store.read() as connection:
        project_id = find_project(connection, entity, project)
        query = _select_runs(now_us).where(_matches(project_id, filter))
        query = _sorted(query, project_id, sort, now_us).limit(limit + 1).offset(offset)
        rows = connection.execute(query).all()
        columns = columns_of(connection, project_id)
    return RunsPage(
        runs=[Run(**_run_fields(row, base_url)) for row in rows[:limit]],
        columns=columns,
        more=len(rows) > limit,
    )


def count_runs(store: Store, entity: str, project: str, *, filter: str = "") -> RunCount:
    """Return exactly how many runs of a project the filter finds; raises NotFound, InvalidQuery."""
    with store.read() as connection:
        project_id = find_project(connection, entity, project)
        query = select(func.count()).select_from(runs).where(_matches(project_id, filter))
        return RunCount(count=connection.execute(query).scalar_one())


def run_detail(
    store: Store, entity: str, project: str, run_id: str, *, base_url: str | None = None
) -> RunDetail:
    """Return one run in full; raises NotFound where there is none (or it is deleted)."""
    now_us = time.time_ns() // 1000
    query = (
        _select_runs(now_us)
        .add_columns(as_text(runs.c.environment).label("environment_text"), runs.c.damage)
        .where(
            projects.c.entity == entity,
            projects.c.name == project,
            runs.c.run_id == run_id,
            runs.c.deleted_us.is_(None),
        )
    )
    with store.read() as connection:
        row = connection.execute(query).first()
        if row is None:
            raise _no_run(entity, project, run_id)
        lanes = _labelled_lanes(connection, row.id)
        metrics = _metrics_of_run(connection, row.id, DEFAULT_STREAM)
    return RunDetail(
        **_run_fields(row, base_url),
        environment=msgspec.Raw(row.environment_text.encode()),
        lanes=lanes,
        metrics=metrics,
        damage=row.damage,
    )


def run_system(store: Store, run_pk: int) -> RunSystem:
    """Return what was measured beside a run: the metrics of its system stream, and who measured them."""
    from kiseki.store.series import lanes_of

    with store.read() as connection:
        lanes = lanes_of(connection, run_pk, SYSTEM_STREAM)
        metrics = _metrics_of_run(connection, run_pk, SYSTEM_STREAM)
    return RunSystem(
        metrics=[
            SystemMetric(**msgspec.structs.asdict(metric), **measure_of(metric.key)._asdict())
            for metric in metrics
        ],
        lanes=[SystemLane(**lane._asdict()) for lane in lanes],
    )


def run_keys(store: Store, entity: str, project: str, run_ids: Sequence[str]) -> list[int]:
    """Return the store's keys of the runs with these ids, in their order; raises NotFound."""
    with store.read() as connection:
        project_id = find_project(connection, entity, project)
        found: dict[str, int] = {}
        for start in range(0, len(run_ids), MAX_PAGE):
            query = select(runs.c.run_id, runs.c.id).where(
                runs.c.project_id == project_id,
                runs.c.run_id.in_(run_ids[start : start + MAX_PAGE]),
                runs.c.deleted_us.is_(None),
            )
            found.update((row.run_id, row.id) for row in connection.execute(query))
    for run_id in run_ids:
        if run_id not in found:
            raise _no_run(entity, project, run_id)
    return [found[run_id] for run_id in run_ids]


def _run_path(entity: str, project: str, run_id: str) -> str:
    """Return the path of a run's page.

    >>> _run_path("ada", "digits", "a b")
    '/ada/digits/runs/a%20b'
    """
    return f"/{quote(entity, safe='')}/{quote(project, safe='')}/runs/{quote(run_id, safe='')}"


def _no_run(entity: str, project: str, run_id: str) -> NotFound:
    return NotFound(f"there is no run {entity}/{project}/{run_id} on this server")


def _select_runs(now_us: int) -> Select[Any]:
    return select(
        runs.c.id,
        projects.c.entity,
        projects.c.name.label("project"),
        runs.c.run_id,
        runs.c.uid,
        runs.c.name,
        runs.c.shown_state,
        runs.c.exit_code,
        runs.c.reason,
        runs.c.created_us,
        runs.c.started_us,
        runs.c.ended_us,
        runs.c.updated_us,
        _runtime_us(now_us).label("runtime_us"),
        runs.c.host,
        runs.c.user,
        runs.c.command,
        runs.c.notes,
        runs.c.tags,
        runs.c.grp,
        runs.c.job_type,
        as_text(runs.c.config).label("config_text"),
        as_text(runs.c.summary).label("summary_text"),
        runs.c.last_step,
        runs.c.rows,
        runs.c.at,
        runs.c.color,
        runs.c.source_gone,
    ).join(projects, projects.c.id == runs.c.project_id)


def _run_fields(row: Row[Any], base_url: str | None) -> dict[str, Any]:
    page = _run_path(row.entity, row.project, row.run_id)
    return {
        "entity": row.entity,
        "project": row.project,
        "id": row.run_id,
        "uid": row.uid,
        "name": row.name,
        "state": row.shown_state,
        "exit_code": row.exit_code,
        "reason": row.reason,
        "created": row.created_us / 1e6,
        "started": _seconds(row.started_us),
        "ended": _seconds(row.ended_us),
        "updated": row.updated_us / 1e6,
        "runtime": row.runtime_us / 1e6,
        "host": row.host,
        "user": row.user,
        "command": row.command,
        "notes": row.notes,
        "tags": row.tags,
        "group": row.grp,
        "job_type": row.job_type,
        "config": msgspec.Raw(row.config_text.encode()),
        "summary": msgspec.Raw(row.summary_text.encode()),
        "last_step": row.last_step,
        "rows": row.rows,
        "at": row.at,
        "color": row.color,
        "source_gone": row.source_gone,
        "url": None if base_url is None else base_url + page,
    }


def _seconds(time_us: int | None) -> float | None:
    return None if time_us is None else time_us / 1e6


def _runtime_us(now_us: int) -> ColumnElement[int]:
    start = func.coalesce(runs.c.started_us, runs.c.created_us)
    end = case(
        (runs.c.ended_us.is_not(None), runs.c.ended_us),
        (runs.c.shown_state.in_(_LIVE_STATES), now_us),
        else_=runs.c.updated_us,
    )
    return case((end > start, end - start), else_=0)


def _matches(project_id: int, text: str) -> ColumnElement[bool]:
    conditions = [runs.c.project_id == project_id, runs.c.deleted_us.is_(None)]
    words = text.lower().split()
    if len(words) > MAX_WORDS:
        raise InvalidQuery(f"the filter has {len(words)} words; it takes at most {MAX_WORDS}")
    for word in words:
        fields = (runs.c.name, runs.c.run_id, runs.c.notes)
        found = [func.lower(field).contains(word, autoescape=True) for field in fields]
        conditions.append(or_(*found, _has_tag_with(word)))
    return and_(*conditions)


def _has_tag_with(word: str) -> ColumnElement[bool]:
    tags = func.json_each(as_text(runs.c.tags)).table_valued("value")
    return (
        select(1).select_from(tags).where(func.lower(tags.c.value).contains(word, autoescape=True)).exists()
    )


def _sorted(query: Select[Any], project_id: int, sort: Sequence[str], now_us: int) -> Select[Any]:
    if len(sort) > MAX_SORT_KEYS:
        raise InvalidQuery(f"sort names {len(sort)} keys; it takes at most {MAX_SORT_KEYS}")
    for position, name in enumerate(sort):
        descending, key = name.startswith("-"), name.removeprefix("-")
        if key.startswith(("config.", "summary.")):
            value = run_values.alias(f"sort_{position}")
            query = query.outerjoin(
                value,
                and_(value.c.run_pk == runs.c.id, value.c.key == key, value.c.project_id == project_id),
            )
            # Numbers stand before texts, as one kind of value each; what is absent comes last.
            for column in (value.c.num, value.c.txt):
                query = query.order_by(_direction(column, descending))
        else:
            query = query.order_by(_direction(_own_column(key, now_us), descending))
    return query.order_by(runs.c.created_us.desc(), runs.c.id.desc())


def _own_column(key: str, now_us: int) -> ColumnElement[Any]:
    match key:
        case "created":
            return runs.c.created_us
        case "name":
            return runs.c.name
        case "state":
            return runs.c.shown_state
        case "runtime":
            return _runtime_us(now_us)
        case "notes":
            return func.nullif(runs.c.notes, "", type_=String())
        case "tags":
            return func.nullif(as_text(runs.c.tags), "[]", type_=String())
        case _:
            raise InvalidQuery(
                f"cannot sort by {key!r}; sort takes created, name, state, runtime, notes, tags, "
                "config.KEY, summary.KEY, each with - before it for descending"
            )


def _direction(column: ColumnElement[Any], descending: bool) -> ColumnElement[Any]:
    return (column.desc() if descending else column.asc()).nulls_last()


def _labelled_lanes(connection: Connection, run_pk: int) -> list[Lane]:
    from kiseki.store.series import lanes_of

    # A server's edits are a lane too, without a label of its own.
    lanes = lanes_of(connection, run_pk)
    return [Lane(lane=one.lane, label=one.label) for one in lanes if one.lane == 0 or one.label]


def _metrics_of_run(connection: Connection, run_pk: int, stream: str) -> list[RunMetric]:
    columns = [metric_rows.c[name] for name in RunMetric.__struct_fields__]
    query = select(*columns).where(metric_rows.c.run_pk == run_pk, metric_rows.c.stream == stream)
    query = query.order_by(metric_rows.c.key)
    return [RunMetric(**row._mapping) for row in connection.execute(query)]
