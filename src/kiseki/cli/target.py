"""Finds the run directories that an argument means."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click


def run_directory(target: str) -> Path | None:
    """The run directory that `target` names, or None where it is no folder and so must be a run's path.

    Raises ClickException for a file, and for a folder without a run file.
    """
    folder = Path(target)
    if folder.is_file():
        whole = f"; a run is its directory: {folder.parent}" if folder.suffix == ".kiseki" else ""
        raise click.ClickException(f"{target} is a file{whole}")
    if not folder.is_dir():
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
