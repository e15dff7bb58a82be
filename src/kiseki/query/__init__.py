"""The only reader of the store: runs tables, series, history. NumPy and Arrow load with the first chart."""

from kiseki.query.answers import (
    Column,
    Document,
    Lane,
    Project,
    ProjectMetrics,
    Projects,
    Run,
    RunCount,
    RunDetail,
    RunsPage,
)
from kiseki.query.errors import InvalidQuery, NotFound
from kiseki.query.history import history_rows, sampled_history
from kiseki.query.projects import metrics_of, projects
from kiseki.query.runs import count_runs, run_detail, run_keys, runs_page
from kiseki.query.series import series

__all__ = [
    "Column",
    "Document",
    "InvalidQuery",
    "Lane",
    "NotFound",
    "Project",
    "ProjectMetrics",
    "Projects",
    "Run",
    "RunCount",
    "RunDetail",
    "RunsPage",
    "count_runs",
    "history_rows",
    "metrics_of",
    "projects",
    "run_detail",
    "run_keys",
    "runs_page",
    "sampled_history",
    "series",
]
