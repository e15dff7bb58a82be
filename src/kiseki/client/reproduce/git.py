"""Git, run as the user's own: with their settings, credentials and terminal."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


class GitFailed(RuntimeError):
    """Git did not do it; its text is git's reason in one line."""


def git(folder: Path, *arguments: str, alone: bool = False) -> str:
    """Run git in `folder`; its output. Raises GitFailed, which also says that there is no git.

    `alone`: a repository around `folder` is not looked for.
    """
    environment = {
        k: v for k, v in os.environ.items() if k not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    }
    if alone:
        environment["GIT_CEILING_DIRECTORIES"] = os.path.realpath(folder.parent)
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            env=environment | {"LC_ALL": "C"},
            check=False,
        )
    except OSError as error:
        raise GitFailed(f"git cannot be run: {error.strerror or error}") from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
        reason = next(
            (line for line in lines if line.startswith(("fatal:", "error:"))), (lines or ["it failed"])[-1]
        )
        raise GitFailed(reason.removeprefix("fatal: ").removeprefix("error: "))
    return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")


def succeeds(folder: Path, *arguments: str) -> bool:
    """Whether git in `folder` says yes."""
    try:
        git(folder, *arguments)
    except GitFailed:
        return False
    return True
