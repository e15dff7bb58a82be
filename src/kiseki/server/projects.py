"""Projects and their metrics."""

from __future__ import annotations

import msgspec

from kiseki import query as queries
from kiseki.query import ProjectMetrics, Projects
from kiseki.server.context import Context
from kiseki.server.endpoint import endpoint


class ProjectPath(msgspec.Struct, frozen=True):
    """Which project."""

    entity: str
    project: str


@endpoint("GET", "/projects")
def list_projects(context: Context) -> Projects:
    """List the projects, the one with the latest activity first."""
    return queries.projects(context.store)


@endpoint("GET", "/projects/{entity}/{project}/metrics")
def list_metrics(context: Context, path: ProjectPath) -> ProjectMetrics:
    """List the metrics of all runs of a project."""
    return queries.metrics_of(context.store, path.entity, path.project)


ENDPOINTS = (list_projects, list_metrics)
