"""The tables of the store, as SQLAlchemy Core objects that every room reads by name.

Times ending in `_us` are unix microseconds. Surrogate keys are integers. A column of type `JsonText`
holds JSON in the one encoding of `records.numbers` (NaN, infinities and large integers kept) and is given and
taken as Python values; `as_text(column)` selects the stored text unparsed.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
    type_coerce,
)
from sqlalchemy.types import TypeDecorator

DERIVED_VERSION = 2
"""Stamp of the code that makes derived rows; a row with a lower one is made again by `Ingest.rebuild`."""


class JsonText(TypeDecorator[Any]):
    """A text column of JSON in the encoding of `records.numbers`, given and taken as Python values."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        if value is None:
            return None
        from kiseki.records.numbers import to_json

        return to_json(value).decode("utf-8")

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        if value is None:
            return None
        from kiseki.records.numbers import from_json

        return from_json(value)


def as_text(column: ColumnElement[Any]) -> ColumnElement[str]:
    """The stored JSON text of a `JsonText` column, unparsed."""
    return type_coerce(column, Text())


_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=_NAMES)

projects = Table(
    "projects",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("entity", String, nullable=False),
    Column("name", String, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    UniqueConstraint("entity", "name"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    Column("run_id", String, nullable=False),
    Column("uid", String(32), nullable=False, unique=True),
    Column("name", String, nullable=False, default=""),
    # What the records say: running, finished, failed, crashed, killed.
    Column("state", String, nullable=False, default="running"),
    # What people see: `state`, or, of a running one, crashed or no_contact as the server knows. Not derived.
    Column("shown_state", String, nullable=False, default="running"),
    Column("exit_code", Integer),
    Column("reason", Text),
    Column("created_us", BigInteger, nullable=False),
    Column("started_us", BigInteger),
    Column("ended_us", BigInteger),
    Column("updated_us", BigInteger, nullable=False),
    Column("host", String),
    Column("user", String),
    Column("command", Text),
    Column("notes", Text),
    Column("tags", JsonText, nullable=False, default=list),
    Column("grp", String),
    Column("job_type", String),
    Column("config", JsonText, nullable=False, default=dict),
    Column("summary", JsonText, nullable=False, default=dict),
    Column("environment", JsonText, nullable=False, default=dict),
    Column("last_step", BigInteger),
    Column("rows", BigInteger, nullable=False, default=0),
    # Grows with every change of the run, whatever it is.
    Column("at", BigInteger, nullable=False, default=0),
    # How many runs the project had when this one came: the place in the colour wheel, for good.
    Column("color", Integer, nullable=False, default=0),
    Column("source_gone", Boolean, nullable=False, default=False),
    Column("damage", Text),
    Column("deleted_us", BigInteger),
    # Of the fold, what changes with every row, and what is said seldom and may be large.
    Column("fold", LargeBinary),
    Column("fold_facts", LargeBinary),
    Column("version", Integer, nullable=False, default=DERIVED_VERSION),
    UniqueConstraint("project_id", "run_id"),
    Index("ix_runs_project_id_created_us", "project_id", "created_us"),
    Index("ix_runs_state", "state"),
)

writers = Table(
    "writers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_pk", ForeignKey("runs.id"), nullable=False),
    Column("writer", String, nullable=False),
    Column("uid", String(32), nullable=False),
    Column("role", String, nullable=False),
    Column("lane", String, nullable=False),
    Column("resumes", String),
    Column("label", Text, nullable=False, default=""),
    Column("is_primary", Boolean, nullable=False, default=False),
    Column("header", LargeBinary, nullable=False),
    Column("host", String),
    Column("boot_id", String),
    Column("pid", Integer),
    Column("pid_ns", BigInteger),
    Column("pid_start", BigInteger),
    Column("mode", String),
    # Absolute path of a file that is followed in place; null where the bytes were sent.
    Column("path", Text),
    # Bytes taken so far and the CRC-32 over all of them.
    Column("offset", BigInteger, nullable=False, default=0),
    Column("crc", BigInteger, nullable=False, default=0),
    # The current segment: its index and where it starts.
    Column("segment", Integer, nullable=False, default=0),
    Column("segment_offset", BigInteger, nullable=False, default=0),
    # Everything before this byte lies in chunks; what follows begins with the segment of this index.
    Column("sealed_to", BigInteger, nullable=False, default=0),
    Column("sealed_segments", Integer, nullable=False, default=0),
    Column("ended", Boolean, nullable=False, default=False),
    Column("damage", Text),
    Column("version", Integer, nullable=False, default=DERIVED_VERSION),
    # The terminal that the console's bytes before `sealed_to` leave behind, and how many lines lie in blocks.
    Column("console", LargeBinary),
    Column("console_lines", BigInteger, nullable=False, default=0, server_default=text("0")),
    UniqueConstraint("uid", "writer"),
    Index("ix_writers_run_pk", "run_pk"),
    Index("ix_writers_unsealed", "id", sqlite_where=text('"sealed_to" < "offset"')),
)

liveness = Table(
    "liveness",
    metadata,
    Column("writer_pk", ForeignKey("writers.id"), primary_key=True),
    Column("contact_us", BigInteger, nullable=False),
    # When the writer's process was seen to be dead on this machine; null where it lives or cannot be known.
    Column("dead_us", BigInteger),
)

journal = Table(
    "journal",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("writer_pk", ForeignKey("writers.id"), nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    UniqueConstraint("writer_pk", "offset"),
)

raw = Table(
    "raw",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("writer_pk", ForeignKey("writers.id"), nullable=False),
    Column("segment", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    UniqueConstraint("writer_pk", "offset"),
)

chunks = Table(
    "chunks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_pk", ForeignKey("runs.id"), nullable=False),
    Column("writer_pk", ForeignKey("writers.id"), nullable=False),
    # A metric's name; "_step" and "_time" are the columns that a segment's metrics share; "" is the rest row.
    Column("key", Text, nullable=False),
    Column("segment", Integer, nullable=False),
    Column("type", String, nullable=False),
    # Values in this chunk, and how many of them are finite numbers, NaN, +inf and -inf.
    Column("rows", Integer, nullable=False),
    Column("count", Integer, nullable=False, default=0),
    Column("nan", Integer, nullable=False, default=0),
    Column("pinf", Integer, nullable=False, default=0),
    Column("ninf", Integer, nullable=False, default=0),
    # Of the finite numbers, in the order of the file.
    Column("min", Float),
    Column("max", Float),
    Column("sum", Float),
    Column("first", Float),
    Column("last", Float),
    Column("step_min", BigInteger),
    Column("step_max", BigInteger),
    Column("data", LargeBinary, nullable=False),
    Column("version", Integer, nullable=False, default=DERIVED_VERSION),
    UniqueConstraint("run_pk", "key", "writer_pk", "segment"),
    Index("ix_chunks_writer_pk_segment", "writer_pk", "segment"),
)

metrics = Table(
    "metrics",
    metadata,
    Column("run_pk", ForeignKey("runs.id"), primary_key=True),
    # "": what the training logged; "system": what the sidecar measured.
    Column("stream", String, primary_key=True, default=""),
    Column("key", Text, primary_key=True),
    # f64, i64, bool, str; any where values of several types were logged.
    Column("type", String, nullable=False),
    # Recorded values of any type, all lanes, before the last record of a step wins.
    Column("points", BigInteger, nullable=False, default=0),
    Column("count", BigInteger, nullable=False, default=0),
    Column("nan", BigInteger, nullable=False, default=0),
    Column("pinf", BigInteger, nullable=False, default=0),
    Column("ninf", BigInteger, nullable=False, default=0),
    Column("min", Float),
    Column("max", Float),
    # The finite number that was recorded last.
    Column("last", Float),
    Column("step_min", BigInteger),
    Column("step_max", BigInteger),
    # Total order of `last`: (record time, writer, frame's byte).
    Column("last_us", BigInteger),
    Column("last_writer", String),
    Column("last_offset", BigInteger),
    Column("version", Integer, nullable=False, default=DERIVED_VERSION),
    sqlite_with_rowid=False,
)

console_blocks = Table(
    "console_blocks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_pk", ForeignKey("runs.id"), nullable=False),
    Column("writer_pk", ForeignKey("writers.id"), nullable=False),
    # Lines of the console that can change no more: which of the writer's blocks, and its first line.
    Column("block", Integer, nullable=False),
    Column("first_line", BigInteger, nullable=False),
    Column("lines", Integer, nullable=False),
    Column("first_us", BigInteger, nullable=False),
    Column("last_us", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("version", Integer, nullable=False, default=DERIVED_VERSION),
    UniqueConstraint("writer_pk", "block"),
    Index("ix_console_blocks_writer_pk_first_line", "writer_pk", "first_line"),
)

file_versions = Table(
    "file_versions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_pk", ForeignKey("runs.id"), nullable=False),
    Column("writer_pk", ForeignKey("writers.id"), nullable=False),
    # The byte of the file record's frame.
    Column("offset", BigInteger, nullable=False),
    Column("path", Text, nullable=False),
    # SHA-256 of the content in hexadecimal; null where the file was removed.
    Column("digest", String(64)),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    # The record's time in the one total order.
    Column("stamp_us", BigInteger, nullable=False),
    Column("version", Integer, nullable=False, default=DERIVED_VERSION),
    UniqueConstraint("writer_pk", "offset"),
    Index("ix_file_versions_run_pk_path", "run_pk", "path"),
    Index("ix_file_versions_digest", "digest"),
)

blobs = Table(
    "blobs",
    metadata,
    # What lies whole in the blob store, by its SHA-256 in hexadecimal.
    Column("digest", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("created_us", BigInteger, nullable=False),
)

settings = Table(
    "settings",
    metadata,
    # Of a project; of the server itself where both are "".
    Column("entity", String, primary_key=True),
    Column("project", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("value", JsonText, nullable=False),
)

run_values = Table(
    "run_values",
    metadata,
    Column("run_pk", ForeignKey("runs.id"), primary_key=True),
    # "config.lr", "summary.loss": the path of a leaf joined with dots.
    Column("key", Text, primary_key=True),
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    # num: a number (true is 1, false 0; NaN has none). txt: a string, "NaN", or else JSON text.
    Column("num", Float),
    Column("txt", Text),
    Column("type", String, nullable=False),
    Index("ix_run_values_project_id_key_num", "project_id", "key", "num", "run_pk"),
    Index("ix_run_values_project_id_key_txt", "project_id", "key", "txt", "run_pk"),
    sqlite_with_rowid=False,
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("digest", String, nullable=False, unique=True),
    Column("created_us", BigInteger, nullable=False),
    Column("used_us", BigInteger),
    Column("revoked_us", BigInteger),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", String, primary_key=True),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
)

directories = Table(
    "directories",
    metadata,
    # A run directory on this machine whose writers have all ended, as it was when last looked at.
    Column("path", Text, primary_key=True),
    Column("run_pk", ForeignKey("runs.id")),
    # Sum of the sizes of its writers' files, and how many there were.
    Column("size", BigInteger, nullable=False),
    Column("files", Integer, nullable=False),
)

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", Text, nullable=False),
)
