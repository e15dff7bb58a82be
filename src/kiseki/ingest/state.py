"""What ingest knows of a run and its writers while they are written to: a cache of rows, filled at need."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Connection, func, insert, select

from kiseki.ingest.values import Value
from kiseki.records.fold import OutdatedFold, RunFold
from kiseki.records.kinds import DATA_ROLES, Header
from kiseki.store.tables import liveness, metrics, projects, run_values, runs, writers

if TYPE_CHECKING:
    from kiseki.ingest.metrics import MetricState
    from kiseki.store.blocks import BlockDecoder

CACHED_RUNS = 512

_decode_header = msgspec.msgpack.Decoder(Header).decode


def now_us() -> int:
    """The wall clock in unix µs."""
    return time.time_ns() // 1000


@dataclass
class WriterState:
    """A row of `writers`, and the decoder that stands at its `offset`."""

    pk: int
    header: Header
    path: str | None = None
    offset: int = 0
    crc: int = 0
    segment: int = 0
    segment_offset: int = 0
    sealed_to: int = 0
    sealed_segments: int = 0
    ended: bool = False
    damage: str | None = None
    dead: bool = False
    console: bytes | None = None
    decoder: BlockDecoder | None = None
    dirty: bool = False

    def row(self) -> dict[str, Any]:
        """The columns that change, with the key."""
        return {
            "pk": self.pk,
            "path": self.path,
            "offset": self.offset,
            "crc": self.crc,
            "segment": self.segment,
            "segment_offset": self.segment_offset,
            "sealed_to": self.sealed_to,
            "sealed_segments": self.sealed_segments,
            "ended": self.ended,
            "damage": self.damage,
        }


class RunState:
    """A row of `runs` with its fold, writers, metrics and values; `dirty` parts are written before the
    commit.
    """

    def __init__(self, pk: int, project_pk: int, entity: str, project: str, run_id: str, uid: str) -> None:
        self.pk = pk
        self.project_pk = project_pk
        self.entity = entity
        self.project = project
        self.run_id = run_id
        self.uid = uid
        self.fold = RunFold()
        self.writers: dict[str, WriterState] = {}
        self.metrics: dict[str, dict[str, MetricState]] = {}
        """By stream and key."""
        self.values: dict[str, Value] = {}
        self.config_values: dict[str, Value] | None = None
        """Those of `values` that are the config's; None where they are not known yet."""
        self.written_facts: int | None = None
        """The fold's `facts_revision` that the row holds; None where that is not known."""
        self.at = 0
        self.updated_us = 0
        """When bytes of the run were taken last."""
        self.shown = "running"
        self.source_gone = False
        self.dirty = False
        self.dirty_metrics: set[tuple[str, str]] = set()
        self.new_files: list[dict[str, Any]] = []
        """Rows of `file_versions` that are not written yet."""

    def touch(self, writer: WriterState | None = None) -> None:
        """Mark the run, and one of its writers, as changed."""
        self.dirty = True
        if writer is not None:
            writer.dirty = True

    def mark_all_metrics(self) -> None:
        """Have every metric written with the next commit."""
        self.dirty_metrics = {(stream, key) for stream, known in self.metrics.items() for key in known}

    def face(self) -> Header | None:
        """The header that speaks for the run: the primary lane's first writer's, else the first of any."""
        headers = [writer.header for writer in self.writers.values()]
        return min(
            headers,
            key=lambda h: (h.role not in DATA_ROLES, not h.primary, h.wall_ns, h.writer),
            default=None,
        )


