"""The fold: from records, in whatever order they arrive, to a run's config, summary, fields and state."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from .kinds import (
    DATA_ROLES,
    DEFAULT_STREAM,
    Config,
    Edit,
    Environment,
    Gap,
    Header,
    State,
    Summary,
    big_int,
    key_path,
    read_extension,
    stream_of,
)
from .reader import DecodedRow, Record, RowGroup

FOLD_VERSION = 2
"""Stamped on a persisted fold; another version is made again from the records."""

Stamp: TypeAlias = tuple[int, str, int]
"""A record's place in the one total order: unix µs by its writer's header, writer id, offset in the file."""


class OutdatedFold(ValueError):
    """A persisted fold of another version: make it again from the records."""


class _Ending(Struct, frozen=True, array_like=True):
    """How a writer ended. Its own word stands above any verdict, then the newest."""

    own: bool
    stamp: Stamp
    time_us: int
    state: str
    exit_code: int | None
    reason: str | None


class _Origin(Struct, frozen=True, array_like=True):
    """What the fold needs of a writer's header."""

    wall_us: int
    data: bool
    primary: bool
    resumes: str | None


class _Cell(Struct, frozen=True, array_like=True):
    """The newest record about one key, path or field; `present` is False where that deleted it."""

    stamp: Stamp
    present: bool
    value: Any


class _LastRow(Struct, frozen=True, array_like=True):
    stamp: Stamp
    time_us: int
    step: int


class _Moving(Struct, frozen=True, array_like=True):
    """What changes with every row."""

    version: int
    origins: dict[str, _Origin]
    endings: dict[str, _Ending]
    summary: list[tuple[tuple[str, ...], _Cell]]
    last_row: _LastRow | None
    last_step: int | None
    rows: int
    dropped: int


class _Facts(Struct, frozen=True, array_like=True):
    """What is said once or seldom, and may be large."""

    version: int
    config: dict[str, _Cell]
    fields: dict[str, _Cell]
    environment: dict[str, tuple[bool, _Cell]]


class _First(Struct, frozen=True, array_like=True):
    """The one piece that version 1 kept; of the environment only the record that won."""

    version: int
    origins: dict[str, _Origin]
    endings: dict[str, _Ending]
    config: dict[str, _Cell]
    summary: list[tuple[tuple[str, ...], _Cell]]
    fields: dict[str, _Cell]
    environment: tuple[bool, _Cell] | None
    last_row: _LastRow | None
    last_step: int | None
    rows: int
    dropped: int


_decode_moving = msgspec.msgpack.Decoder(_Moving, ext_hook=read_extension).decode
_decode_facts = msgspec.msgpack.Decoder(_Facts, ext_hook=read_extension).decode
_decode_first = msgspec.msgpack.Decoder(_First, ext_hook=read_extension).decode
_encode = msgspec.msgpack.Encoder().encode


