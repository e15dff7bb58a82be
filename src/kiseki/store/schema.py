"""The schema's revision: made new, brought to head by Alembic, or refused in words where it is newer."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from kiseki.store.errors import StoreError
from kiseki.store.tables import metadata

HEAD = "0002"
"""The newest revision in `migrations/versions`; a test holds it to that."""

MIGRATIONS = Path(__file__).with_name("migrations")


def current_revision(connection: Connection) -> str | None:
    """The revision that the store is at, or None where it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def bring_to_head(connection: Connection, where: str) -> None:
    """Make the schema in an empty store, or migrate an older one; the connection is inside a transaction.

    A fresh store is made from the tables themselves and stamped, which spares the 0.2 s of loading Alembic; a
    test holds both ways to the same schema.
    """
    revision = current_revision(connection)
    if revision == HEAD:
        return
    if revision is None:
        metadata.create_all(connection)
        connection.execute(
            text("CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL)")
        )
        connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
        return
    migrate(connection, revision, where)


def migrate(connection: Connection, revision: str | None, where: str) -> None:
    """Run Alembic's revisions up to HEAD on this connection; refuse one that this version does not know."""
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    try:
        if revision is not None:
            scripts.get_revision(revision)
    except CommandError as error:
        raise StoreError(
            f"the store {where} was written by a newer Kiseki (schema {revision}, this version knows {HEAD}):"
            " upgrade Kiseki, or name another folder"
        ) from error
    context = MigrationContext.configure(
        connection,
        opts={"fn": lambda rev, _context: scripts._upgrade_revs(HEAD, rev), "target_metadata": metadata},
    )
    with Operations.context(context):
        context.run_migrations()
