"""`kiseki export`: a run's rows as JSON lines, from a server, the store, or straight from its files."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

import click

from kiseki.cli.target import run_directory

_ALWAYS = ("_step", "_runtime", "_timestamp")


@click.command("export")
@click.argument("run", metavar="RUN|DIR")
@click.option("--keys", "keys", multiple=True, metavar="KEY", help="Only these, of rows that have all.")
@click.option("--system", is_flag=True, help="What was measured beside the run, in the place of its rows.")
@click.option("--json", is_flag=True, expose_value=False, hidden=True)  # JSON lines is what it prints
def command(run: str, keys: tuple[str, ...], system: bool) -> None:
    """Print every row of a run, one JSON object a line.

    RUN is entity/project/id, project/id or id; DIR is a run directory, read as it is, without any server.
    """
    folder = run_directory(run)
    damage: list[str] = []
    rows: Iterable[Mapping[str, object]]
    if folder is not None:
        from kiseki.records.directory import history, read_run
        from kiseki.records.kinds import DEFAULT_STREAM, SYSTEM_STREAM

        damage = read_run(folder).damage
        rows = history(folder, SYSTEM_STREAM if system else DEFAULT_STREAM)
        if keys:
            rows = (_only(row, keys) for row in rows if all(key in row for key in keys))
    else:
        from kiseki.client.api import Api

        stream = "system" if system else "default"
        rows = Api().run(run).scan_history(keys=[*_ALWAYS, *keys] if keys else None, stream=stream)
    _write(rows)
    for line in damage:
        click.echo(f"kiseki: rows are missing: {line}", err=True)


def _only(row: Mapping[str, object], keys: tuple[str, ...]) -> dict[str, object]:
    kept = {*_ALWAYS, "_lane", *keys}
    return {key: value for key, value in row.items() if key in kept}


def _write(rows: Iterable[Mapping[str, object]]) -> None:
    from kiseki.records.numbers import to_json

    output = sys.stdout.buffer
    for row in rows:
        output.write(to_json(row) + b"\n")
    output.flush()
