"""What git says of the code that ran: commit, branch, remote, and what is only on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from kiseki.sidecar.provenance.git import ENOUGH, Git
from kiseki.system.secrets import strip_credentials

MAX_UNTRACKED: Final = 200
_LISTED_UNTRACKED: Final = 5000
_SLOW_S: Final = 20.0


class Submodule(Struct, frozen=True):
    """One submodule: what is checked out, and the newest commit of that which a remote of its own has."""

    path: str
    url: str
    commit: str | None = None
    base: str | None = None


class Repository(Struct, frozen=True):
    """The repository around a run's script. `base` is the commit that the recorded patch starts from."""

    root: str
    commit: str | None = None
    base: str | None = None
    branch: str | None = None
    remote: str | None = None
    ahead: int | None = None
    """How many commits of HEAD no remote has; None where there is no remote, or it could not be found out."""
    dirty: bool | None = None
    untracked: tuple[str, ...] = ()
    submodules: tuple[Submodule, ...] = ()
    notes: tuple[str, ...] = ()

    def described(self, cwd: str) -> dict[str, Any]:
        """The value of `git` in the environment record, for a run started in `cwd`."""
        inside = os.path.relpath(os.path.realpath(cwd), os.path.realpath(self.root)) if cwd else os.pardir
        # None: started outside of the repository in which its script lies.
        subdir = None if inside.split(os.sep)[0] == os.pardir else "" if inside == os.curdir else inside
        info: dict[str, Any] = {
            "commit": self.commit,
            "branch": self.branch,
            "remote": self.remote,
            "root": self.root,
            "dirty": self.dirty,
            "ahead": self.ahead,
            "untracked": list(self.untracked[:MAX_UNTRACKED]),
            "subdir": subdir,
            "base": self.base,
        }
        if len(self.untracked) > MAX_UNTRACKED:
            info["untracked_count"] = len(self.untracked)
        if self.submodules:
            info["submodules"] = [
                {name: getattr(module, name) for name in ("path", "url", "commit", "base")}
                for module in self.submodules
            ]
        if self.notes:
            info["note"] = "; ".join(self.notes)
        return info


def find_repository(git: Git, candidates: list[str]) -> tuple[Repository | None, str]:
    """The repository around the first of the folders that lies in one, else None and why.

    Raises GitUnavailable.
    """
    why = ""
    for folder in candidates:
        answer = git.within(folder).ask("rev-parse", "--show-toplevel")
        if answer.ok and answer.text:
            return look_at(git.within(answer.text), answer.text), ""
        missing = "not a git repository (or any" in answer.why
        why = why or ("" if missing else _plain(answer.why))
    return None, why or "no git repository"


def look_at(git: Git, root: str) -> Repository:
    """Everything about the repository at `root` but its submodules; what fails becomes a note."""
    notes: list[str] = []
    head = git.ask("rev-parse", "--verify", "-q", "HEAD^{commit}")
    commit = head.text if head.ok else None
    branch = git.ask("symbolic-ref", "-q", "--short", "HEAD")
    if commit is None:
        notes.append(_plain(head.why) if head.why and head.status != 1 else "no commit yet")
    elif not branch.ok:
        notes.append("no branch: HEAD is detached")
    if git.ask("rev-parse", "--is-shallow-repository").text == "true":
        notes.append("a shallow clone")
    remotes, upstream = _remotes(git, branch.text if branch.ok else "")
    base, ahead, holder = _published(git, commit, list(remotes), notes)
    remote = next((name for name in (holder, upstream, "origin", *remotes) if name in remotes), None)
    untracked = _untracked(git, notes)
    dirty = _dirty(git, notes) if commit is not None else None
    return Repository(
        root=root,
        commit=commit,
        base=base,
        branch=branch.text if branch.ok else None,
        remote=strip_credentials(remotes[remote]) if remote is not None else None,
        ahead=ahead,
        dirty=dirty,
        untracked=untracked,
        submodules=tuple(_submodules(git, root)),
        notes=tuple(notes),
    )


def _dirty(git: Git, notes: list[str]) -> bool | None:
    """Whether tracked files differ from HEAD; None, with a note, where that cannot be found out."""
    form = ("--quiet", "-O/dev/null", "--no-ext-diff", "--no-textconv")
    try:
        changed = git.on_a_copy_of_the_index().ask("diff", *form, "HEAD", seconds=_SLOW_S)
    except OSError as error:
        notes.append(f"changes are not known: {error.strerror or error}")
        return None
    if changed.status in (0, 1):
        return changed.status == 1
    notes.append(_plain(changed.why))
    return None


