"""The errand for code and packages, run as the sidecar runs it, on repositories made for the test."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kiseki.sidecar.errand import Errand


class Gathered(NamedTuple):
    """What the errand told, newest word for each key, and the folder that it wrote to."""

    told: dict[str, Any]
    files: Path

    @property
    def git(self) -> dict[str, Any]:
        return dict(self.told["git"])

    @property
    def patch(self) -> str:
        return (self.files / "diff.patch").read_text()


class Repo:
    """A git repository in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run git there; its output."""
        done = subprocess.run(
            ["git", "-c", "color.ui=false", *arguments],
            cwd=cwd or self.folder,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def start(self, *, commit: bool = True) -> Repo:
        """Make it a repository with one commit."""
        self.git("init", "-q", "-b", "main")
        if commit:
            self.commit({"train.py": "lr = 1\n"})
        return self

    def write(self, **files: str | bytes) -> None:
        """Write files; `__` in a keyword stands for a dot."""
        self.put({name.replace("__", "."): content for name, content in files.items()})

    def put(self, files: dict[str, str | bytes]) -> None:
        """Write files by their paths."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, files: dict[str, str | bytes]) -> str:
        """Commit files; the commit."""
        self.put(files)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a commit")
        return self.git("rev-parse", "HEAD")

    def tree(self) -> dict[str, tuple[bytes, bool]]:
        """Content and executable bit of every file, by path; without git's own and what it ignores."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and ".git" not in path.relative_to(self.folder).parts:
                name = str(path.relative_to(self.folder))
                found[name] = (path.read_bytes(), os.access(path, os.X_OK))
        return found


@pytest.fixture(autouse=True)
def _git_identity(isolated_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = isolated_home / "gitconfig"
    # With tastes of a user's own that must not reach the patch.
    config.write_text(
        '[user]\nname = Mei\nemail = mei@example.org\n[protocol "file"]\nallow = always\n'
        "[color]\nui = always\ndiff = always\n[core]\nquotePath = false\npager = false\n"
        "[diff]\ncontext = 0\ninterHunkContext = 5\nnoprefix = true\nmnemonicPrefix = true\n"
        "renames = copies\nsubmodule = log\nrelative = true\nalgorithm = patience\nwsErrorHighlight = all\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A repository with one commit, in a path with a space and Japanese letters."""
    return Repo(tmp_path / "学習 repo").start()


@pytest.fixture
def make_repo(tmp_path: Path) -> Callable[[str], Repo]:
    """`make_repo(name)`: another folder for a repository."""
    return lambda name: Repo(tmp_path / name)


@pytest.fixture
def gather(tmp_path: Path) -> Iterator[Callable[..., Gathered]]:
    """`gather(cwd, program="", **request)` runs the errand to its end."""
    runs: list[Errand] = []

    def run(cwd: Path, program: str | Path = "", **request: Any) -> Gathered:
        run_dir = tmp_path / f"run-{len(runs)}"
        (run_dir / "files").mkdir(parents=True, exist_ok=True)
        asked = {
            "run_dir": str(run_dir),
            "cwd": str(cwd),
            "program": str(program),
            "prefix": sys.prefix,
            "executable": sys.executable,
            "sys_path": [],
            "git": True,
            "diff": True,
            "save_code": True,
            "requirements": True,
            "diff_bytes": 50 * 2**20,
        }
        errand = Errand("kiseki.sidecar.provenance", asked | request)
        runs.append(errand)
        told: dict[str, Any] = {}
        deadline = time.monotonic() + 60
        while not errand.finished:
            assert time.monotonic() < deadline, "the errand did not end"
            poll = select.poll()
            errand.register(poll)
            poll.poll(50)
            for line in errand.lines():
                told |= line["environment"]
        assert errand.status == 0
        assert [path.name for path in run_dir.iterdir()] == ["files"]
        return Gathered(told, run_dir / "files")

    yield run
    for errand in runs:
        errand.kill()
