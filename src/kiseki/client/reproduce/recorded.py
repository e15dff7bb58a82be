"""What is recorded of how a run was started, from a server or from its run directory."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct

from kiseki.client.errors import NotFoundError
from kiseki.client.runs import Run
from kiseki.records.directory import read_run
from kiseki.records.kinds import DATA_ROLES

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class Recorded(Struct, frozen=True):
    """One run's environment record, and a way to its files. Nothing in it is trusted to stay in its place."""

    path: str
    """entity/project/id."""
    id: str
    name: str
    environment: Mapping[str, Any]
    fetch: Callable[[str, Path], bool]
    """Puts a recorded file at a path; False where there is none. Raises what the transport raises."""

    def text(self, *keys: str) -> str:
        """The text at a nested key of the environment, "" where there is none."""
        value: Any = self.environment
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value if isinstance(value, str) else ""

    def table(self, *keys: str) -> Mapping[str, Any]:
        """The map at a nested key of the environment, empty where there is none."""
        value: Any = self.environment
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value if isinstance(value, Mapping) else {}

    def texts(self, *keys: str) -> list[str]:
        """The texts of the list at a nested key of the environment."""
        *outer, last = keys
        value = self.table(*outer).get(last)
        return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def recorded_in_directory(folder: Path) -> Recorded:
    """What the run directory `folder` says. Raises FileNotFoundError where it holds no run file."""
    local = read_run(folder)
    if not local.headers:
        raise FileNotFoundError(f"{folder} holds no readable run file")
    first = min(local.headers, key=lambda header: (header.role not in DATA_ROLES, header.wall_ns))

    def fetch(name: str, target: Path) -> bool:
        source = folder / "files" / inside(name)
        if not source.is_file():
            return False
        shutil.copyfile(source, target)
        return True

    path = f"{first.entity}/{first.project}/{first.run_id}"
    return Recorded(path, first.run_id, local.fold.name or first.run_id, local.fold.environment, fetch)


def recorded_on_server(run: Run) -> Recorded:
    """What a server says of a run."""

    def fetch(name: str, target: Path) -> bool:
        try:
            file = run.file(name)
        except NotFoundError:
            return False
        scratch = target.parent / f"{target.name}.d"
        file.download(root=scratch, replace=True).close()
        (scratch / inside(name)).replace(target)
        shutil.rmtree(scratch)
        return True

    environment = run.document.get("environment") or {}
    return Recorded("/".join(run.path), run.id, run.name, environment, fetch)


def inside(path: str) -> PurePosixPath:
    """`path` as one that stays below the folder that it is used in. Raises ValueError."""
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or ".git" in pure.parts or "\0" in path:
        raise ValueError(f"the recorded path {path!r:.200} leads out of its folder")
    return pure


def place(into: Path, relative: PurePosixPath) -> Path:
    """Where `relative` lies in the work tree `into`. Raises ValueError where a link leads out of that."""
    target = into / relative
    if not Path(os.path.realpath(target.parent)).is_relative_to(os.path.realpath(into)):
        raise ValueError(f"{relative} leads out of the work tree, by a link in it")
    return target


def commit_of(text: str) -> str | None:
    """A commit's full name, None for what is none."""
    return text if _COMMIT.fullmatch(text) else None