class RunStates:
    """The runs in memory, by uid; those used longest ago are let go of."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, RunState] = OrderedDict()
        self.touched: dict[str, RunState] = {}
        """Runs that the open transaction has looked at or changed."""

    def find(self, connection: Connection, uid: str) -> RunState | None:
        """The run of this uid, or None where the store has none."""
        state = self._states.get(uid)
        if state is None:
            state = _load(connection, uid)
            if state is None:
                return None
            self._states[uid] = state
        self._states.move_to_end(uid)
        self.touched[uid] = state
        return state

    def find_pk(self, connection: Connection, run_pk: int) -> RunState | None:
        """The run of this primary key."""
        uid = connection.execute(select(runs.c.uid).where(runs.c.id == run_pk)).scalar()
        return None if uid is None else self.find(connection, uid)

    def add(self, state: RunState) -> None:
        """Hold a run that was just created."""
        self._states[state.uid] = state
        self.touched[state.uid] = state

    def replace(self, state: RunState) -> None:
        """Hold this state of a run in the place of the one before."""
        self.add(state)

    def committed(self) -> None:
        """The transaction is durable."""
        self.touched.clear()
        while len(self._states) > CACHED_RUNS:
            self._states.popitem(last=False)

    def rolled_back(self) -> list[RunState]:
        """The transaction was undone: forget what it touched, and return that."""
        lost = list(self.touched.values())
        for uid in self.touched:
            self._states.pop(uid, None)
        self.touched.clear()
        return lost


def create_run(connection: Connection, header: Header) -> RunState:
    """Insert the run that a header names, and its project where that is new."""
    now = now_us()
    project_pk = connection.execute(
        select(projects.c.id).where(projects.c.entity == header.entity, projects.c.name == header.project)
    ).scalar()
    if project_pk is None:
        project_pk = connection.execute(
            insert(projects)
            .values(entity=header.entity, name=header.project, created_us=now)
            .returning(projects.c.id)
        ).scalar_one()
    color = connection.execute(
        select(func.count()).select_from(runs).where(runs.c.project_id == project_pk)
    ).scalar_one()
    pk = connection.execute(
        insert(runs)
        .values(
            project_id=project_pk,
            run_id=header.run_id,
            uid=header.run_uid,
            created_us=header.wall_ns // 1000,
            updated_us=now,
            color=color,
        )
        .returning(runs.c.id)
    ).scalar_one()
    state = RunState(pk, project_pk, header.entity, header.project, header.run_id, header.run_uid)
    state.updated_us = now
    state.dirty = True
    return state


def create_writer(connection: Connection, state: RunState, header: Header, path: str | None) -> WriterState:
    """Insert the writer that a header names."""
    pk = connection.execute(
        insert(writers)
        .values(
            run_pk=state.pk,
            writer=header.writer,
            uid=header.run_uid,
            role=header.role,
            lane=header.lane,
            resumes=header.resumes,
            label=header.label,
            is_primary=header.primary,
            header=msgspec.msgpack.encode(header),
            host=header.host,
            boot_id=header.boot_id,
            pid=header.pid,
            pid_ns=header.pid_ns,
            pid_start=header.pid_start,
            mode=header.mode,
            path=path,
        )
        .returning(writers.c.id)
    ).scalar_one()
    writer = WriterState(pk, header, path)
    state.writers[header.writer] = writer
    state.fold.see(header)
    state.touch(writer)
    return writer


def _load(connection: Connection, uid: str) -> RunState | None:
    row = connection.execute(
        select(runs, projects.c.entity, projects.c.name.label("project"))
        .join(projects, projects.c.id == runs.c.project_id)
        .where(runs.c.uid == uid)
    ).first()
    if row is None:
        return None
    from kiseki.ingest.metrics import MetricState

    state = RunState(row.id, row.project_id, row.entity, row.project, row.run_id, uid)
    state.at, state.shown, state.source_gone = row.at, row.shown_state, row.source_gone
    state.updated_us = row.updated_us
    query = select(writers, liveness.c.dead_us).outerjoin(liveness, liveness.c.writer_pk == writers.c.id)
    for found in connection.execute(query.where(writers.c.run_pk == row.id)):
        state.writers[found.writer] = WriterState(
            pk=found.id,
            header=_decode_header(found.header),
            path=found.path,
            offset=found.offset,
            crc=found.crc,
            segment=found.segment,
            segment_offset=found.segment_offset,
            sealed_to=found.sealed_to,
            sealed_segments=found.sealed_segments,
            ended=found.ended,
            damage=found.damage,
            dead=found.dead_us is not None,
            console=found.console,
        )
    for found in connection.execute(select(metrics).where(metrics.c.run_pk == row.id)):
        state.metrics.setdefault(found.stream, {})[found.key] = MetricState.of_row(found)
    for found in connection.execute(select(run_values).where(run_values.c.run_pk == row.id)):
        state.values[found.key] = Value(found.num, found.txt, found.type)
    try:
        state.fold = RunFold.from_bytes(row.fold or b"", row.fold_facts)
        state.written_facts = None if row.fold_facts is None else state.fold.facts_revision
    except OutdatedFold:
        from kiseki.ingest.rebuild import refold

        refold(connection, state)
    return state
