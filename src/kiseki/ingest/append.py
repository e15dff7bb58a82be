"""Taking a writer's bytes: its position and checksum must be the store's; both go in together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import quote
from zlib import crc32

import msgspec
from sqlalchemy import Connection, insert, select

from kiseki.client.protocol import CONFLICT, MALFORMED, TAKEN, Answer, Part
from kiseki.ingest.state import RunState, RunStates, WriterState, create_run, create_writer, now_us
from kiseki.records.framing import Damaged, Incomplete, split_frames
from kiseki.records.kinds import Header
from kiseki.records.reader import read_header
from kiseki.store.database import Store
from kiseki.store.tables import journal, projects, runs


@dataclass(frozen=True)
class LocalPart:
    """Bytes read from a file that is followed in place: checked frames from `offset` on, or none."""

    path: str
    run_uid: str
    writer: str
    offset: int
    crc: int
    data: bytes
    damage: str | None = None
    """Why nothing after these bytes can be read."""


@dataclass(frozen=True)
class Taken:
    """The answer to a part, and the run and writer it is about, where they are known."""

    answer: Answer
    state: RunState | None = None
    writer: WriterState | None = None


def page_path(entity: str, project: str, run_id: str) -> str:
    """The path of a run's page below the server's address."""
    return f"/{quote(entity, safe='')}/{quote(project, safe='')}/runs/{quote(run_id, safe='')}"


def take(
    connection: Connection, store: Store, states: RunStates, part: Part | LocalPart, *, follows: bool
) -> Taken:
    """Answer a question or a heartbeat, or take bytes; nothing is taken in part.

    `follows`: files on this machine are being followed, so that their writers need not send.
    """
    taken = _take(connection, store, states, part, follows)
    writer, state = taken.writer, taken.state
    if not (follows and writer is not None and writer.path is not None):
        return taken
    if state is None or state.source_gone:
        return taken
    return replace(taken, answer=msgspec.structs.replace(taken.answer, following=True))


def _take(
    connection: Connection, store: Store, states: RunStates, part: Part | LocalPart, follows: bool
) -> Taken:
    local = isinstance(part, LocalPart)
    state = states.find(connection, part.run_uid)
    writer = None if state is None else state.writers.get(part.writer)
    if part.offset is None:
        return _answer(TAKEN, state, writer)
    in_place = follows and writer is not None and writer.path is not None
    if in_place and not local and state is not None and not state.source_gone:
        return _answer(TAKEN, state, writer)
    has = (0, 0) if writer is None else (writer.offset, writer.crc)
    if (part.offset, part.crc) != has:
        return _answer(CONFLICT, state, writer)
    if isinstance(part, LocalPart) and state is not None and writer is not None:
        _note_file(state, writer, part)
    if not part.data:
        return _answer(TAKEN, state, writer)
    end_crc = crc32(part.data, part.crc)
    if isinstance(part, Part) and end_crc != part.end_crc:
        return _answer(MALFORMED, state, writer, "the data does not have the checksum that came with it")
    header: Header | None = None
    start = 0
    if writer is None:
        try:
            header, start = read_header(part.data)
        except (Damaged, Incomplete) as error:
            return _answer(MALFORMED, state, writer, f"cannot begin a run file with this: {error}")
        refused = _refused(connection, state, header, part)
        if refused is not None:
            return _answer(CONFLICT, None, None, refused)
    if split_frames(part.data, start, verify=False).end != len(part.data):
        return _answer(MALFORMED, state, writer, "the data does not end with a whole frame")
    store.check_room(2 * len(part.data))
    if header is not None:
        if state is None:
            state = create_run(connection, header)
            states.add(state)
        writer = create_writer(connection, state, header, part.path if isinstance(part, LocalPart) else None)
    assert state is not None
    assert writer is not None
    _put(connection, store, state, writer, part, end_crc)
    return _answer(TAKEN, state, writer)


def _note_file(state: RunState, writer: WriterState, part: LocalPart) -> None:
    """Where the file lies now, and where it is damaged; bytes that were sent before stay in the store."""
    if writer.path != part.path or state.source_gone:
        writer.path = part.path
        state.source_gone = False
        state.touch(writer)
    if part.damage is not None and writer.damage is None and not part.data:
        writer.damage = part.damage
        state.touch(writer)


def _put(
    connection: Connection,
    store: Store,
    state: RunState,
    writer: WriterState,
    part: Part | LocalPart,
    end_crc: int,
) -> None:
    from kiseki.ingest.apply import apply_bytes
    from kiseki.ingest.sealing import reopen

    reopen(connection, writer)
    offset = writer.offset
    blocks = apply_bytes(connection, store.tails, state, writer, part.data, offset)
    if isinstance(part, Part):
        # A journal row lies in one segment, so that sealing takes whole rows.
        cuts = sorted({block.start for block in blocks if offset < block.start} | {offset})
        ends = [*cuts[1:], offset + len(part.data)]
        connection.execute(
            insert(journal),
            [
                {"writer_pk": writer.pk, "offset": cut, "data": part.data[cut - offset : end - offset]}
                for cut, end in zip(cuts, ends, strict=True)
            ],
        )
    writer.offset, writer.crc = offset + len(part.data), end_crc
    state.updated_us = now_us()
    if state.fold.writer_state(part.writer) is not None:
        writer.ended = True
    for other in state.writers.values():
        if not other.ended and state.fold.writer_state(other.header.writer) is not None:
            other.ended = other.dirty = True
    state.touch(writer)


def _refused(
    connection: Connection, state: RunState | None, header: Header, part: Part | LocalPart
) -> str | None:
    """Why this header never begins a writer here, in words; None where it may."""
    if (header.run_uid, header.writer) != (part.run_uid, part.writer):
        return f"the file's header names run {header.run_uid}, writer {header.writer}, not what was announced"
    if not (header.entity and header.project and header.run_id):
        return "the file's header lacks the entity, project or id of its run"
    if state is not None:
        if (state.entity, state.project, state.run_id) != (header.entity, header.project, header.run_id):
            known = f"{state.entity}/{state.project}/{state.run_id}"
            return f"this run is known here as {known}, not as what the file's header says"
        return None
    clash = connection.execute(
        select(runs.c.uid)
        .join(projects, projects.c.id == runs.c.project_id)
        .where(
            projects.c.entity == header.entity,
            projects.c.name == header.project,
            runs.c.run_id == header.run_id,
        )
    ).scalar()
    if clash is None:
        return None
    return f"{header.entity}/{header.project}/{header.run_id} exists; use resume or another id"


def _answer(
    status: int, state: RunState | None, writer: WriterState | None, error: str | None = None
) -> Taken:
    return Taken(
        Answer(
            status=status,
            offset=0 if writer is None else writer.offset,
            crc=0 if writer is None else writer.crc,
            error=error,
            url=None if state is None else page_path(state.entity, state.project, state.run_id),
        ),
        state,
        writer,
    )
