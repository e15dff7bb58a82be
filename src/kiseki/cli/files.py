"""`kiseki files`: what files a run has, and those that are named, downloaded."""

from __future__ import annotations

from datetime import datetime, timezone
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kiseki.cli.output import json_option, print_json, print_table, size_text, time_text
from kiseki.cli.target import run_directory

if TYPE_CHECKING:
    from kiseki.client.files import File


@click.command("files")
@click.argument("run", metavar="RUN|DIR")
@click.argument("paths", nargs=-1, metavar="[PATH…]")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Where to put what is downloaded (default: here).")  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Download all files.")
@click.option("--replace", is_flag=True, help="Write over files that are there already.")
@json_option
def command(
    run: str, paths: tuple[str, ...], output: Path | None, everything: bool, replace: bool, as_json: bool
) -> None:
    """List the files of a run, or download those that PATH names.

    RUN is entity/project/id, project/id or id; DIR is a run directory, whose files are listed as they lie
    there. PATH is a path from the list, or a pattern such as 'media/*.png'.
    """
    folder = run_directory(run)
    if folder is not None:
        if paths or everything:
            raise click.ClickException(f"the run's files lie in {folder / 'files'}: copy them from there")
        _list(_local(folder), as_json)
        return
    from kiseki.client.api import Api

    files = list(Api().run(run).files())
    if paths or everything:
        _download(_chosen(files, paths), output or Path(), replace, as_json)
    else:
        _list([(each.name, each.size, _seconds(each.updated_at), each.digest) for each in files], as_json)


Listed = tuple[str, int, float, str | None]


def _local(folder: Path) -> list[Listed]:
    root = folder / "files"
    found: list[Listed] = []
    for path in sorted(root.rglob("*")):
        if path.is_file():
            status = path.stat()
            found.append((path.relative_to(root).as_posix(), status.st_size, status.st_mtime, None))
    return found


def _list(files: list[Listed], as_json: bool) -> None:
    if as_json:
        names = ("path", "size", "updated", "digest")
        print_json([dict(zip(names, each, strict=True)) for each in files])
    elif not files:
        click.echo("no files: what a script puts into run.dir, or names to run.save, appears here")
    else:
        rows = [(size_text(size).rjust(8), time_text(when), shown(name)) for name, size, when, _ in files]
        print_table(["    size", "changed", "path"], rows)


def _chosen(files: list[File], paths: tuple[str, ...]) -> list[File]:
    """The files that the paths name; raises ClickException for a path that names none."""
    if not paths:
        return files
    chosen: dict[str, File] = {}
    for path in paths:
        found = [each for each in files if each.name == path]
        found = found or [each for each in files if fnmatchcase(each.name, path)]
        if not found:
            raise click.ClickException(f"this run has no file {path}")
        chosen.update((each.name, each) for each in found)
    return list(chosen.values())


def _download(files: list[File], root: Path, replace: bool, as_json: bool) -> None:
    saved = []
    for each in files:
        where = root.joinpath(*each.name.split("/"))
        if where.exists() and not replace:
            raise click.ClickException(
                f"{shown(str(where))} exists: --replace writes over it, -o puts it elsewhere"
            )
        each.download(root, replace=replace).close()
        saved.append({"path": each.name, "size": each.size, "file": str(where)})
        if not as_json:
            click.echo(f"{shown(each.name)} ({size_text(each.size)})")
    if as_json:
        print_json(saved)


def shown(name: str) -> str:
    """A file's name on one line, whatever is in it."""
    return name if name.isprintable() else repr(name)[1:-1]


def _seconds(utc: str) -> float:
    return datetime.strptime(utc, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()
