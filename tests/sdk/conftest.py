"""Trainings as real processes: `train(code)` runs a script and gives its output and the run it left."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kiseki.records import LocalRun, history, read_run
from kiseki.sdk import current, terminal


@dataclass
class Training:
    """What a script left behind."""

    folder: Path
    status: int
    out: str
    err: str

    @property
    def directories(self) -> list[Path]:
        """Every run directory, in the order of their names."""
        return sorted((self.folder / "kiseki").glob("run-*"))

    @property
    def run(self) -> LocalRun:
        """The only run."""
        (directory,) = self.directories
        found = read_run(directory)
        assert found.damage == []
        return found

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of the only run, without times."""
        (directory,) = self.directories
        return [bare(row) for row in history(directory)]

    @property
    def warnings(self) -> list[str]:
        """The warnings on stderr."""
        return [line for line in self.err.splitlines() if line.startswith("kiseki: warning")]


def bare(row: dict[str, Any]) -> dict[str, Any]:
    """A row without its times."""
    return {key: value for key, value in row.items() if key not in ("_runtime", "_timestamp")}


@pytest.fixture(autouse=True)
def _short_lived_sidecars(monkeypatch: pytest.MonkeyPatch, isolated_home: Path) -> None:
    monkeypatch.setenv("KISEKI_SIDECAR_LINGER", "0.1")


@pytest.fixture(autouse=True)
def _no_run_left_active(_short_lived_sidecars: None) -> Iterator[None]:
    terminal.set_verbosity(silent=False, quiet=False)
    terminal._said.clear()
    yield
    for run in list(current.active):
        run.finish()


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., Training]:
    """`train(code, env={}, …)` runs the code as a script in a folder of its own and waits for its end."""

    def run(
        code: str,
        *arguments: str,
        env: dict[str, str] | None = None,
        folder: Path | None = None,
        **options: Any,
    ) -> Training:
        place = folder or tmp_path / "work"
        place.mkdir(exist_ok=True, parents=True)
        script = place / "script.py"
        script.write_text("import kiseki\n" + textwrap.dedent(code))
        options.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(
            [sys.executable, str(script), *arguments],
            cwd=place,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **options,
        )
        return Training(place, done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own as the current one, for runs of the test's own process."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
