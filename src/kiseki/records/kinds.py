"""The records of a run file as frozen structs; fields and numbers are those of docs/formats/run-file.md."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

Key: TypeAlias = str | tuple[str, ...]
"""A metric's key: a string as it was logged, or the path through nested dictionaries."""

KeyRef: TypeAlias = int | str | list[str]
"""A key inside a row's shape: an id of this segment, or a new key that takes the next id."""

ROW = 1
"""The kind number of a row, the only kind that is decoded in batches."""

CONSOLE = 5
"""The kind number of a console record."""

DATA_ROLES = ("train", "import")
"""The roles of writers that hold a run's own data, and so its state."""

SIDECAR = "sidecar"
"""The role of the writer beside the training: its rows are the run's system stream."""

DEFAULT_STREAM, SYSTEM_STREAM = "", "system"
"""What the training logged, and what its sidecar measured: rows of two kinds that never meet."""

CONSOLE_STREAMS = {0: "note", 1: "stdout", 2: "stderr"}
"""What the numbers in console records mean; a note is Kiseki's own word."""

CONSOLE_BYTES = 64 * 1024
"""Most bytes of one console record."""


class Header(Struct, frozen=True):
    """Who wrote a file, where, and when it began: frame 0 of every run file, a map."""

    run_uid: str
    entity: str
    project: str
    run_id: str
    writer: str
    role: str
    lane: str
    resumes: str | None = None
    label: str = ""
    primary: bool = True
    host: str = ""
    user: str = ""
    boot_id: str = ""
    pid: int = 0
    pid_ns: int = 0
    pid_start: int = 0
    wall_ns: int = 0
    boot_ns: int = 0
    sdk: str = ""
    mode: str = "online"
    step: int = 0


class Row(Struct, frozen=True, array_like=True, tag=1):
    """Logged values as they stand in a file: `values` is one bin of float64, or a list."""

    t: int
    step: int
    shape: int | list[KeyRef]
    values: bytes | list[Any]


class Config(Struct, frozen=True, array_like=True, tag=2):
    """Config keys set (top-level keys, whole values) and deleted."""

    t: int
    set: dict[str, Any] = {}
    delete: list[str] = []


class Summary(Struct, frozen=True, array_like=True, tag=3):
    """Summary values set by hand: `set` holds [path, value] pairs, `delete` holds paths."""

    t: int
    set: list[tuple[list[str], Any]] = []
    delete: list[list[str]] = []


class MetricRule(Struct, frozen=True, array_like=True, tag=4):
    """A rule of `define_metric`."""

    t: int
    body: dict[str, Any] = {}


class Console(Struct, frozen=True, array_like=True, tag=5):
    """Bytes that were written to the terminal, cut anywhere; `stream` is one of `CONSOLE_STREAMS`."""

    t: int
    stream: int
    data: bytes


class File(Struct, frozen=True, array_like=True, tag=6):
    """A file below the run directory's `files/`, as it was when it was hashed; without a digest, removed.

    `path` has `/` between its parts; `digest` is the SHA-256 in hexadecimal, `size` in bytes.
    """

    t: int
    path: str
    digest: str | None = None
    size: int = 0
    mtime_ns: int = 0


class Environment(Struct, frozen=True, array_like=True, tag=12):
    """What the run was started with and on: each top-level key replaces the one before."""

    t: int
    info: dict[str, Any] = {}


class State(Struct, frozen=True, array_like=True, tag=13):
    """How a writer's process ended: its own word, or a sidecar's verdict on the writer it names."""

    t: int
    state: str
    exit_code: int | None = None
    reason: str | None = None
    writer: str | None = None


class Edit(Struct, frozen=True, array_like=True, tag=14):
    """Fields of the run itself that were set: name, notes, tags, group, job_type."""

    t: int
    set: dict[str, Any] = {}


class Clock(Struct, frozen=True, array_like=True, tag=16):
    """The true wall time at `t`, written where it drifted from the time so far."""

    t: int
    wall_ns: int


class Gap(Struct, frozen=True, array_like=True, tag=17):
    """Records that were dropped before this one, because they could not be kept."""

    t: int
    dropped: int
    reason: str = ""


class Segment(Struct, frozen=True, array_like=True, tag=18):
    """The start of a segment: key and shape tables are empty from here on."""

    t: int
    index: int
    rows: int
    step: int
    wall_ns: int


class Other(Struct, frozen=True):
    """A record of a kind that this version does not read."""

    kind: int
    t: int
    fields: list[Any]


Written: TypeAlias = (
    Row | Config | Summary | MetricRule | Console | File | Environment | State | Edit | Clock | Gap | Segment
)
"""What can be written as it is."""

KINDS: dict[int, type[Struct]] = {
    2: Config,
    3: Summary,
    4: MetricRule,
    5: Console,
    6: File,
    12: Environment,
    13: State,
    14: Edit,
    16: Clock,
    17: Gap,
    18: Segment,
}
"""Kind number → struct, rows left out."""

BIG_INT = 1
"""MessagePack extension type of an integer beyond 64 bits: signed two's complement, big-endian."""


def stream_of(role: str) -> str:
    """The stream that the rows of writers of this role belong to.

    >>> stream_of("train"), stream_of("sidecar")
    ('', 'system')
    """
    return SYSTEM_STREAM if role == SIDECAR else DEFAULT_STREAM


def key_name(key: Key) -> str:
    """The flat name of a key: nested keys are joined with `.`.

    >>> key_name(("train", "loss"))
    'train.loss'
    """
    return key if isinstance(key, str) else ".".join(key)


def key_path(key: Key) -> tuple[str, ...]:
    """The path of a key through nested dictionaries.

    >>> key_path("train/loss")
    ('train/loss',)
    """
    return (key,) if isinstance(key, str) else key


def big_int(value: int) -> msgspec.msgpack.Ext:
    """Pack an integer of any size as MessagePack extension 1."""
    return msgspec.msgpack.Ext(BIG_INT, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def read_extension(code: int, data: memoryview) -> Any:
    """`ext_hook` of every decoder here: integers beyond 64 bits; an unknown extension reads as None."""
    return int.from_bytes(data, "big", signed=True) if code == BIG_INT else None
