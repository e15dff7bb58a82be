"""`kiseki reproduce`: a run's code and environment made anew, and its command printed or run."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kiseki.cli.output import json_option, print_json, print_text
from kiseki.cli.target import run_directory

if TYPE_CHECKING:
    from kiseki.client.reproduce import Recorded, Reproduction


@click.command("reproduce")
@click.argument("run", metavar="RUN|DIR")
@click.option(
    "--into", metavar="DIR", type=click.Path(path_type=Path), help="Work tree; else ./reproduce-<id>."
)
@click.option(
    "--python", metavar="PYTHON", help="Interpreter of the environment; else the recorded one's like."
)
@click.option("--no-env", is_flag=True, help="Build no environment.")
@click.option("--lock", is_flag=True, help="Build it from the recorded lock file, with that one's tool.")
@click.option("--run", "start", is_flag=True, help="Also run the command, there.")
@json_option
def command(
    run: str, into: Path | None, python: str | None, no_env: bool, lock: bool, start: bool, as_json: bool
) -> None:
    """Check out a run's code, apply its uncommitted changes, build its environment, print its command.

    RUN is entity/project/id, project/id or id; DIR is a run directory, read as it is, without any server.
    Only do this with runs of people whose code you would run.
    """
    from kiseki.client.reproduce import reproduce

    recorded = _recorded(run)
    made = reproduce(
        recorded,
        into or Path(f"reproduce-{recorded.id}"),
        start=Path.cwd(),
        python=python,
        with_environment=not no_env,
        from_lock=lock,
        tell=lambda line: None if as_json else click.echo(f"{line} …", err=True),
    )
    if not as_json:
        _print(recorded, made)
    exit_code = _start(made, quiet=as_json) if start else None
    if as_json:
        print_json(_document(made, exit_code))
    if exit_code:
        raise click.exceptions.Exit(exit_code)


def _recorded(run: str) -> Recorded:
    from kiseki.client.reproduce import recorded_in_directory, recorded_on_server

    folder = run_directory(run)
    if folder is not None:
        return recorded_in_directory(folder)
    from kiseki.client.api import Api

    return recorded_on_server(Api().run(run))


def _start(made: Reproduction, *, quiet: bool) -> int:
    """Run the command to its end; its exit status."""
    if made.command.masked:
        names = ", ".join(made.command.masked)
        raise click.ClickException(
            f"--run cannot: the value of {names} was masked; run the printed line with it"
        )
    variables = {**os.environ, **made.command.variables}
    if made.environment is not None:
        variables["VIRTUAL_ENV"] = made.environment.folder
        folder = os.path.dirname(made.command.argv[0])
        variables["PATH"] = os.pathsep.join([folder, variables.get("PATH", os.defpath)])
    sys.stdout.flush()
    try:
        done = subprocess.run(
            made.command.argv,
            cwd=made.command.cwd,
            env=variables,
            stdout=sys.stderr if quiet else None,
            check=False,
        )
    except OSError as error:
        raise click.ClickException(
            f"{made.command.argv[0]} cannot be run: {error.strerror or error}"
        ) from error
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def _print(recorded: Recorded, made: Reproduction) -> None:
    checkout, environment = made.checkout, made.environment
    print_text(f"{click.style(recorded.name, bold=True)}  {recorded.path}")
    if checkout.commit is not None:
        print_text(f"  code         {made.directory}: commit {checkout.commit[:12]} of {checkout.source}")
    else:
        print_text(f"  code         {made.directory}")
    if checkout.patched:
        diff = recorded.table("diff")
        files = diff.get("files")
        counts = f"{files} file{'' if files == 1 else 's'}, +{diff.get('additions')} −{diff.get('deletions')}"
        print_text(f"  changes      applied: {counts}")
    if environment is not None:
        packages = f", {environment.packages} packages" if environment.packages else ""
        print_text(f"  environment  Python {environment.python}{packages}, by {environment.tool}")
    print_text("not as it was:")
    for line in made.shortfalls:
        print_text(f"  - {line}")
    print_text("to run it:")
    print_text(f"  cd {shlex.quote(made.command.cwd)}")
    variables = "".join(f"{name}={shlex.quote(value)} " for name, value in made.command.variables.items())
    print_text(f"  {variables}{shlex.join(made.command.argv)}")


def _document(made: Reproduction, exit_code: int | None) -> dict[str, object]:
    import msgspec

    document: dict[str, object] = msgspec.to_builtins(made)
    return document if exit_code is None else document | {"exit_code": exit_code}
