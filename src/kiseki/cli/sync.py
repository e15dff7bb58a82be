"""`kiseki sync`: sends what a server does not have yet of runs on this disk; twice is once."""

from __future__ import annotations

import os
from pathlib import Path

import click

from kiseki.cli.target import run_directories


@click.command("sync")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH…]")
@click.option("--base-url", metavar="URL", help="The server; else KISEKI_BASE_URL.")
def command(paths: tuple[Path, ...], base_url: str | None) -> None:
    """Send local runs to a server: those in PATH (a run directory or a folder of them), else all.

    The key is KISEKI_API_KEY, else what `kiseki login` saved.
    """
    url = base_url or os.environ.get("KISEKI_BASE_URL")
    if not url:
        raise click.ClickException(
            "no server named: use --base-url or KISEKI_BASE_URL (your own `kiseki up` needs no sync)"
        )
    folders = _folders(paths)
    if not folders:
        click.echo("nothing to send: no runs found")
        return
    from kiseki.client.sync import sync_directory
    from kiseki.client.transport import HttpTransport
    from kiseki.sidecar.late import record_left_files
    from kiseki.system.credentials import find_key

    transport = HttpTransport(url, os.environ.get("KISEKI_API_KEY") or find_key(url))
    failed = 0
    for folder in folders:
        try:
            record_left_files(folder)
            click.echo(f"{folder}: {sync_directory(folder, transport)}")
        except (OSError, ValueError, RuntimeError) as error:
            failed += 1
            click.echo(f"{folder}: {error}", err=True)
    if failed:
        raise click.ClickException(f"{failed} of {len(folders)} runs not sent; run `kiseki sync` again")


def _folders(paths: tuple[Path, ...]) -> list[Path]:
    from kiseki.system.paths import local_roots

    if not paths:
        roots = {*local_roots(), Path("kiseki").resolve()}
        return [folder for root in sorted(roots) for folder in run_directories(root)]
    folders: list[Path] = []
    for path in paths:
        inside = list(run_directories(path.resolve()))
        if not inside:
            raise click.ClickException(f"{path} holds no run (a folder with *.kiseki in it)")
        folders += inside
    return list(dict.fromkeys(folders))
