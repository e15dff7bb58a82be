"""The command that starts the run again in its new work tree, and what stands in its way."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from kiseki.client.command_line import script_at
from kiseki.client.reproduce.recorded import Recorded
from kiseki.system.secrets import MASK


class Command(Struct, frozen=True):
    """Arguments, working folder, and what must be known before it is run."""

    argv: tuple[str, ...]
    cwd: str
    variables: Mapping[str, str] = {}
    """Environment variables that it needs."""
    masked: tuple[str, ...] = ()
    """Names of the arguments whose values were masked when they were recorded."""
    shortfalls: tuple[str, ...] = ()


def make_command(recorded: Recorded, into: Path, venv: Path | None, entry: str | None) -> Command:
    """The recorded command with the new interpreter and the new place of its script.

    Raises ValueError where no command is recorded.
    """
    shortfalls: list[str] = []
    binaries = None if venv is None else venv / ("Scripts" if os.name == "nt" else "bin")
    python = "python" if binaries is None else str(binaries / "python")
    root, subdir = recorded.text("git", "root"), recorded.table("git").get("subdir")
    cwd = into / subdir if root and isinstance(subdir, str) else into
    if not cwd.is_dir():
        shortfalls.append(f"it was started in {subdir}, which git does not have; it starts in {into}")
        cwd = into
    if entry is not None and entry.endswith("_session_history.ipynb"):
        shortfalls.append("it was a notebook: the command runs its cells in the order in which they were run")
        argv = (python, "-m", "IPython", str(into / entry))
        return Command(argv, str(cwd), _variables(recorded, into), shortfalls=tuple(shortfalls))
    recorded_argv = recorded.texts("command")
    if not recorded_argv:
        raise ValueError(f"run {recorded.id}: no command is recorded")
    arguments = recorded_argv[1:]
    position = script_at(recorded_argv)
    script = None if position is None else position - 1
    if script is not None:
        arguments[script] = _moved(recorded, arguments[script], into, cwd, binaries, entry, shortfalls)
    masked = _masked(arguments)
    missing = _missing_files(arguments, script, recorded.text("cwd"), cwd)
    shortfalls += [f"{name} is not in the work tree: link or copy it there" for name in missing]
    variables = _variables(recorded, into)
    return Command((python, *arguments), str(cwd), variables, tuple(masked), tuple(shortfalls))


def _variables(recorded: Recorded, into: Path) -> dict[str, str]:
    """`PYTHONPATH` where it was set, its folders of the repository replaced by those of the work tree."""
    path, root, old = recorded.text("pythonpath"), recorded.text("git", "root"), recorded.text("cwd")
    if not path:
        return {}
    folders = []
    for entry in path.split(os.pathsep):
        absolute = os.path.normpath(os.path.join(old, entry))
        relative = os.path.relpath(absolute, root or old) if old else os.pardir
        outside = relative.split(os.sep)[0] == os.pardir
        folders.append(entry if outside else os.path.normpath(into / relative))
    return {"PYTHONPATH": os.pathsep.join(folders)}


def _moved(
    recorded: Recorded,
    script: str,
    into: Path,
    cwd: Path,
    binaries: Path | None,
    entry: str | None,
    shortfalls: list[str],
) -> str:
    """The script's place in the new work tree or environment; as it was where that is found nowhere."""
    old_folder = recorded.text("cwd")
    absolute = os.path.normpath(os.path.join(old_folder, script))
    old_binaries = os.path.dirname(recorded.text("executable"))
    if binaries is not None and old_binaries and os.path.dirname(absolute) == old_binaries:
        return str(binaries / os.path.basename(absolute))
    root = recorded.text("git", "root")
    relative = os.path.relpath(absolute, root) if root else os.pardir
    if relative.split(os.sep)[0] != os.pardir and (into / relative).is_file():
        found = into / relative
    elif entry is not None:
        found = into / entry
    else:
        shortfalls.append(f"the script {absolute} is neither in the work tree nor recorded")
        return script
    return os.path.relpath(found, cwd)


def _masked(arguments: list[str]) -> list[str]:
    """The names of what was masked."""
    names = []
    for place, argument in enumerate(arguments):
        if MASK not in argument:
            continue
        before = arguments[place - 1] if place else ""
        name = (
            argument.partition("=")[0] if "=" in argument else before if before.startswith("-") else argument
        )
        names.append(name)
    return names


def _missing_files(arguments: list[str], script: int | None, old: str, new: Path) -> list[str]:
    """Arguments that are relative paths of what lay in the old working folder and does not in the new one."""
    if not old or os.path.realpath(old) == os.path.realpath(new):
        return []
    missing = []
    for place, argument in enumerate(arguments):
        value = argument.partition("=")[2] or argument
        if place == script or not value or value in missing or os.path.isabs(value) or value.startswith("-"):
            continue
        try:
            if os.path.exists(os.path.join(old, value)) and not (new / value).exists():
                missing.append(value)
        except (OSError, ValueError):
            continue
    return missing
