"""Finds what a RUN or DIR argument means: a run directory on disk, or a run that a server or store has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

if TYPE_CHECKING:
    from kiseki.client.api import Api


def run_directory(target: str) -> Path | None:
    """The run directory that `target` names, or None where it is no folder and so must be a run's path.

    Raises ClickException for a folder without a run file, and for what is neither folder nor path.
    """
    folder = Path(target)
    if not folder.is_dir():
        split_path(target)
        return None
    if any(folder.glob("*.kiseki")):
        return folder
    inside = list(run_directories(folder))
    if inside:
        raise click.ClickException(f"{target} holds {len(inside)} runs; name one, such as {inside[-1]}")
    raise click.ClickException(f"{target} is a folder without a run file (*.kiseki)")


def run_directories(folder: Path) -> Iterator[Path]:
    """Every run directory in `folder`: itself, its own `run-*`, or those of its `kiseki/`; sorted by name."""
    if any(folder.glob("*.kiseki")):
        yield folder
        return
    for parent in (folder, folder / "kiseki"):
        yield from sorted(child for child in parent.glob("run-*") if any(child.glob("*.kiseki")))


def split_path(path: str) -> list[str]:
    """The one to three parts of a run's path; raises ClickException for anything else."""
    parts = path.strip("/").split("/")
    if not all(parts) or len(parts) > 3:
        raise click.ClickException(f'"{path}" is no run: use entity/project/id, project/id, id or its folder')
    return parts


def find_run(api: Api, path: str) -> dict[str, Any]:
    """The run at `entity/project/id`, `project/id` or `id`, as `GET /api/v1/runs/…` answers it.

    Raises ClickException where there is none, or where `path` fits more than one.
    """
    *place, run_id = split_path(path)
    if len(place) == 2:
        return run_detail(api, place[0], place[1], run_id)
    found = []
    for project in api.request("GET", "/api/v1/projects")["projects"]:
        if not place or project["name"] == place[0]:
            try:
                found.append(run_detail(api, project["entity"], project["name"], run_id))
            except Exception as error:
                if getattr(error, "status", None) != 404:
                    raise
    if not found:
        raise click.ClickException(f'no run "{path}": `kiseki runs` lists those there are')
    if len(found) > 1:
        several = ", ".join(f"{run['entity']}/{run['project']}/{run['id']}" for run in found)
        raise click.ClickException(f'"{path}" fits several runs; use one of {several}')
    return found[0]


def run_detail(api: Api, entity: str, project: str, run_id: str) -> dict[str, Any]:
    """The run's document from the server (or the embedded store)."""
    place = "/".join(quote(part, safe="") for part in (entity, project, run_id))
    answer: dict[str, Any] = api.request("GET", f"/api/v1/runs/{place}")
    return answer
