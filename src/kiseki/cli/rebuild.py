"""`kiseki rebuild`: makes everything derived in a store again from the recorded bytes."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("rebuild")
@click.argument("directory", required=False, type=click.Path(path_type=Path), metavar="[DIR]")
def command(directory: Path | None) -> None:
    """Drop and make again the derived tables of the store in DIR (else this user's own).

    Nothing is lost by it: the records stay as they are. The store must not be served meanwhile.
    """
    from kiseki.system.owner import read_owner
    from kiseki.system.paths import store_dir

    folder = directory or store_dir()
    from kiseki.app.embedding import DATABASE

    if not (folder / DATABASE).is_file():
        raise click.ClickException(f"no store in {folder}: `kiseki up` makes one")
    owner = read_owner(folder)
    if owner is not None:
        served = f" at {owner.url}" if owner.url else ""
        raise click.ClickException(
            f"the store in {folder} is in use{served} (pid {owner.pid}); stop that first"
        )
    from kiseki.app import embedded

    with embedded(folder) as instance:
        instance.ingest.rebuild(None).result()
    click.echo(f"rebuilt {folder}")