class RunFold:
    """What is known of a run from the records applied so far, each applied once.

    Records of different writers may come in any order, those of one writer in any batches: the result depends
    on the set of records alone. Everywhere the last one wins, by stamp.
    """

    def __init__(self) -> None:
        self.rows = 0
        """How many rows were logged, all lanes together; those of the system stream are not counted."""
        self.last_step: int | None = None
        """The highest step of any row; None without rows."""
        self.dropped = 0
        """How many records are missing by the gap records that say so."""
        self.facts_revision = 0
        """Grows whenever config, fields or environment change."""
        self._origins: dict[str, _Origin] = {}
        self._endings: dict[str, _Ending] = {}
        self._config: dict[str, _Cell] = {}
        self._summary: dict[tuple[str, ...], _Cell] = {}
        self._fields: dict[str, _Cell] = {}
        self._environment: dict[str, tuple[bool, _Cell]] = {}
        self._last_row: _LastRow | None = None

    def see(self, header: Header) -> None:
        """Take note of a writer, also of one that has written nothing yet."""
        if header.writer not in self._origins:
            data = header.role in DATA_ROLES
            self._origins[header.writer] = _Origin(
                header.wall_ns // 1000, data, data and header.primary, header.resumes
            )

    def apply(self, header: Header, index: int, record: Record, time_us: int | None = None) -> None:
        """Apply one record.

        `index` grows within a writer: the offset of the record's frame. `time_us` is the record's unix time
        as the decoder gives it; without it the time by the header.
        """
        self.see(header)
        stamp = (header.wall_ns // 1000 + record.t, header.writer, index)
        if isinstance(record, DecodedRow):
            if stream_of(header.role) == DEFAULT_STREAM:
                self._apply_row(stamp, record, record.step, 1)
        elif isinstance(record, Config):
            self.facts_revision += 1
            for key, value in record.set.items():
                _put(self._config, key, _Cell(stamp, True, value))
            for key in record.delete:
                _put(self._config, key, _Cell(stamp, False, None))
        elif isinstance(record, Summary):
            for path, value in record.set:
                _put(self._summary, tuple(path), _Cell(stamp, True, value))
            for path in record.delete:
                _put(self._summary, tuple(path), _Cell(stamp, False, None))
        elif isinstance(record, Edit):
            self.facts_revision += 1
            for field, value in record.set.items():
                _put(self._fields, field, _Cell(stamp, True, value))
        elif isinstance(record, Environment):
            self.facts_revision += 1
            self._apply_environment(stamp, record, self._origins[header.writer].primary)
        elif isinstance(record, Gap):
            self.dropped += record.dropped
        elif isinstance(record, State):
            self._apply_state(header.writer, stamp, record, stamp[0] if time_us is None else time_us)

    def apply_rows(self, header: Header, group: RowGroup) -> None:
        """Apply all rows of a group at once; equal to applying them one by one."""
        self.see(header)
        if not group.steps or stream_of(header.role) != DEFAULT_STREAM:
            return
        last = group.row(-1)
        stamp = (header.wall_ns // 1000 + last.t, header.writer, group.offsets[-1])
        self._apply_row(stamp, last, max(group.steps), len(group.steps))

    @property
    def config(self) -> dict[str, Any]:
        """The config, as nested dictionaries."""
        return {key: deepcopy(cell.value) for key, cell in _in_order(self._config) if cell.present}

    @property
    def summary(self) -> dict[str, Any]:
        """The summary, nested; with `_step`, `_runtime` (s) and `_timestamp` (unix s) of the last row."""
        tree: dict[str, Any] = {}
        for path, cell in _in_order(self._summary):
            _plant(tree, path, cell)
        if self._last_row is not None:
            tree["_step"] = self._last_row.step
            tree["_runtime"] = (self._last_row.time_us - (self.started_us or 0)) / 1e6
            tree["_timestamp"] = self._last_row.time_us / 1e6
        return tree

    @property
    def fields(self) -> dict[str, Any]:
        """Every field that was set by an edit record."""
        return {key: cell.value for key, cell in _in_order(self._fields)}

    @property
    def name(self) -> str | None:
        """The run's name for people."""
        return self._text("name")

    @property
    def notes(self) -> str | None:
        """The run's notes."""
        return self._text("notes")

    @property
    def tags(self) -> list[str]:
        """The run's tags."""
        cell = self._fields.get("tags")
        return [str(tag) for tag in cell.value] if cell is not None and isinstance(cell.value, list) else []

    @property
    def group(self) -> str | None:
        """The group that the run belongs to."""
        return self._text("group")

    @property
    def job_type(self) -> str | None:
        """The kind of job that the run was."""
        return self._text("job_type")

    @property
    def environment(self) -> dict[str, Any]:
        """Command, Python, machine, …: each key by its newest record, of a primary lane if one has it."""
        ordered = sorted(self._environment.items(), key=lambda item: (not item[1][0], item[1][1].stamp))
        return {key: deepcopy(cell.value) for key, (_, cell) in ordered}

    @property
    def started_us(self) -> int | None:
        """When the first of the run's processes began, unix µs."""
        return min((origin.wall_us for origin in self._origins.values() if origin.data), default=None)

    @property
    def ended_us(self) -> int | None:
        """When the run ended, unix µs; None while it runs."""
        ending = self._ending()
        return None if ending is None or ending.state == "running" else ending.time_us

    @property
    def state(self) -> str:
        """running, finished, failed, crashed or killed: by the primary lane's newest writer, or a sidecar."""
        ending = self._ending()
        return "running" if ending is None else ending.state

    @property
    def exit_code(self) -> int | None:
        """The exit code that was recorded with the state."""
        ending = self._ending()
        return None if ending is None else ending.exit_code

    @property
    def reason(self) -> str | None:
        """Why the run ended so, in one line, where that was recorded."""
        ending = self._ending()
        return None if ending is None else ending.reason

    def writer_state(self, writer: str) -> str | None:
        """How one writer ended; None while nothing says so."""
        ending = self._endings.get(writer)
        return None if ending is None or ending.state == "running" else ending.state

    def to_bytes(self) -> bytes:
        """What changes with every row, as bytes; with `facts_to_bytes` it is all that `from_bytes` needs."""
        return _encode(
            _Moving(
                FOLD_VERSION,
                self._origins,
                self._endings,
                list(_storable(self._summary).items()),
                self._last_row,
                self.last_step,
                self.rows,
                self.dropped,
            )
        )

    def facts_to_bytes(self) -> bytes:
        """Config, fields and environment as bytes; they change only with `facts_revision`."""
        environment = {key: (primary, _kept(cell)) for key, (primary, cell) in self._environment.items()}
        return _encode(_Facts(FOLD_VERSION, _storable(self._config), _storable(self._fields), environment))

    @classmethod
    def from_bytes(cls, data: bytes, facts: bytes | None) -> RunFold:
        """The fold that `to_bytes` and `facts_to_bytes` were called on, or one that version 1 kept whole.

        Raises OutdatedFold for that of another version.
        """
        fold = cls()
        kept: _Moving | _First
        said: _Facts | None = None
        try:
            if facts is None:
                kept = first = _decode_first(data)
                fold._config, fold._fields = first.config, first.fields
                if first.environment is not None:
                    primary, cell = first.environment
                    fold._environment = {
                        key: (primary, _Cell(cell.stamp, True, value)) for key, value in cell.value.items()
                    }
            else:
                kept, said = _decode_moving(data), _decode_facts(facts)
                fold._config, fold._fields, fold._environment = said.config, said.fields, said.environment
        except msgspec.MsgspecError as error:
            raise OutdatedFold(str(error)) from error
        versions = {kept.version} if said is None else {kept.version, said.version}
        if versions != {1 if said is None else FOLD_VERSION}:
            raise OutdatedFold(f"fold of version {kept.version}, this one is {FOLD_VERSION}")
        fold.rows, fold.dropped, fold.last_step = kept.rows, kept.dropped, kept.last_step
        fold._origins, fold._endings = kept.origins, kept.endings
        fold._summary, fold._last_row = dict(kept.summary), kept.last_row
        return fold

    def _apply_row(self, stamp: Stamp, last: DecodedRow, highest_step: int, rows: int) -> None:
        self.rows += rows
        if self.last_step is None or highest_step > self.last_step:
            self.last_step = highest_step
        if self._last_row is None or self._last_row.stamp < stamp:
            self._last_row = _LastRow(stamp, last.time_us, last.step)
        for key, value in zip(last.shape.keys, last.values, strict=True):
            _put(self._summary, key_path(key), _Cell(stamp, True, value))

    def _apply_environment(self, stamp: Stamp, record: Environment, primary: bool) -> None:
        for key, value in record.info.items():
            known = self._environment.get(key)
            if known is None or (known[0], known[1].stamp) < (primary, stamp):
                self._environment.pop(key, None)
                self._environment[key] = (primary, _Cell(stamp, True, value))

    def _apply_state(self, writer: str, stamp: Stamp, record: State, time_us: int) -> None:
        target = record.writer or writer
        own = target == writer
        if own and record.state == "running":
            return
        ending = _Ending(own, stamp, time_us, record.state, record.exit_code, record.reason)
        known = self._endings.get(target)
        if known is None or (known.own, known.stamp) < (own, stamp):
            self._endings[target] = ending

    def _ending(self) -> _Ending | None:
        """What is known of the end of the primary lane's newest writer: one that no other resumes."""
        primary = {writer: origin for writer, origin in self._origins.items() if origin.primary}
        resumed = {origin.resumes for origin in primary.values()}
        newest = max(
            primary.items(), key=lambda item: (item[0] not in resumed, item[1].wall_us, item[0]), default=None
        )
        return None if newest is None else self._endings.get(newest[0])

    def _text(self, field: str) -> str | None:
        cell = self._fields.get(field)
        return None if cell is None or cell.value is None else str(cell.value)


def _put(cells: dict[Any, _Cell], key: Any, cell: _Cell) -> None:
    """Enter a cell where it is the newest of its key; then it also comes last in the dictionary."""
    known = cells.get(key)
    if known is None:
        cells[key] = cell
    elif known.stamp < cell.stamp or (known.stamp == cell.stamp and cell.present >= known.present):
        del cells[key]
        cells[key] = cell


def _in_order(cells: dict[Any, _Cell]) -> list[tuple[Any, _Cell]]:
    """By stamp; the keys of one record in that record's order."""
    return sorted(cells.items(), key=lambda item: item[1].stamp)


def _plant(tree: dict[str, Any], path: tuple[str, ...], cell: _Cell) -> None:
    """Set or delete a value at its path; what stands in the way of the path gives way."""
    if not path:
        return
    *parents, leaf = path
    for part in parents:
        inner = tree.get(part)
        if not isinstance(inner, dict):
            inner = tree[part] = {}
        tree = inner
    if cell.present:
        tree[leaf] = deepcopy(cell.value)
    else:
        tree.pop(leaf, None)


def _storable(cells: dict[Any, _Cell]) -> dict[Any, _Cell]:
    return {key: _kept(cell) for key, cell in cells.items()}


def _kept(cell: _Cell) -> _Cell:
    return _Cell(cell.stamp, cell.present, _with_extensions(cell.value))


def _with_extensions(value: Any) -> Any:
    """The value with its integers beyond 64 bits as extensions."""
    if type(value) is int and not -(2**63) <= value < 2**64:
        return big_int(value)
    if isinstance(value, dict):
        return {key: _with_extensions(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_extensions(inner) for inner in value]
    return value
