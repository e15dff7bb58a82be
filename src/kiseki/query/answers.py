"""The answers of the queries, as the HTTP API sends them: times in unix seconds, durations in seconds."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

State = Literal["running", "finished", "failed", "crashed", "killed", "no_contact"]
ConsoleStream = Literal["stdout", "stderr", "note"]
ColumnType = Literal["num", "txt", "bool", "any"]

Document = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        description="An object in the JSON encoding of kiseki.records.numbers.",
        extra_json_schema={"type": "object", "additionalProperties": True},
    ),
]
"""A stored JSON document, sent on as it lies in the store."""


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """One project and how busy it is."""

    entity: str
    name: str
    runs: int
    running: int
    created: float
    last_activity: float


class Projects(msgspec.Struct, frozen=True, kw_only=True):
    """All projects, the one with the latest activity first."""

    projects: list[Project]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run as lists show it."""

    entity: str
    project: str
    id: str
    uid: str
    name: str
    state: State
    exit_code: int | None
    reason: str | None
    created: float
    started: float | None
    ended: float | None
    updated: float
    runtime: float
    host: str | None
    user: str | None
    command: str | None
    notes: str | None
    tags: list[str]
    group: str | None
    job_type: str | None
    config: Document
    summary: Document
    last_step: int | None
    rows: int
    at: int
    color: int
    source_gone: bool
    url: str | None


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One config or summary key of a project's runs (`config.lr`), with the number of runs that have it."""

    key: str
    type: ColumnType
    count: int


class RunsPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a project's runs; `columns` are those of all its runs."""

    runs: list[Run]
    columns: list[Column]
    more: bool


class RunCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many runs a filter finds."""

    count: int


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """One writer and those that resume it; lane 0 is the primary one, with an empty label."""

    lane: int
    label: str


class RunMetric(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of a run; `min`, `max` and `last` are of its finite numbers."""

    key: str
    type: str
    count: int
    nan: int
    pinf: int
    ninf: int
    min: float | None
    max: float | None
    last: float | None
    step_min: int | None
    step_max: int | None


class RunDetail(Run, frozen=True, kw_only=True):
    """One run with everything that its page shows but the points."""

    environment: Document
    lanes: list[Lane]
    metrics: list[RunMetric]
    damage: str | None


class SystemLane(msgspec.Struct, frozen=True, kw_only=True):
    """The samples of one sidecar: `label` is its host's name. Two of one label follow each other."""

    lane: int
    label: str
    id: str


class SystemMetric(RunMetric, frozen=True, kw_only=True):
    """One metric of the system stream, and what it measures.

    `device` is cpu, memory, disk, network, process, gpu.0, …; metrics that differ only in their `part` (a
    core, a mount point) share the `quantity`; `unit` is that of the values, "" for a count.
    """

    device: str
    quantity: str
    part: str
    unit: str


class RunSystem(msgspec.Struct, frozen=True, kw_only=True):
    """The system stream of a run: its metrics, and who measured them."""

    metrics: list[SystemMetric]
    lanes: list[SystemLane]


class ProjectMetric(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of a project: how many runs have it, the most points a run has of it, the numbers of all."""

    key: str
    runs: int
    points_max: int
    numbers: int
    type: str


class ProjectMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """The metrics of all runs of a project, by key."""

    metrics: list[ProjectMetric]


class ConsoleLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a run's console; `text` holds its colours as SGR sequences, complete in itself.

    `n` is its number in its lane, from 0 on; `time` is when it last changed; a note is Kiseki's own word.
    """

    n: int
    time: float
    stream: ConsoleStream
    text: str


class ConsoleLane(msgspec.Struct, frozen=True, kw_only=True):
    """The console of one lane: how many lines it has."""

    lane: int
    label: str
    lines: int


class ConsolePage(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of one lane's console: it has `total`, of which those before `stable` change no more.

    `cursor` is the line that is being written. `live`: more may come.
    """

    total: int
    stable: int
    cursor: int
    live: bool
    lines: list[ConsoleLine]
    lanes: list[ConsoleLane]


class ConsoleMatches(msgspec.Struct, frozen=True, kw_only=True):
    """Lines that hold what was searched for, and the line to go on from; null where the search is done."""

    matches: list[ConsoleLine]
    next: int | None