def _remotes(git: Git, branch: str) -> tuple[dict[str, str], str | None]:
    """The addresses of the remotes by name, and the one that `branch` follows."""
    answer = git.ask("config", "-z", "--get-regexp", r"^(remote\..*\.url|branch\..*\.remote)$")
    remotes: dict[str, str] = {}
    upstream = None
    for entry in answer.text.split("\0"):
        name, _, value = entry.partition("\n")
        if name.startswith("remote."):
            remotes.setdefault(name[len("remote.") : -len(".url")], value)
        elif branch and name == f"branch.{branch}.remote":
            upstream = value
    return remotes, upstream


def _published(
    git: Git, commit: str | None, remotes: list[str], notes: list[str]
) -> tuple[str | None, int | None, str | None]:
    """The newest commit of HEAD's history that a remote has (else HEAD), how many follow, and whose."""
    if commit is None or not remotes:
        return commit, None, None
    unpushed = git.ask("rev-list", "--topo-order", "HEAD", "--not", "--remotes", seconds=_SLOW_S)
    if not unpushed.ok:
        notes.append(f"what is unpushed is not known: {_plain(unpushed.why)}")
        return commit, None, None
    ahead = len(unpushed.output.splitlines())
    base: str | None = commit
    if ahead:
        own = git.ask("rev-list", "--first-parent", "HEAD", "--not", "--remotes", seconds=_SLOW_S).text
        before = git.ask("rev-parse", "--verify", "-q", f"{own.splitlines()[-1] if own else 'HEAD'}^1")
        base = before.text if before.ok else None
    if base is None:
        notes.append("no commit of this branch is on a remote")
        return commit, ahead, None
    found = git.ask(
        "for-each-ref", "--contains", base, "--format=%(refname)", "refs/remotes", seconds=_SLOW_S
    )
    holders = [ref.removeprefix("refs/remotes/") for ref in found.text.splitlines()]
    order = sorted(remotes, key=lambda name: (name != "origin", name))
    return base, ahead, next((n for n in order if any(ref.startswith(n + "/") for ref in holders)), None)


def _untracked(git: Git, notes: list[str]) -> tuple[str, ...]:
    """Files that git neither tracks nor ignores, as far as they could be listed."""
    taken = bytearray()

    def take(data: bytes) -> bool:
        taken.extend(data)
        return taken.count(0) <= _LISTED_UNTRACKED

    command = ("ls-files", "-z", "--others", "--exclude-standard", "--full-name")
    answer = git.stream(command, take, seconds=_SLOW_S)
    if not answer.ok:
        notes.append(
            f"more than {_LISTED_UNTRACKED} untracked files"
            if answer.why == ENOUGH
            else f"untracked files: {_plain(answer.why)}"
        )
    names = bytes(taken).split(b"\0")[:-1]
    return tuple(os.fsdecode(name) for name in names[:_LISTED_UNTRACKED])


def _submodules(git: Git, root: str) -> list[Submodule]:
    """Every submodule that is checked out, those of submodules too, each by its path from the root."""
    if not os.path.isfile(os.path.join(root, ".gitmodules")):
        return []
    listed = git.ask("config", "-z", "-f", ".gitmodules", "--get-regexp", r"^submodule\..*\.(path|url)$")
    entries: dict[str, dict[str, str]] = {}
    for entry in listed.text.split("\0"):
        name, _, value = entry.partition("\n")
        section, _, key = name.removeprefix("submodule.").rpartition(".")
        if section:
            entries.setdefault(section, {})[key] = value
    found = []
    for module in entries.values():
        path = module.get("path", "")
        folder = Path(root, path)
        # Git has none such, but a file may say anything: "." would lead back here for ever.
        if path in ("", ".") or ".." in Path(path).parts or os.path.isabs(path):
            continue
        if not (folder / ".git").exists():
            continue
        inside = git.within(folder)
        head = inside.ask("rev-parse", "--verify", "-q", "HEAD^{commit}")
        commit = head.text if head.ok else None
        remotes, _ = _remotes(inside, "")
        base, _, _ = _published(inside, commit, list(remotes), [])
        url = strip_credentials(remotes.get("origin") or module.get("url", ""))
        found.append(Submodule(path, url, commit, base))
        found += [
            Submodule(f"{path}/{inner.path}", inner.url, inner.commit, inner.base)
            for inner in _submodules(inside, str(folder))
        ]
    return found


def _plain(why: str) -> str:
    """Git's reason, without what only its own user needs to know."""
    return why.partition(" at '")[0] if why.startswith("detected dubious ownership") else why
