"""The only reader of the store: runs tables, series, history. NumPy and Arrow load with the first chart."""

from kiseki.query.answers import (
    Column,
    ConsoleLane,
    ConsoleLine,
    ConsoleMatches,
    ConsolePage,
    Document,
    Lane,
    Project,
    ProjectMetrics,
    Projects,
    Run,
    RunCount,
    RunDetail,
    RunsPage,
    RunSystem,
    SystemLane,
    SystemMetric,
)
from kiseki.query.console import console_page, console_text
from kiseki.query.console_search import search_console
from kiseki.query.errors import InvalidQuery, NotFound
from kiseki.query.files import FileContent, RunFile, RunFiles, open_file, run_files
from kiseki.query.history import history_rows, sampled_history
from kiseki.query.projects import metrics_of, projects
from kiseki.query.runs import count_runs, run_detail, run_keys, run_system, runs_page
from kiseki.query.series import series

__all__ = [
    "Column",
    "ConsoleLane",
    "ConsoleLine",
    "ConsoleMatches",
    "ConsolePage",
    "Document",
    "FileContent",
    "InvalidQuery",
    "Lane",
    "NotFound",
    "Project",
    "ProjectMetrics",
    "Projects",
    "Run",
    "RunCount",
    "RunDetail",
    "RunFile",
    "RunFiles",
    "RunSystem",
    "RunsPage",
    "SystemLane",
    "SystemMetric",
    "console_page",
    "console_text",
    "count_runs",
    "history_rows",
    "metrics_of",
    "open_file",
    "projects",
    "run_detail",
    "run_files",
    "run_keys",
    "run_system",
    "runs_page",
    "sampled_history",
    "search_console",
    "series",
]
