"""What git says of the code that ran, and what is noted where git says nothing."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Gather = Callable[..., Any]


def _script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_commit_branch_remote_and_what_is_unpushed(repo: Any, make_repo: Callable, gather: Gather) -> None:
    published = repo.git("rev-parse", "HEAD")
    make_repo("server").git("clone", "-q", "--bare", str(repo.folder), ".")
    repo.git("remote", "add", "origin", str(make_repo("server").folder))
    repo.git("fetch", "-q", "origin")
    repo.git("remote", "set-url", "origin", "https://mei:s3cret@example.org/x.git")
    head = repo.commit({"train.py": "lr = 2\n"})
    repo.put({"sub/notes.py": "n = 1\n"})
    found = gather(repo.folder / "sub", repo.folder / "train.py").git
    assert found == {
        "commit": head,
        "base": published,
        "branch": "main",
        "remote": "https://example.org/x.git",
        "root": str(repo.folder),
        "subdir": "sub",
        "dirty": False,
        "ahead": 1,
        "untracked": ["sub/notes.py"],
    }


def test_a_commit_on_another_remote_names_that_one(repo: Any, make_repo: Callable, gather: Gather) -> None:
    for name in ("origin", "fork"):
        make_repo(name).git("clone", "-q", "--bare", str(repo.folder), ".")
        repo.git("remote", "add", name, str(make_repo(name).folder))
        repo.git("fetch", "-q", name)
    head = repo.commit({"train.py": "lr = 2\n"})
    repo.git("push", "-q", "fork", "main")
    found = gather(repo.folder).git
    assert (found["base"], found["ahead"]) == (head, 0)
    assert found["remote"] == str(make_repo("fork").folder)


def test_a_branch_that_shares_nothing_with_its_remote(repo: Any, make_repo: Callable, gather: Gather) -> None:
    other = make_repo("other").start()
    other.commit({"a.py": "1\n"})
    repo.git("remote", "add", "origin", str(other.folder))
    repo.git("fetch", "-q", "origin")
    repo.git("checkout", "-q", "--orphan", "alone")
    repo.commit({"train.py": "lr = 3\n"})
    gathered = gather(repo.folder)
    assert gathered.git["note"] == "no commit of this branch is on a remote"
    assert gathered.git["ahead"] == 1
    assert gathered.git["base"] == gathered.git["commit"]


def test_a_detached_head_a_work_tree_and_a_shallow_clone(
    repo: Any, make_repo: Callable, gather: Gather
) -> None:
    first = repo.git("rev-parse", "HEAD")
    repo.commit({"train.py": "lr = 2\n"})
    tree = make_repo("tree")
    repo.git("worktree", "add", "-q", "--detach", str(tree.folder), first)
    found = gather(tree.folder).git
    assert (found["commit"], found["branch"], found["root"]) == (first, None, str(tree.folder))
    assert found["note"] == "no branch: HEAD is detached"
    shallow = make_repo("shallow")
    shallow.git("clone", "-q", "--depth", "1", f"file://{repo.folder}", ".")
    assert gather(shallow.folder).git["note"] == "a shallow clone"


def test_no_commit_yet(make_repo: Callable, gather: Gather) -> None:
    fresh = make_repo("fresh").start(commit=False)
    fresh.put({"train.py": "lr = 1\n", "staged.py": "a\n"})
    fresh.git("add", "staged.py")
    gathered = gather(fresh.folder, fresh.folder / "train.py")
    assert (gathered.git["commit"], gathered.git["note"]) == (None, "no commit yet")
    assert "+a" in gathered.patch and "+lr = 1" in gathered.patch


def test_no_repository_and_a_bare_one(tmp_path: Path, make_repo: Callable, gather: Gather) -> None:
    assert gather(tmp_path).git == {"note": "no git repository"}
    bare = make_repo("bare.git")
    bare.git("init", "-q", "--bare")
    assert gather(bare.folder).git == {"note": "this operation must be run in a work tree"}
    assert gather(tmp_path / "removed").git == {"note": "no git repository"}


def test_a_broken_repository_is_noted_and_the_rest_recorded(repo: Any, gather: Gather) -> None:
    (repo.folder / ".git" / "HEAD").write_text("garbage")
    gathered = gather(repo.folder, repo.folder / "train.py")
    assert gathered.git == {"note": "no git repository"}
    assert gathered.told["code_file"] == "code/train.py"
    (repo.folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (repo.folder / ".git" / "index").write_bytes(b"garbage")
    gathered = gather(repo.folder, repo.folder / "train.py")
    assert len(gathered.git["commit"]) == 40
    assert "index" in gathered.git["note"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_a_repository_of_somebody_else_is_noted(repo: Any, gather: Gather) -> None:
    for path in (repo.folder, repo.folder / ".git"):
        os.chown(path, 12345, 12345)
    assert gather(repo.folder).git == {"note": "detected dubious ownership in repository"}


def test_no_git_at_all(repo: Any, gather: Gather, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gather(repo.folder).git == {"note": "git cannot be run: No such file or directory"}


def test_git_is_that_of_the_training_and_not_of_the_one_that_started_the_sidecar(
    repo: Any, gather: Gather, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "commit" in gather(repo.folder, path=path).git
    monkeypatch.setenv("PATH", path)
    assert "note" in gather(repo.folder, path=str(tmp_path)).git


def test_a_git_that_hangs_is_given_up(
    repo: Any, gather: Gather, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    _script(tmp_path / "bin" / "git", "exec sleep 1000")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    gathered = gather(repo.folder, repo.folder / "train.py", seconds=0.3)
    assert "took longer" in gathered.git["note"]
    assert gathered.told["code_file"] == "code/train.py"


def test_nothing_is_changed_and_nothing_of_the_repository_is_run(
    repo: Any, gather: Gather, tmp_path: Path
) -> None:
    trap = _script(tmp_path / "trap", f"echo ran >> '{tmp_path}/ran'\nsleep 1000")
    repo.put({".gitattributes": "*.py diff=evil\n"})
    for setting in ("core.fsmonitor", "core.pager", "diff.external", "diff.evil.textconv", "core.askPass"):
        repo.git("config", setting, trap)
    hooks = repo.folder / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in ("post-index-change", "post-checkout"):
        _script(hooks / hook, f"exec '{trap}'")
    os.utime(repo.folder / "train.py", (1, 1))
    repo.put({"other.py": "x\n"})

    def state() -> dict[str, tuple[int, bytes]]:
        return {
            str(path): (path.stat().st_mtime_ns, path.read_bytes())
            for path in (repo.folder / ".git").rglob("*")
            if stat.S_ISREG(path.stat().st_mode)
        }

    before = state()
    gathered = gather(repo.folder, repo.folder / "train.py")
    assert state() == before
    assert not (tmp_path / "ran").exists()
    assert gathered.git["dirty"] is False
    assert "other.py" in gathered.patch


def test_untracked_files_are_listed_up_to_a_bound(repo: Any, gather: Gather) -> None:
    repo.put({f"data/{number:03}.bin": b"\0" for number in range(250)} | {"a\nb.py": "1\n"})
    gathered = gather(repo.folder)
    assert len(gathered.git["untracked"]) == 200
    assert gathered.git["untracked_count"] == 251
    assert gathered.told["diff"]["untracked"] == ["a\nb.py"]


def test_submodules_are_named_with_what_is_checked_out(
    repo: Any, make_repo: Callable, gather: Gather
) -> None:
    lib = make_repo("lib").start()
    published = lib.git("rev-parse", "HEAD")
    repo.git("submodule", "--quiet", "add", str(lib.folder), "third party/lib")
    repo.commit({})
    inside = repo.folder / "third party" / "lib"
    repo.git("commit", "-q", "--allow-empty", "-m", "local", cwd=inside)
    assert gather(repo.folder).git["submodules"] == [
        {
            "path": "third party/lib",
            "url": str(lib.folder),
            "commit": repo.git("rev-parse", "HEAD", cwd=inside),
            "base": published,
        }
    ]


def test_switched_off_git_is_not_asked(repo: Any, gather: Gather) -> None:
    gathered = gather(repo.folder, repo.folder / "train.py", git=False, diff=False, save_code=False)
    assert "git" not in gathered.told and "code_file" not in gathered.told
    assert sorted(os.listdir(gathered.files)) == ["requirements.txt"]


def test_the_sidecars_own_variables_do_not_lead_git_astray(
    repo: Any, make_repo: Callable, gather: Gather, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repo("other").start()
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere")
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        cwd=repo.folder,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]},
    ).stdout.strip()
    found = gather(repo.folder).git
    assert (found["root"], found["commit"]) == (str(repo.folder), head)


def test_a_submodule_that_is_said_to_be_the_repository_itself_is_passed_over(
    repo: Any, gather: Gather
) -> None:
    repo.commit({".gitmodules": '[submodule "a"]\npath = .\n[submodule "b"]\npath = ../x\nurl = y\n'})
    assert "submodules" not in gather(repo.folder).git
