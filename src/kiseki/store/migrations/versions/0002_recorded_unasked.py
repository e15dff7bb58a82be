"""What is recorded without being asked: the system stream, the console, files, blobs and settings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_METRIC_COLUMNS = (
    "run_pk, key, type, points, count, nan, pinf, ninf, min, max, last, step_min, step_max,"
    " last_us, last_writer, last_offset, version"
)


def upgrade() -> None:
    """Make the new tables, and give every metric its stream.

    The metrics are copied: those of a run whose files are gone cannot be made again.
    """
    op.rename_table("metrics", "metrics_0001")
    op.create_table(
        "metrics",
        sa.Column("run_pk", sa.Integer(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("nan", sa.BigInteger(), nullable=False),
        sa.Column("pinf", sa.BigInteger(), nullable=False),
        sa.Column("ninf", sa.BigInteger(), nullable=False),
        sa.Column("min", sa.Float(), nullable=True),
        sa.Column("max", sa.Float(), nullable=True),
        sa.Column("last", sa.Float(), nullable=True),
        sa.Column("step_min", sa.BigInteger(), nullable=True),
        sa.Column("step_max", sa.BigInteger(), nullable=True),
        sa.Column("last_us", sa.BigInteger(), nullable=True),
        sa.Column("last_writer", sa.String(), nullable=True),
        sa.Column("last_offset", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_pk"], ["runs.id"], name=op.f("fk_metrics_run_pk_runs")),
        sa.PrimaryKeyConstraint("run_pk", "stream", "key", name=op.f("pk_metrics")),
        sqlite_with_rowid=False,
    )
    op.execute(
        f"INSERT INTO metrics (stream, {_METRIC_COLUMNS}) SELECT '', {_METRIC_COLUMNS} FROM metrics_0001"
    )
    op.drop_table("metrics_0001")
    op.add_column("runs", sa.Column("fold_facts", sa.LargeBinary(), nullable=True))
    op.add_column("writers", sa.Column("console", sa.LargeBinary(), nullable=True))
    op.add_column(
        "writers",
        sa.Column("console_lines", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
    )
    op.create_table(
        "console_blocks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_pk", sa.Integer(), nullable=False),
        sa.Column("writer_pk", sa.Integer(), nullable=False),
        sa.Column("block", sa.Integer(), nullable=False),
        sa.Column("first_line", sa.BigInteger(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("first_us", sa.BigInteger(), nullable=False),
        sa.Column("last_us", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_pk"], ["runs.id"], name=op.f("fk_console_blocks_run_pk_runs")),
        sa.ForeignKeyConstraint(
            ["writer_pk"], ["writers.id"], name=op.f("fk_console_blocks_writer_pk_writers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_blocks")),
        sa.UniqueConstraint("writer_pk", "block", name=op.f("uq_console_blocks_writer_pk_block")),
    )
    op.create_index(
        "ix_console_blocks_writer_pk_first_line", "console_blocks", ["writer_pk", "first_line"], unique=False
    )
    op.create_table(
        "file_versions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_pk", sa.Integer(), nullable=False),
        sa.Column("writer_pk", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("stamp_us", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_pk"], ["runs.id"], name=op.f("fk_file_versions_run_pk_runs")),
        sa.ForeignKeyConstraint(
            ["writer_pk"], ["writers.id"], name=op.f("fk_file_versions_writer_pk_writers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_file_versions")),
        sa.UniqueConstraint("writer_pk", "offset", name=op.f("uq_file_versions_writer_pk_offset")),
    )
    op.create_index("ix_file_versions_run_pk_path", "file_versions", ["run_pk", "path"], unique=False)
    op.create_index("ix_file_versions_digest", "file_versions", ["digest"], unique=False)
    op.create_table(
        "blobs",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_blobs")),
    )
    op.create_table(
        "settings",
        sa.Column("entity", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("entity", "project", "name", name=op.f("pk_settings")),
    )
