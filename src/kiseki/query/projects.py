"""The projects of a store, and the metrics of one project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, case, func, select

from kiseki.query.answers import Project, ProjectMetric, ProjectMetrics, Projects
from kiseki.query.errors import NotFound
from kiseki.records.kinds import DEFAULT_STREAM
from kiseki.store.tables import metrics as metric_rows
from kiseki.store.tables import projects as project_rows
from kiseki.store.tables import runs

if TYPE_CHECKING:
    from kiseki.store import Store


def projects(store: Store) -> Projects:
    """Return all projects, the one with the latest activity first."""
    here = runs.c.deleted_us.is_(None)
    running = func.coalesce(func.sum(case((runs.c.shown_state == "running", 1), else_=0)), 0)
    last = func.coalesce(func.max(runs.c.updated_us), project_rows.c.created_us)
    query = (
        select(
            project_rows.c.entity,
            project_rows.c.name,
            func.count(runs.c.id).label("runs"),
            running.label("running"),
            project_rows.c.created_us,
            last.label("last_us"),
        )
        .select_from(project_rows.outerjoin(runs, (runs.c.project_id == project_rows.c.id) & here))
        .group_by(project_rows.c.id)
        .order_by(last.desc(), project_rows.c.id)
    )
    with store.read() as connection:
        rows = connection.execute(query).all()
    return Projects(
        projects=[
            Project(
                entity=row.entity,
                name=row.name,
                runs=row.runs,
                running=row.running,
                created=row.created_us / 1e6,
                last_activity=row.last_us / 1e6,
            )
            for row in rows
        ]
    )


def metrics_of(store: Store, entity: str, project: str) -> ProjectMetrics:
    """Return the metrics of all runs of a project, by key; raises NotFound for an unknown project."""
    query = (
        select(
            metric_rows.c.key,
            func.count().label("runs"),
            func.max(metric_rows.c.points).label("points_max"),
            func.sum(metric_rows.c.count + metric_rows.c.nan + metric_rows.c.pinf + metric_rows.c.ninf).label(
                "numbers"
            ),
            func.min(metric_rows.c.type).label("first_type"),
            func.max(metric_rows.c.type).label("last_type"),
        )
        .join(runs, runs.c.id == metric_rows.c.run_pk)
        .where(runs.c.deleted_us.is_(None), metric_rows.c.stream == DEFAULT_STREAM)
        .group_by(metric_rows.c.key)
        .order_by(metric_rows.c.key)
    )
    with store.read() as connection:
        project_id = find_project(connection, entity, project)
        rows = connection.execute(query.where(runs.c.project_id == project_id)).all()
    return ProjectMetrics(
        metrics=[
            ProjectMetric(
                key=row.key,
                runs=row.runs,
                points_max=row.points_max,
                numbers=int(row.numbers),
                type=_common_type(row.first_type, row.last_type),
            )
            for row in rows
        ]
    )


def find_project(connection: Connection, entity: str, project: str) -> int:
    """Return the project's key in the store; raises NotFound where there is none."""
    query = select(project_rows.c.id).where(project_rows.c.entity == entity, project_rows.c.name == project)
    found = connection.execute(query).scalar()
    if found is None:
        raise NotFound(f"there is no project {entity}/{project} on this server")
    return int(found)


def _common_type(first: str, last: str) -> str:
    if first == last:
        return first
    return "f64" if {first, last} == {"f64", "i64"} else "any"
