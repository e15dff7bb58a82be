"""Runs: pages of a project's runs, their exact number, and one run in full."""

from __future__ import annotations

from typing import Annotated

import msgspec

from kiseki import query as queries
from kiseki.query import RunCount, RunDetail, RunsPage, RunSystem
from kiseki.server.context import Context
from kiseki.server.endpoint import Call, endpoint
from kiseki.server.projects import ProjectPath


class RunPath(msgspec.Struct, frozen=True):
    """Which run."""

    entity: str
    project: str
    run_id: str


class RunFilter(msgspec.Struct, frozen=True):
    """Which runs of a project: each word of `filter` must occur in name, id, notes or a tag."""

    filter: str = ""


class RunsQuery(RunFilter, frozen=True):
    """Which page: `sort` keys in order of their weight, `-` before one for descending."""

    sort: list[str] = msgspec.field(default_factory=lambda: ["-created"])
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    offset: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)] = 0


@endpoint("GET", "/projects/{entity}/{project}/runs")
def list_runs(context: Context, call: Call, path: ProjectPath, query: RunsQuery) -> RunsPage:
    """List runs of a project."""
    return queries.runs_page(
        context.store,
        path.entity,
        path.project,
        filter=query.filter,
        sort=query.sort,
        limit=query.limit,
        offset=query.offset,
        base_url=call.base_url,
    )


@endpoint("GET", "/projects/{entity}/{project}/runs/count")
def count_runs(context: Context, path: ProjectPath, query: RunFilter) -> RunCount:
    """Count the runs that a filter finds, exactly."""
    return queries.count_runs(context.store, path.entity, path.project, filter=query.filter)


@endpoint("GET", "/runs/{entity}/{project}/{run_id}")
def get_run(context: Context, call: Call, path: RunPath) -> RunDetail:
    """Return one run in full."""
    return queries.run_detail(context.store, path.entity, path.project, path.run_id, base_url=call.base_url)


@endpoint("GET", "/runs/{entity}/{project}/{run_id}/system")
def get_system(context: Context, path: RunPath) -> RunSystem:
    """Return the metrics of a run's system stream, and who measured them; their points are series."""
    (run_pk,) = queries.run_keys(context.store, path.entity, path.project, [path.run_id])
    return queries.run_system(context.store, run_pk)


ENDPOINTS = (list_runs, count_runs, get_run, get_system)
