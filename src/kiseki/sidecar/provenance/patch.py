"""`diff.patch`: everything between the newest published commit and the work tree, as `git apply` takes it.

The changes of submodules and small untracked source files are part of it, under their paths from the root, so
that one `git apply` there makes the work tree what it was.
"""

from __future__ import annotations

import mmap
import os
import re
from pathlib import Path
from typing import Any, BinaryIO, Final

from kiseki.sidecar.provenance.git import BIG_FILE_BYTES, ENOUGH, Git
from kiseki.sidecar.provenance.repository import Repository
from kiseki.sidecar.provenance.untracked import MAX_TOTAL, Candidate, worth_keeping

DIFF_SECONDS: Final = 60.0
_EMPTY_TREE: Final = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_MAX_LEFT_OUT: Final = 100
_LARGE: Final = 1024 * 1024
_MAX_LARGE: Final = 200
_FORM: Final = (
    "--patch", "-O/dev/null", "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv",
    "--no-relative", "--ignore-submodules=all",
)  # fmt: skip


class _Patch:
    """The file as it is written: cut between two files of the diff where it would become too long."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self.truncated = False
        """Whether something was cut away."""
        self.full = False
        self._file = file
        self._limit = limit

    def take(self, data: bytes) -> bool:
        """Append what git said; False where that is enough."""
        self._file.write(data)
        self.full = self._file.tell() > self._limit
        return not self.full

    def settle(self, more: int = 0) -> None:
        """Where it became too long, cut it; what comes may have `more` bytes, whatever the limit was."""
        if self.full:
            self._cut()
            self.full, self.truncated = False, True
        self._limit = max(self._limit, self._file.tell() + more)

    def mark(self, text: str) -> None:
        """A line that `git apply` passes over."""
        self._file.write(f"# Kiseki: {text}\n".encode("utf-8", "replace"))

    def _cut(self) -> None:
        """Go back to the end of the last file of the diff that is whole."""
        self._file.flush()
        with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            end = data.rfind(b"\ndiff --git ", 0, self._limit) + 1
        self._file.truncate(end)
        self._file.seek(end)


class _Tree:
    """The work tree of the repository or of one submodule: what of it changed since its published commit."""

    def __init__(self, git: Git, base: str, prefix: str) -> None:
        self._git = git.on_a_copy_of_the_index()
        self._base = base
        form = [*_FORM, f"--src-prefix=a/{prefix}", f"--dst-prefix=b/{prefix}"]
        self._command = ["diff", *form, base, "--"]
        sizes = {name: _size(Path(git.folder, name)) for name in self._changed()}
        self.huge = [prefix + name for name, size in sizes.items() if size > BIG_FILE_BYTES]
        self._large = [name for name, size in sizes.items() if _LARGE < size <= BIG_FILE_BYTES][:_MAX_LARGE]
        self._apart = [*self._large, *(name for name, size in sizes.items() if size > BIG_FILE_BYTES)]

    def write_small(self, patch: _Patch) -> str:
        """Append the changes of all files but the large ones; why not all of them, "" where all is well."""
        return self._write([".", *(f":(exclude,top,literal){name}" for name in self._apart)], patch)

    def write_large(self, patch: _Patch) -> str:
        """Append the changes of the large ones."""
        return self._write([f":(top,literal){name}" for name in self._large], patch) if self._large else ""

    def _write(self, paths: list[str], patch: _Patch) -> str:
        answer = self._git.stream([*self._command, *paths], patch.take, seconds=DIFF_SECONDS)
        return "" if answer.ok or answer.why == ENOUGH else f"the diff is not whole: {answer.why}"

    def _changed(self) -> list[str]:
        """The changed files that are there, by a comparison that reads none of them where git can tell so."""
        form = ["--name-only", "-O/dev/null", "-z", "--no-renames", "--no-ext-diff", "--diff-filter=d"]
        answer = self._git.ask("diff", *form, "--ignore-submodules=all", self._base, seconds=DIFF_SECONDS)
        return [os.fsdecode(name) for name in answer.output.split(b"\0")[:-1]]


def write_patch(
    git: Git, repository: Repository, path: Path, limit: int, program: str
) -> tuple[dict[str, Any] | None, str]:
    """Write the patch to `path`; what it holds for the record (None: nothing changed), and a note or "".

    `limit` in bytes; `program` is the entry script, whose neighbours are the first of the untracked files.
    Large files come last, so that they are what a cut takes. Raises OSError where it cannot be written.
    """
    trees = [_Tree(git, repository.base or _EMPTY_TREE, "")]
    for module in repository.submodules:
        if module.base is not None:
            inside = git.within(Path(repository.root, module.path))
            trees.append(_Tree(inside, module.base, f"{module.path}/"))
    huge = f"more than {BIG_FILE_BYTES // 2**20} MB"
    left_out = [{"path": name, "why": huge} for tree in trees for name in tree.huge]
    notes: list[str] = []
    with path.open("w+b") as file:
        patch = _Patch(file, limit)
        notes += [tree.write_small(patch) for tree in trees if not patch.full]
        patch.settle(more=2 * MAX_TOTAL)
        chosen, refused = worth_keeping(git, repository, program)
        left_out += [{"path": name, "why": why} for name, why in refused.items()]
        added = _add_untracked(git, chosen, patch)
        patch.settle()
        if not patch.truncated:
            notes += [tree.write_large(patch) for tree in trees if not patch.full]
            patch.settle()
        if patch.truncated:
            size = f"{limit // 2**20} MB" if limit >= 2**20 else f"{limit // 1000} kB"
            patch.mark(f"cut here, for the changes are more than {size}")
        for one in left_out[:_MAX_LEFT_OUT]:
            patch.mark(f"left out: {one['path']!r}: {one['why']}")
        counts = _count(file)
    note = "; ".join(dict.fromkeys(one for one in notes if one))
    if not counts["files"] and not patch.truncated and not left_out:
        path.unlink()
        return None, note
    described: dict[str, Any] = {**counts, "truncated": patch.truncated}
    if added:
        described["untracked"] = added
    if left_out:
        described["left_out"] = left_out[:_MAX_LEFT_OUT]
    return described, note


def _add_untracked(git: Git, chosen: list[Candidate], patch: _Patch) -> list[str]:
    """Append untracked files as new ones; those that are in the patch."""
    added = []
    form = [option for option in _FORM if option != "--no-relative"]
    for one in chosen:
        prefix = f"{one.folder}/" if one.folder else ""
        inside = git.within(Path(git.folder, one.folder)) if one.folder else git
        command = ["diff", "--no-index", *form, f"--src-prefix=a/{prefix}", f"--dst-prefix=b/{prefix}"]
        answer = inside.stream([*command, "--", "/dev/null", one.name], patch.take, seconds=10.0)
        if patch.full:
            break
        if answer.status == 1:  # As diff says that the two differ.
            added.append(one.path)
    return added


def _size(path: Path) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def _count(file: BinaryIO) -> dict[str, int]:
    """How many files, added and deleted lines the patch has."""
    file.flush()
    if not os.fstat(file.fileno()).st_size:
        return {"files": 0, "additions": 0, "deletions": 0}
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        headers = sum(1 for _ in re.finditer(rb"\n--- [^\n]*\n\+\+\+ ", data))
        lines = {sign: sum(1 for _ in re.finditer(rb"\n" + re.escape(sign), data)) for sign in (b"+", b"-")}
        files = sum(1 for _ in re.finditer(rb"^diff --git ", data, re.MULTILINE))
    return {"files": files, "additions": lines[b"+"] - headers, "deletions": lines[b"-"] - headers}
