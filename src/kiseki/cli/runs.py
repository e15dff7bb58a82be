"""`kiseki runs`: the list of runs, from a server or from this user's own files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import click

from kiseki.cli.output import duration_text, json_option, print_json, print_table, state_text, time_text

if TYPE_CHECKING:
    from kiseki.client.api import Api

_PAGE = 500
_SORT_HELP = "created, name, state, runtime, config.X or summary.X; -KEY descends. Repeatable; else -created."
_TITLES = ("STATE", "NAME", "RUN", "CREATED", "RUNTIME", "TAGS", "NOTES")


@click.command("runs")
@click.argument("path", required=False, metavar="[[ENTITY/]PROJECT]")
@click.option("--filter", "text", default="", help="Only runs with this in name, id, notes or tags.")
@click.option("--sort", multiple=True, default=["-created"], metavar="KEY", help=_SORT_HELP)
@click.option("-n", "--limit", default=100, show_default=True, type=click.IntRange(1), help="Per project.")
@json_option
def command(path: str | None, text: str, sort: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List runs: of a project, or of all."""
    from kiseki.client.api import Api

    api = Api()
    projects = [found for found in api.request("GET", "/api/v1/projects")["projects"] if _fits(found, path)]
    if path and not projects:
        raise click.ClickException(f'no project "{path}"')
    runs, cut = [], []
    for project in projects:
        page, more = _runs_of(api, project, text, sort, limit)
        runs += page
        if more:
            cut.append(f"{project['entity']}/{project['name']}")
    if as_json:
        print_json(runs)
    elif runs:
        print_table(_TITLES, [_row(run) for run in runs])
    else:
        click.echo("no runs")
    if cut:
        click.echo(f"more runs than shown in {', '.join(cut)}: --limit", err=True)


def _runs_of(
    api: Api, project: dict[str, Any], text: str, sort: tuple[str, ...], limit: int
) -> tuple[list[dict[str, Any]], bool]:
    """At most `limit` runs of the project, and whether there are more."""
    place = f"{quote(project['entity'], safe='')}/{quote(project['name'], safe='')}"
    runs: list[dict[str, Any]] = []
    more = True
    while more and len(runs) < limit:
        query = [("filter", text), ("limit", min(_PAGE, limit - len(runs))), ("offset", len(runs))]
        query += [("sort", key) for key in sort]
        page = api.request("GET", f"/api/v1/projects/{place}/runs?{urlencode(query)}")
        runs += page["runs"]
        more = page["more"] and bool(page["runs"])
    return runs, more


def _fits(project: dict[str, Any], path: str | None) -> bool:
    if not path:
        return True
    entity, _, name = path.strip("/").rpartition("/")
    return project["name"] == name and entity in ("", project["entity"])


def _row(run: dict[str, Any]) -> tuple[str, ...]:
    return (
        state_text(run["state"]),
        run["name"] or "",
        f"{run['entity']}/{run['project']}/{run['id']}",
        time_text(run["created"]),
        duration_text(run["runtime"]),
        ", ".join(run["tags"] or ()),
        _short(run["notes"] or ""),
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:59]}…"
