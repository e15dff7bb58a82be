"""`kiseki show`: all that is known of one run, from a server, the store, or straight from its files."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kiseki.cli.output import (
    duration_text,
    json_option,
    print_json,
    print_text,
    print_tree,
    state_text,
    time_text,
)
from kiseki.cli.target import run_directory

if TYPE_CHECKING:
    from kiseki.records.kinds import Header


@click.command("show")
@click.argument("run", metavar="RUN|DIR")
@click.option("--system", is_flag=True, help="Show what was measured beside the run: CPU, memory, GPUs, …")
@json_option
def command(run: str, system: bool, as_json: bool) -> None:
    """Show a run's state, config and summary.

    RUN is entity/project/id, project/id or id; DIR is a run directory, read as it is, without any server.
    """
    folder = run_directory(run)
    if system:
        from kiseki.cli.show_system import show_system

        show_system(run, folder, as_json=as_json)
        return
    if folder is not None:
        document = local_document(folder)
    else:
        from kiseki.client.api import Api

        document = dict(Api().run(run).document)
    if as_json:
        print_json(document)
    else:
        _print(document)


def local_document(folder: Path) -> dict[str, Any]:
    """What the run's own files say, under the names that the server's answer uses.

    A run that says it is running while its process is gone is shown as crashed.
    """
    from kiseki.records.directory import read_run
    from kiseki.records.kinds import DATA_ROLES

    local = read_run(folder)
    if not local.headers:
        raise click.ClickException("; ".join(local.damage) or f"{folder} holds no readable run file")
    fold = local.fold
    first = min(local.headers, key=lambda header: (header.role not in DATA_ROLES, header.wall_ns))
    gone = fold.state == "running" and _is_gone(local.headers)
    started, ended = _seconds(fold.started_us), _seconds(fold.ended_us)
    runtime = ended - started if started is not None and ended is not None else fold.summary.get("_runtime")
    return {
        "entity": first.entity,
        "project": first.project,
        "id": first.run_id,
        "uid": first.run_uid,
        "name": fold.name,
        "state": "crashed" if gone else fold.state,
        "exit_code": fold.exit_code,
        "reason": "its process is gone" if gone else fold.reason,
        "created": started,
        "started": started,
        "ended": ended,
        "runtime": runtime,
        "host": first.host,
        "user": first.user,
        "command": _command(fold.environment.get("command")),
        "notes": fold.notes,
        "tags": fold.tags,
        "group": fold.group,
        "job_type": fold.job_type,
        "config": fold.config,
        "summary": fold.summary,
        "last_step": fold.last_step,
        "rows": fold.rows,
        "environment": fold.environment,
        "damage": local.damage,
        "directory": str(folder),
    }


def _is_gone(headers: list[Header]) -> bool:
    """Whether every process that wrote the run's data is known to have ended."""
    from kiseki.records.kinds import DATA_ROLES
    from kiseki.system.process import ProcessId, is_alive

    writers = [header for header in headers if header.role in DATA_ROLES]
    return all(
        is_alive(ProcessId(header.pid, header.pid_start, header.boot_id, header.pid_ns)) is False
        for header in writers
    )


def _command(argv: object) -> str | None:
    return shlex.join(map(str, argv)) if isinstance(argv, list) else None


def _seconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1e6


def _print(run: dict[str, Any]) -> None:
    print_text(f"{click.style(run['name'] or run['id'], bold=True)}  {state_text(run['state'])}")
    print_text(f"{run['entity']}/{run['project']}/{run['id']}")
    reason = f" ({run['reason']})" if run.get("reason") else ""
    exit_code = "" if run.get("exit_code") is None else f"{run['exit_code']}{reason}"
    facts = {
        "created": time_text(run.get("created")),
        "ended": time_text(run["ended"]) if run.get("ended") is not None else "",
        "runtime": duration_text(run.get("runtime")),
        "exit code": exit_code,
        "rows": f"{run['rows']}, last step {run['last_step']}" if run.get("rows") else "0",
        "host": run.get("host") or "",
        "user": run.get("user") or "",
        "command": run.get("command") or "",
        "group": run.get("group") or "",
        "job type": run.get("job_type") or "",
        "tags": ", ".join(run.get("tags") or ()),
        "notes": run.get("notes") or "",
        "page": run.get("url") or "",
        "directory": run.get("directory") or "",
    }
    for name, text in facts.items():
        if text:
            print_text(f"  {name:9}  " + "\n             ".join(text.splitlines()))
    print_tree("config", run.get("config") or {})
    print_tree("summary", run.get("summary") or {})
    if run.get("damage"):
        damage = run["damage"]
        for line in damage if isinstance(damage, (list, tuple)) else [damage]:
            print_text(click.style(f"damage: {line}", fg="yellow"))
