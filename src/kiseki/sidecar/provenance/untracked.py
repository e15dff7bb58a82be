"""Which untracked files go into the patch: small source files, without which the code is not whole."""

from __future__ import annotations

import os
import stat
from itertools import takewhile
from pathlib import Path
from typing import Final, NamedTuple

from kiseki.sidecar.provenance.git import Git
from kiseki.sidecar.provenance.repository import Repository
from kiseki.system.secrets import has_credential, mask_text

MAX_TOTAL: Final = 1024 * 1024
MAX_FILES: Final = 200
MAX_FILE: Final = 256 * 1024

_CODE: Final = frozenset(
    (".py", ".pyi", ".pyx", ".pxd", ".ipynb", ".sh", ".bash", ".c", ".cc", ".cpp", ".cxx", ".cu", ".cuh",
     ".h", ".hpp", ".rs", ".go", ".js", ".ts", ".jl", ".r", ".sql", ".proto", ".jinja", ".j2", ".jsonnet",
     ".libsonnet", ".gin", ".slurm", ".sbatch", ".mk", ".cmake")
)  # fmt: skip
_CONFIG: Final = frozenset(
    (".yaml", ".yml", ".toml", ".json", ".cfg", ".ini", ".conf", ".txt", ".properties")
)
_BY_NAME: Final = frozenset(("Makefile", "Dockerfile", "Pipfile", "CMakeLists.txt"))
_PRIVATE: Final = ("secret", "credential", "password", "token.", "netrc", "pypirc", "npmrc", "id_rsa", "kube")


class Candidate(NamedTuple):
    """One untracked file: the submodule that it lies in, "" for the repository itself, and its path there."""

    folder: str
    name: str

    @property
    def path(self) -> str:
        """Its path from the repository's root."""
        return f"{self.folder}/{self.name}" if self.folder else self.name


def worth_keeping(git: Git, repository: Repository, program: str) -> tuple[list[Candidate], dict[str, str]]:
    """The untracked source files to keep, and of those that are not kept the path and why.

    Those beside `program` come first; they are at most 200, each at most 256 kB, together at most 1 MB.
    """
    found = [Candidate("", name) for name in repository.untracked]
    for module in repository.submodules:
        inside = git.within(Path(repository.root, module.path))
        listed = inside.ask("ls-files", "-z", "--others", "--exclude-standard", "--full-name")
        names = listed.output.split(b"\0")[:-1]
        found += [Candidate(module.path, os.fsdecode(name)) for name in names[: 10 * MAX_FILES]]
    sources = [one for one in found if _is_source(one.name)]
    beside = os.path.relpath(os.path.dirname(program), repository.root) if program else ""
    sources.sort(key=lambda one: (not one.path.endswith(".py"), _distance(one.path, beside), one.path))
    kept: list[Candidate] = []
    refused: dict[str, str] = {}
    total = 0
    for one in sources:
        size, why = _examine(Path(repository.root, one.path))
        if not why and (total + size > MAX_TOTAL or len(kept) >= MAX_FILES):
            why = "the untracked files are too many, or together more than 1 MB"
        if why:
            refused[one.path] = why
            continue
        total += size
        kept.append(one)
    return kept, refused


def _is_source(name: str) -> bool:
    base = name.rpartition("/")[2]
    ending = os.path.splitext(base)[1].lower()
    return not base.startswith(".") and (ending in _CODE or ending in _CONFIG or base in _BY_NAME)


def _examine(path: Path) -> tuple[int, str]:
    """The file's size, and why it is not kept."""
    name = path.name.lower()
    if any(word in name for word in _PRIVATE):
        return 0, "by its name it may hold a secret"
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode):
            return 0, "no plain file"
        if found.st_size > MAX_FILE:
            return 0, f"more than {MAX_FILE // 1024} kB"
        data = path.read_bytes()
    except OSError as error:
        return 0, f"it cannot be read: {error.strerror}"
    if b"\0" in data:
        return 0, "no text"
    text = data.decode("utf-8", "replace")
    config = path.suffix.lower() in _CONFIG
    if has_credential(text) or (config and mask_text(text) != text):
        return 0, "it seems to hold a secret"
    return len(data), ""


def _distance(path: str, folder: str) -> int:
    """How many steps through folders lie between a file and `folder`, both from the root."""
    own = path.split("/")[:-1]
    other = [] if folder in ("", os.curdir) else folder.split("/")
    shared = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(own, other, strict=False))))
    return len(own) + len(other) - 2 * shared
