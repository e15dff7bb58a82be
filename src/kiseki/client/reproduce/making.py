"""All steps in their order, and what cannot be as it was, line by line."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from kiseki.client.reproduce.checkout import Checkout, make_checkout
from kiseki.client.reproduce.command import Command, make_command
from kiseki.client.reproduce.recorded import Recorded
from kiseki.client.reproduce.virtualenv import Environment, Unbuildable, build_environment


class Reproduction(Struct, frozen=True):
    """What `reproduce` made, and what it could not."""

    run: str
    directory: str
    checkout: Checkout
    environment: Environment | None
    command: Command
    shortfalls: tuple[str, ...]
    """Everything that is not as it was, one line each."""


def reproduce(
    recorded: Recorded,
    into: Path,
    *,
    start: Path,
    python: str | None = None,
    with_environment: bool = True,
    from_lock: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> Reproduction:
    """Make the run's work tree at `into` (new or empty) and its environment; the command is not run.

    `start`: where a repository is looked for first. `python`: the interpreter for the environment. `tell`
    gets a line before each slow step. Raises ValueError where nothing is recorded, and OSError (also
    FileExistsError) where the folder cannot be made.
    """
    into = Path(os.path.abspath(into))
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise FileExistsError(f"{into} is there already; name another folder with --into, or remove it")
    with tempfile.TemporaryDirectory(prefix="kiseki-reproduce-") as folder:
        scratch = Path(folder)
        tell("checking out the code")
        checkout = make_checkout(recorded, into, start, scratch)
        environment, trouble = None, []
        if with_environment:
            tell("building the environment")
            try:
                environment = build_environment(recorded, into, scratch, python, from_lock=from_lock)
            except Unbuildable as error:
                trouble.append(f"no environment: {' '.join(str(error).split())[:500]}")
    venv = Path(environment.folder) if environment is not None else None
    command = make_command(recorded, into, venv, checkout.entry)
    shortfalls = [*checkout.shortfalls, *trouble, *(environment.shortfalls if environment else ())]
    shortfalls += command.shortfalls
    shortfalls += [f"the value of {name} was masked: put it in" for name in command.masked]
    shortfalls += _surroundings(recorded)
    return Reproduction(recorded.path, str(into), checkout, environment, command, tuple(shortfalls))


def _surroundings(recorded: Recorded) -> list[str]:
    """What no work tree and no environment brings back."""
    lines = []
    for launcher, text in (
        ("torchrun", "rank {rank} of {world_size}, started by torchrun"),
        ("mpi", "an MPI rank"),
    ):
        values = {str(key): str(value) for key, value in recorded.table(launcher).items()}
        if values and not (launcher == "torchrun" and values.get("world_size") == "1"):
            lines.append(
                f"it was {text.format_map(_Known(values))}: the command is that of one process alone"
            )
            break
    if recorded.table("slurm"):
        lines.append(
            f"it ran as SLURM job {recorded.text('slurm', 'job_id')}: submit it as such where that matters"
        )
    gpus = _gpus(recorded.environment.get("gpus"))
    if gpus:
        cuda = recorded.text("cuda", "version")
        lines.append(
            f"it ran on {gpus}{f' with CUDA {cuda}' if cuda else ''}; here it takes what this machine has"
        )
    lines.append("environment variables, data, and whatever else git ignores, are not recorded")
    return lines


def _gpus(listed: Any) -> str:
    names: dict[str, int] = {}
    for gpu in listed if isinstance(listed, list) else []:
        if isinstance(gpu, Mapping) and gpu.get("name"):
            names[str(gpu["name"])] = names.get(str(gpu["name"]), 0) + 1
    return ", ".join(f"{count} × {name}" if count > 1 else name for name, count in names.items())


class _Known(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"
