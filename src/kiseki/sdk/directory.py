"""Making a run's directory: `<root>/kiseki/run-YYYYMMDD_HHMMSS-<id>/`, kept out of git and remembered."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

from kiseki.records.layout import IGNORED
from kiseki.sdk.terminal import warn_once
from kiseki.system.paths import record_root


def make_run_dir(root: Path, run_id: str, started: float) -> Path:
    """Make the run's directory and its `files/` below `root`; `started` in unix seconds.

    Raises OSError where that cannot be.
    """
    folder = runs_folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError), (folder / ".gitignore").open("x") as ignore:
        ignore.write("*\n")
    while True:
        stamp = time.strftime("%Y%m%d_%H%M%S", time.localtime(started))
        run_dir = folder / f"run-{stamp}-{run_id}"
        try:
            run_dir.mkdir()
            break
        except FileExistsError:  # the same id twice within a second
            started += 1
    (run_dir / "files").mkdir()
    try:
        record_root(folder)
    except OSError as error:
        warn_once("root", f"kiseki up will not find {folder} by itself: {error}")
    return run_dir


def keep_ignored(run_dir: Path, globs: Sequence[str]) -> None:
    """Note in the run's directory which of its files are not uploaded, for whoever uploads them one day."""
    if globs:
        try:
            (run_dir / IGNORED).write_text("".join(f"{glob}\n" for glob in globs), "utf-8", "surrogateescape")
        except OSError as error:
            warn_once("ignore", f"ignore_globs has no effect: {error}")


def runs_folder(root: Path) -> Path:
    """The folder of all runs below `root`."""
    return root / "kiseki"


def fallback_root() -> Path:
    """Where runs go when the asked folder cannot be written: a folder of this user among temporary files.

    It is made here, for this user alone: the sidecar's spool may have to lie in it too, and must be private.
    """
    user = os.geteuid() if hasattr(os, "geteuid") else 0
    folder = Path(os.environ.get("TMPDIR") or "/tmp", f"kiseki-{user}")
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700)
    return folder


def working_folder() -> str:
    """The current folder, "" where it has been removed."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def count_runs(folder: Path) -> int:
    """How many run directories lie in `folder`."""
    try:
        return sum(name.startswith("run-") for name in os.listdir(folder))
    except OSError:
        return 0
