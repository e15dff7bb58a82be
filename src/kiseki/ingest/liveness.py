"""Is a run that says it runs still alive: proof of death, silence, and how both are shown."""

from __future__ import annotations

from sqlalchemy import Connection, select

from kiseki.ingest.state import RunState, WriterState, now_us
from kiseki.records.kinds import DATA_ROLES, Header
from kiseki.store.tables import liveness, runs, writers
from kiseki.store.upsert import upsert
from kiseki.system.process import ProcessId, boot_id, hostname, is_alive

SILENCE_US = 15_000_000
"""Silence after which a run is shown as without contact."""

SIDECAR_SILENCE_US = 6_000_000
"""Silence after which a dead process has no sidecar that could still bring the run's end: it beats every 5 s.
"""

GIVEN_UP_US = 24 * 3600 * 1_000_000
"""Silence after which a run is shown as crashed."""

FLUSH_US = 10_000_000
"""How old what the table `liveness` says may be while the process lives."""


class Contacts:
    """When each writer was last heard of or seen alive, in unix µs: kept in memory, written now and then."""

    def __init__(self, opened_us: int) -> None:
        self._opened_us = opened_us
        self._at: dict[int, int] = {}
        self._unwritten: set[int] = set()
        self._written_us = opened_us

    def load(self, connection: Connection) -> None:
        """Take over what was written about writers of runs that have not ended."""
        query = (
            select(liveness.c.writer_pk, liveness.c.contact_us)
            .join(writers, writers.c.id == liveness.c.writer_pk)
            .join(runs, runs.c.id == writers.c.run_pk)
            .where(runs.c.state == "running")
        )
        for pk, contact_us in connection.execute(query):
            self._at.setdefault(pk, contact_us)

    def note(self, writer_pk: int) -> None:
        """The writer was heard of, or its process seen alive, now."""
        self._at[writer_pk] = now_us()
        self._unwritten.add(writer_pk)

    def write(self, connection: Connection, *, at_once: bool = False) -> None:
        """Write what is new to the table, all in one statement, at most every ten seconds."""
        now = now_us()
        if self._unwritten and (at_once or now - self._written_us > FLUSH_US):
            rows = [{"writer_pk": pk, "contact_us": self._at[pk]} for pk in sorted(self._unwritten)]
            upsert(connection, liveness, rows)
            self._unwritten.clear()
            self._written_us = now

    def shown(self, state: RunState) -> str:
        """The state to show: what the records say or, while that is running, what its processes tell."""
        if state.fold.state != "running":
            return state.fold.state
        newest = newest_primary(state)
        if newest is not None and newest.dead:
            return "crashed"
        known = [self._at[writer.pk] for writer in state.writers.values() if writer.pk in self._at]
        contact = max(known, default=self._opened_us)
        now = now_us()
        silent = now - max(contact, self._opened_us)
        if silent > SIDECAR_SILENCE_US and newest is not None and process_alive(newest.header) is False:
            return "crashed"
        if silent <= SILENCE_US:
            return "running"
        return "crashed" if now - contact > GIVEN_UP_US else "no_contact"


def process_alive(header: Header) -> bool | None:
    """Whether a writer's process lives; None where that cannot be known from this process."""
    if header.pid <= 0:
        return None
    found = is_alive(ProcessId(header.pid, header.pid_start, header.boot_id, header.pid_ns))
    rebooted = bool(header.boot_id) and header.boot_id != boot_id()
    return False if found is None and rebooted and header.host == hostname() else found


def newest_primary(state: RunState) -> WriterState | None:
    """The writer that decides the run's state: the primary lane's newest, one that no other resumes."""
    primary = [w for w in state.writers.values() if w.header.primary and w.header.role in DATA_ROLES]
    resumed = {writer.header.resumes for writer in primary}
    return max(
        primary,
        key=lambda w: (w.header.writer not in resumed, w.header.wall_ns // 1000, w.header.writer),
        default=None,
    )


def mark_dead(connection: Connection, state: RunState, writer: WriterState) -> None:
    """The writer's process is known to be dead: it will never write again."""
    now = now_us()
    upsert(connection, liveness, [{"writer_pk": writer.pk, "contact_us": now, "dead_us": now}])
    writer.dead = writer.ended = True
    state.touch(writer)
