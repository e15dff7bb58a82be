"""The work tree: the recorded commit from wherever it can be had, its submodules, and the patch on top."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from kiseki.client.reproduce.git import GitFailed, git, succeeds
from kiseki.client.reproduce.recorded import Recorded, commit_of, inside, place
from kiseki.system.secrets import strip_credentials


class Checkout(Struct, frozen=True):
    """What was made: where the commit came from, and what of the patch is in it."""

    commit: str | None = None
    source: str | None = None
    """Folder of the repository, or the address that was cloned."""
    patched: bool = False
    entry: str | None = None
    """The entry script's path from the work tree's root, where a copy of it was recorded."""
    shortfalls: tuple[str, ...] = ()


def make_checkout(recorded: Recorded, into: Path, start: Path, scratch: Path) -> Checkout:
    """Make the work tree at `into`, which must not exist; repositories are looked for from `start` on.

    Raises ValueError where nothing is recorded to make it of, OSError where it cannot be written.
    """
    shortfalls: list[str] = []
    commit, source = _check_out(recorded, into, start, shortfalls)
    patched = False
    if commit is not None or not commit_of(recorded.text("git", "commit")):
        into.mkdir(parents=True, exist_ok=True)
        patched = _patch(recorded, into, scratch, shortfalls)
    entry = _entry(recorded, into, scratch, shortfalls)
    if commit is None and not patched and entry is None:
        if into.is_dir():
            into.rmdir()
        why = (
            recorded.text("git", "note")
            or "; ".join(shortfalls)
            or "neither a commit nor a script is recorded"
        )
        raise ValueError(f"run {recorded.id} cannot be made anew: {why}")
    return Checkout(commit, source, patched, entry, tuple(shortfalls))


def _check_out(
    recorded: Recorded, into: Path, start: Path, shortfalls: list[str]
) -> tuple[str | None, str | None]:
    """The commit that was checked out, and where it came from."""
    wanted = commit_of(recorded.text("git", "base")) or commit_of(recorded.text("git", "commit"))
    if wanted is None:
        shortfalls.append(f"no commit: {recorded.text('git', 'note') or 'git was not recorded'}")
        return None, None
    remote = recorded.text("git", "remote")
    root = recorded.text("git", "root")
    for folder in dict.fromkeys((start, Path(root) if root else start)):
        if folder.is_dir() and _has(folder, wanted, remote):
            try:
                git(folder, "worktree", "add", "--detach", "--quiet", str(into), wanted)
            except GitFailed as error:
                shortfalls.append(f"no work tree from {folder}: {error}")
                continue
            top = Path(git(folder, "rev-parse", "--show-toplevel"))
            _submodules(recorded, into, top, shortfalls)
            return wanted, str(top)
    why = f"commit {wanted[:12]} is neither in {start} nor in {root or 'another folder of this machine'}"
    if not remote:
        shortfalls.append(f"{why}, and no remote is recorded from which to clone it")
        return None, None
    try:
        git(start, "clone", "--quiet", "--no-checkout", "--", remote, str(into))
        if not succeeds(into, "cat-file", "-e", f"{wanted}^{{commit}}"):
            git(into, "fetch", "--quiet", "origin", wanted)
        git(into, "checkout", "--quiet", "--detach", wanted)
    except GitFailed as error:
        shutil.rmtree(into, ignore_errors=True)
        shortfalls.append(f"{why}, and {remote} does not give it: {error}")
        return None, None
    _submodules(recorded, into, None, shortfalls)
    return wanted, remote


def _has(folder: Path, commit: str, remote: str) -> bool:
    """Whether the repository around `folder` has the commit, if need be after a fetch from `remote`."""
    if not succeeds(folder, "rev-parse", "--show-toplevel"):
        return False
    if succeeds(folder, "cat-file", "-e", f"{commit}^{{commit}}"):
        return True
    try:
        names = git(folder, "remote").splitlines()
        same = [
            n for n in names if remote and strip_credentials(git(folder, "remote", "get-url", n)) == remote
        ]
    except GitFailed:
        return False
    return any(
        succeeds(folder, "fetch", "--quiet", name)
        and succeeds(folder, "cat-file", "-e", f"{commit}^{{commit}}")
        for name in same
    )


def _submodules(recorded: Recorded, into: Path, local: Path | None, shortfalls: list[str]) -> None:
    """Put every recorded submodule in its place, from the work tree at `local` where that has it."""
    modules = recorded.table("git").get("submodules")
    for module in modules if isinstance(modules, list) else []:
        if not isinstance(module, Mapping):
            continue
        try:
            path = inside(str(module.get("path", "")))
            target = place(into, path)
            if target.is_symlink():
                raise ValueError(f"{path} is a link")
        except ValueError as refused:
            shortfalls.append(f"submodule {module.get('path')} is missing: {refused}")
            continue
        wanted = commit_of(str(module.get("base")))
        sources = [str(local / path)] if local is not None and (local / path / ".git").exists() else []
        error = _clone_submodule(module, [*sources, str(module.get("url", ""))], target, wanted)
        if error:
            shortfalls.append(f"submodule {path} is missing: {error}")


def _clone_submodule(module: Mapping[str, Any], sources: list[str], target: Path, wanted: str | None) -> str:
    """Why it could not be, "" where it is there."""
    if wanted is None:
        return "no commit of it is recorded"
    error = "no address is recorded"
    for source in sources:
        if not source:
            continue
        try:
            target.mkdir(parents=True, exist_ok=True)
            git(target, "clone", "--quiet", "--no-checkout", "--", source, ".")
            git(target, "checkout", "--quiet", "--detach", wanted)
        except GitFailed as failure:
            error = str(failure)
            shutil.rmtree(target, ignore_errors=True)
            continue
        url = str(module.get("url", ""))
        if url and url != source:
            git(target, "remote", "set-url", "origin", url)
        return ""
    return error


def _patch(recorded: Recorded, into: Path, scratch: Path, shortfalls: list[str]) -> bool:
    """Apply the recorded patch; whether there was one and it is applied."""
    name = recorded.text("diff_file")
    if not name:
        if recorded.table("git").get("dirty") or recorded.table("git").get("ahead"):
            shortfalls.append("the changes since that commit are not recorded")
        return False
    patch = scratch / "diff.patch"
    if not recorded.fetch(name, patch):
        shortfalls.append(f"the changes since that commit: {name} is recorded, but its content is not there")
        return False
    diff = recorded.table("diff")
    if diff.get("truncated"):
        shortfalls.append("the changes since that commit were too many: the recorded patch is cut")
    left_out = diff.get("left_out")
    shortfalls += [
        f"{one.get('path')} is not in the patch: {one.get('why')}"
        for one in (left_out if isinstance(left_out, list) else [])
        if isinstance(one, Mapping)
    ]
    if not diff.get("files"):
        return False
    try:
        # Within another repository git would pass over, without a word, all that lies outside of `into`.
        git(into, "apply", "--whitespace=nowarn", str(patch), alone=True)
    except GitFailed as error:
        kept = into / "diff.patch.not-applied"
        kept.unlink(missing_ok=True)
        shutil.copyfile(patch, kept)
        shortfalls.append(f"the patch could not be applied ({error}); it lies in {kept}")
        return False
    return True


def _entry(recorded: Recorded, into: Path, scratch: Path, shortfalls: list[str]) -> str | None:
    """Put the recorded copy of the entry script, or of a notebook's cells, where it is missing or differs."""
    name = recorded.text("code_file")
    copy = scratch / "entry"
    if not name and recorded.fetch("code/_session_history.ipynb", copy):
        name = "code/_session_history.ipynb"
    if not name.startswith("code/"):
        return None
    relative = inside(name.removeprefix("code/"))
    if not recorded.fetch(name, copy):
        shortfalls.append(f"{name} is recorded, but its content is not there")
        return str(relative) if (into / relative).is_file() else None
    target = place(into, relative)
    if target.is_file() and target.read_bytes() == copy.read_bytes():
        return str(relative)
    if target.exists():
        shortfalls.append(
            f"{relative} in git is another than the one that ran; the recorded copy is in its place"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)  # It may be a link, and what that leads to is none of the run's.
    shutil.copyfile(copy, target)
    return str(relative)
