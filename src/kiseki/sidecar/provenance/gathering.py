"""The errand itself: what git, packages and script say, written below `files/` and told line by line."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from kiseki.sidecar.provenance.entry import is_installed, save_entry
from kiseki.sidecar.provenance.git import Git, GitUnavailable
from kiseki.sidecar.provenance.locks import copy_locks, find_locks
from kiseki.sidecar.provenance.packages import (
    conda_packages,
    interpreter,
    list_requirements,
    write_requirements,
)
from kiseki.sidecar.provenance.patch import write_patch
from kiseki.sidecar.provenance.placing import placed
from kiseki.sidecar.provenance.repository import Repository, find_repository

TOTAL_SECONDS: Final = 150.0
_MEMORY_BYTES: Final = 1024**3

DIFF_FILE: Final = "diff.patch"
PACKAGES_FILE: Final = "requirements.txt"
CONDA_FILE: Final = "conda-explicit.txt"


def gather(request: Mapping[str, Any], say: Callable[[dict[str, Any]], None]) -> None:
    """Do all that `request` asks for. What fails becomes a note in the record, never an exception."""
    _limit_memory()
    if request.get("path"):  # Not the PATH of the training that happened to start the sidecar.
        os.environ["PATH"] = request["path"]
    with tempfile.TemporaryDirectory(prefix="kiseki-git-") as scratch:
        _Gathering(request, say, Path(scratch)).work()


class _Gathering:
    """One run's errand: what is known so far, and where it goes."""

    def __init__(
        self, request: Mapping[str, Any], say: Callable[[dict[str, Any]], None], scratch: Path
    ) -> None:
        self._request = request
        self._say = say
        self._files = Path(request["run_dir"], "files")
        self._cwd: str = request["cwd"]
        program: str = request["program"]
        self._program = "" if is_installed(program, (request["prefix"], sys.base_prefix)) else program
        self._git = Git(self._cwd or "/", time.monotonic() + request.get("seconds", TOTAL_SECONDS), scratch)
        self._repository: Repository | None = None
        self._notes: list[str] = []

    def work(self) -> None:
        """Tell the quick facts first, then each part as soon as it is done."""
        told: dict[str, Any] = {"os_name": _os_name(), "libc": " ".join(platform.libc_ver()).strip()}
        told["disk"] = _disk("/")
        if self._request["git"]:
            told["git"] = self._look_at_git()
        self._tell({name: value for name, value in told.items() if value})
        if self._request["requirements"]:
            self._tell(self._packages())
        if self._request["save_code"]:
            self._tell(self._code())
        if self._request["diff"] and self._repository is not None:
            self._tell(self._diff(self._repository))
        if self._notes:
            self._tell({"provenance_note": "; ".join(self._notes)})

    def _tell(self, facts: dict[str, Any]) -> None:
        if facts:
            self._say({"environment": facts})

    def _look_at_git(self) -> dict[str, Any]:
        folders = [os.path.dirname(self._program)] if self._program else []
        try:
            found, why = find_repository(self._git, [f for f in [*folders, self._cwd] if os.path.isdir(f)])
        except (GitUnavailable, OSError) as error:
            return {"note": str(error)}
        if found is None:
            return {"note": why}
        self._repository = found
        return found.described(self._cwd)

    def _packages(self) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        prefix: str = self._request["prefix"]
        try:
            lines = list_requirements(self._request["sys_path"], self._cwd)
            with placed(self._files, PACKAGES_FILE) as partial:
                write_requirements(partial, lines, interpreter())
            facts["packages_file"] = PACKAGES_FILE
            explicit = conda_packages(prefix)
            if explicit:
                with placed(self._files, CONDA_FILE) as partial:
                    partial.write_text("\n".join(explicit) + "\n")
        except OSError as error:
            self._notes.append(f"the packages are not recorded: {error.strerror or error}")
            return facts
        starts = [self._cwd, os.path.dirname(self._program), os.path.dirname(prefix)]
        root = self._repository.root if self._repository is not None else ""
        locks, note = copy_locks(find_locks(starts, root), self._files)
        locks += [CONDA_FILE] if explicit else []
        if locks:
            facts["lock_files"] = locks
        if note:
            self._notes.append(note)
        return facts

    def _code(self) -> dict[str, Any]:
        root = self._repository.root if self._repository is not None else ""
        saved, note = save_entry(self._program, root, self._cwd, self._files)
        if note:
            self._notes.append(note)
        return {"code_file": saved} if saved else {}

    def _diff(self, repository: Repository) -> dict[str, Any]:
        # Beside `files/`, whose content is sent as it is found.
        temporary = self._files.parent / f"{DIFF_FILE}.{os.getpid()}.tmp"
        git, limit = self._git.within(repository.root), int(self._request["diff_bytes"])
        try:
            described, note = write_patch(git, repository, temporary, limit, self._program)
            if note:
                self._notes.append(note)
            if described is None:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._files / DIFF_FILE)  # of an earlier start of the same run
                return {}
            os.replace(temporary, self._files / DIFF_FILE)
            return {"diff_file": DIFF_FILE, "diff": described}
        except (OSError, GitUnavailable) as error:
            self._notes.append(f"the diff is not recorded: {getattr(error, 'strerror', None) or error}")
            return {}
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _os_name() -> str | None:
    """The distribution's own name for itself."""
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        return None


def _disk(path: str) -> dict[str, dict[str, int]] | None:
    """Size and use of the file system at `path`."""
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return None
    return {path: {"total_bytes": usage.total, "used_bytes": usage.used}}


def _limit_memory() -> None:
    """Let neither this process nor git take more memory than a training would miss."""
    try:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = _MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(_MEMORY_BYTES, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    except (ImportError, OSError, ValueError):
        pass
