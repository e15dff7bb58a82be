"""`kiseki doctor`: what is installed, which server answers, where runs lie, which files are damaged."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from kiseki import __version__
from kiseki.cli.output import json_option, print_json
from kiseki.cli.target import run_directories

_PACKAGES = ("msgspec", "starlette", "uvicorn", "sqlalchemy", "numpy", "zstandard")


@click.command("doctor")
@json_option
def command(as_json: bool) -> None:
    """Check this installation; exits with 1 where something is wrong."""
    server = _server()
    roots = [_root(root) for root in _roots()]
    report = {"versions": _versions(), "server": server, "store": _store(), "roots": roots}
    if as_json:
        print_json(report)
    else:
        _print(report)
    if server["problem"] or any(root["damaged"] for root in roots):
        click.get_current_context().exit(1)


def _versions() -> dict[str, str]:
    found = {
        "kiseki": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": platform.platform(),
    }
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    import sqlite3

    found["sqlite"] = sqlite3.sqlite_version
    return found


def _server() -> dict[str, Any]:
    """The server that a run of this shell would send to, and the `kiseki up` that shows local runs."""
    from kiseki.system.owner import read_owner
    from kiseki.system.paths import store_dir

    url = os.environ.get("KISEKI_BASE_URL")
    owner = read_owner(store_dir())
    named_by = "KISEKI_BASE_URL" if url else "kiseki up" if owner and owner.url else None
    url = url or (owner.url if owner else "") or None
    report: dict[str, Any] = {"url": url, "named_by": named_by, "reachable": None, "problem": None}
    if url is None:
        return report
    from kiseki.client.api import Api

    try:
        answer = Api(base_url=url).request("GET", "/api/v1/server")
    except Exception as error:
        return {**report, "reachable": False, "problem": " ".join(str(error).split())}
    taken = bool(answer["authenticated"])
    problem = None if taken else f"reachable, but takes no key of this user: kiseki login {url}"
    return {**report, "reachable": True, "version": answer["version"], "problem": problem}


def _store() -> dict[str, Any]:
    from kiseki.system.owner import read_owner
    from kiseki.system.paths import store_dir

    folder = store_dir()
    owner = read_owner(folder)
    size = sum(file.stat().st_size for file in folder.glob("*") if file.is_file()) if folder.is_dir() else 0
    return {"directory": str(folder), "bytes": size, "owner": owner.url if owner else None}


def _roots() -> list[Path]:
    from kiseki.system.paths import local_roots

    here = Path("kiseki").resolve()
    roots = local_roots()
    return [*roots, here] if here not in roots and any(run_directories(here)) else roots


def _root(root: Path) -> dict[str, Any]:
    from kiseki.records.directory import read_run

    damaged: list[str] = []
    folders = list(run_directories(root))
    for folder in folders:
        try:
            damaged += read_run(folder).damage
        except OSError as error:
            damaged.append(f"{folder}: {error}")
    return {"directory": str(root), "exists": root.is_dir(), "runs": len(folders), "damaged": damaged}


def _print(report: dict[str, Any]) -> None:
    versions = report["versions"]
    click.echo(f"kiseki {versions['kiseki']}, Python {versions['python']} ({versions['executable']})")
    click.echo(f"system  {versions['system']}")
    click.echo("with    " + ", ".join(f"{name} {versions[name]}" for name in (*_PACKAGES, "sqlite")))
    server = report["server"]
    if server["url"] is None:
        click.echo("server  none: runs stay on this disk; `kiseki up` shows them")
    else:
        state = server["problem"] or f"reachable, version {server['version']}"
        click.echo(f"server  {server['url']} (by {server['named_by']}): {state}")
    store = report["store"]
    click.echo(f"store   {store['directory']} ({store['bytes'] / 1e6:.1f} MB)")
    if not report["roots"]:
        click.echo("runs    none recorded yet")
    for root in report["roots"]:
        there = f"{root['runs']} runs" if root["exists"] else "folder is gone"
        click.echo(f"runs    {root['directory']}: {there}")
        for line in root["damaged"]:
            click.echo(click.style(f"        damaged: {line}", fg="yellow"))
