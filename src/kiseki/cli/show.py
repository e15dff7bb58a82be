"""`kiseki show`: all that is known of one run, from a server, the store, or straight from its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kiseki.cli.output import duration_text, json_option, print_json, print_tree, state_text, time_text
from kiseki.cli.target import find_run, run_directory


@click.command("show")
@click.argument("run", metavar="RUN|DIR")
@json_option
def command(run: str, as_json: bool) -> None:
    """Show a run's state, config and summary.

    RUN is entity/project/id, project/id or id; DIR is a run directory, read as it is, without any server.
    """
    folder = run_directory(run)
    if folder is not None:
        document = local_document(folder)
    else:
        from kiseki.client.api import Api

        document = find_run(Api(), run)
    if as_json:
        print_json(document)
    else:
        _print(document)


def local_document(folder: Path) -> dict[str, Any]:
    """What the run's own files say, under the names that the server's answer uses."""
    from kiseki.records.directory import read_run

    local = read_run(folder)
    fold = local.fold
    first = local.headers[0]
    started, ended = _seconds(fold.started_us), _seconds(fold.ended_us)
    last = fold.summary.get("_runtime")
    runtime = ended - started if started is not None and ended is not None else last
    return {
        "entity": first.entity,
        "project": first.project,
        "id": first.run_id,
        "uid": first.run_uid,
        "name": fold.name,
        "state": fold.state,
        "exit_code": fold.exit_code,
        "reason": fold.reason,
        "created": started,
        "started": started,
        "ended": ended,
        "runtime": runtime,
        "host": first.host,
        "user": first.user,
        "command": (fold.environment or {}).get("command"),
        "notes": fold.notes,
        "tags": list(fold.tags or ()),
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


def _seconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1e6


def _print(run: dict[str, Any]) -> None:
    click.echo(f"{click.style(run['name'] or run['id'], bold=True)}  {state_text(run['state'])}")
    click.echo(f"{run['entity']}/{run['project']}/{run['id']}")
    reason = f" ({run['reason']})" if run.get("reason") else ""
    exit_code = "" if run.get("exit_code") is None else f"{run['exit_code']}{reason}"
    command_line = run.get("command")
    facts = {
        "created": time_text(run.get("created")),
        "ended": time_text(run["ended"]) if run.get("ended") is not None else "",
        "runtime": duration_text(run.get("runtime")),
        "exit code": exit_code,
        "rows": f"{run['rows']}, last step {run['last_step']}" if run.get("rows") else "0",
        "host": run.get("host") or "",
        "user": run.get("user") or "",
        "command": " ".join(command_line) if isinstance(command_line, list) else command_line or "",
        "group": run.get("group") or "",
        "job type": run.get("job_type") or "",
        "tags": ", ".join(run.get("tags") or ()),
        "notes": run.get("notes") or "",
        "page": run.get("url") or "",
        "directory": run.get("directory") or "",
    }
    for name, text in facts.items():
        if text:
            click.echo(f"  {name:9}  {text}")
    print_tree("config", run.get("config") or {})
    print_tree("summary", run.get("summary") or {})
    if run.get("damage"):
        damage = run["damage"]
        for line in damage if isinstance(damage, (list, tuple)) else [damage]:
            click.echo(click.style(f"damage: {line}", fg="yellow"))
