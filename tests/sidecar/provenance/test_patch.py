"""`diff.patch`: one `git apply` at the published commit makes the work tree what it was."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Gather = Callable[..., Any]


def _at_base(repo: Any, made: Any, base: str) -> Any:
    """A clone at `base`, with its submodules."""
    made.git("clone", "-q", str(repo.folder), ".")
    made.git("checkout", "-q", base)
    made.git("submodule", "--quiet", "update", "--init", "--recursive")
    return made


def _apply(made: Any, gathered: Any) -> None:
    made.git("apply", "--whitespace=nowarn", str(gathered.files / "diff.patch"))


def test_every_kind_of_change_is_applied_to_the_published_commit(
    repo: Any, make_repo: Callable, gather: Gather
) -> None:
    base = repo.commit(
        {
            "train.py": "".join(f"line {n}\n" for n in range(50)),
            "dos.py": "a\r\nb\r\n",
            "日本語 name.py": "x\n",
            "gone.py": "y\n",
            "moved.py": "".join(f"m{n}\n" for n in range(20)),
            "run.sh": "echo\n",
            "no newline": "end",
            "weights.bin": bytes(range(256)) * 20,
            "--option": "1\n",
        }
    )
    server = make_repo("server")
    server.git("clone", "-q", "--bare", str(repo.folder), ".")
    repo.git("remote", "add", "origin", str(server.folder))
    repo.git("fetch", "-q", "origin")
    repo.commit({"unpushed.py": "u\n", "train.py": "".join(f"line {n}\n" for n in range(1, 50))})
    repo.put(
        {
            "dos.py": "a\r\nB\r\n",
            "日本語 name.py": "+++ x\n--- y\n",
            "no newline": "ende",
            "weights.bin": bytes(reversed(range(256))) * 20,
            "--option": "2\n",
            "staged.py": "s\n",
            "pkg/new file.py": "# Kiseki: 新\n",
            "data.bin": b"\0" * 100,
        }
    )
    (repo.folder / "gone.py").unlink()
    (repo.folder / "moved.py").rename(repo.folder / "to.py")
    (repo.folder / "run.sh").chmod(0o755)
    repo.git("add", "staged.py", "to.py", "moved.py")
    gathered = gather(repo.folder, repo.folder / "train.py")
    assert gathered.git["base"] == base
    clone = _at_base(repo, make_repo("clone"), base)
    _apply(clone, gathered)
    expected = repo.tree()
    del expected["data.bin"]  # no source: it is named as untracked only
    assert clone.tree() == expected
    assert gathered.told["diff"]["untracked"] == ["pkg/new file.py"]
    assert gathered.told["diff"]["truncated"] is False
    assert gathered.told["diff"]["files"] == 12


def test_changed_lines_are_counted(repo: Any, gather: Gather) -> None:
    repo.put({"train.py": "++ a\n-- b\nlr = 2\n", "new.py": "1\n2\n"})
    counted = gather(repo.folder).told["diff"]
    assert (counted["files"], counted["additions"], counted["deletions"]) == (2, 5, 1)


def test_no_change_leaves_no_patch_and_removes_that_of_an_earlier_start(repo: Any, gather: Gather) -> None:
    os.utime(repo.folder / "train.py", (1, 1))
    gathered = gather(repo.folder)
    assert "diff" not in gathered.told
    assert "provenance_note" not in gathered.told
    assert not (gathered.files / "diff.patch").exists()


def test_changes_within_submodules_are_part_of_the_patch(
    repo: Any, make_repo: Callable, gather: Gather
) -> None:
    inner = make_repo("inner").start()
    lib = make_repo("lib").start()
    lib.git("submodule", "--quiet", "add", str(inner.folder), "deep/inner")
    lib.commit({})
    repo.git("submodule", "--quiet", "add", str(lib.folder), "third party/lib")
    repo.git("submodule", "--quiet", "update", "--init", "--recursive")
    base = repo.commit({})
    inside = repo.folder / "third party" / "lib"
    repo.put({"third party/lib/train.py": "lr = 2\n"})
    repo.git("commit", "-qam", "local", cwd=inside)
    repo.put({"third party/lib/own.py": "o\n", "third party/lib/deep/inner/train.py": "lr = 3\n"})
    gathered = gather(repo.folder, repo.folder / "train.py")
    clone = _at_base(repo, make_repo("clone"), base)
    _apply(clone, gathered)
    assert clone.tree() == repo.tree()
    assert gathered.told["diff"]["untracked"] == ["third party/lib/own.py"]


def test_a_diff_beyond_the_limit_is_cut_between_two_files_and_says_so(
    repo: Any, make_repo: Callable, gather: Gather
) -> None:
    base = repo.git("rev-parse", "HEAD")
    repo.put({f"f{number}.py": "".join(f"{n}\n" for n in range(20_000)) for number in range(9)})
    repo.git("add", "-A")
    gathered = gather(repo.folder, diff_bytes=400_000)
    assert gathered.told["diff"]["truncated"] is True
    assert 0 < gathered.told["diff"]["files"] < 9
    assert (gathered.files / "diff.patch").stat().st_size < 401_000
    assert gathered.patch.endswith("# Kiseki: cut here, for the changes are more than 400 kB\n")
    clone = _at_base(repo, make_repo("clone"), base)
    _apply(clone, gathered)
    assert len(clone.tree()) == gathered.told["diff"]["files"] + 1


def test_a_cut_takes_large_files_first_and_no_untracked_source(
    repo: Any, make_repo: Callable, gather: Gather
) -> None:
    base = repo.commit({"a.csv": "1\n", "b.csv": "1\n"})
    big = "".join(f"{n}\n" for n in range(250_000))
    repo.put({"a.csv": big, "b.csv": big, "train.py": "lr = 2\n", "helper.py": "h\n"})
    gathered = gather(repo.folder, diff_bytes=2_000_000)
    assert gathered.told["diff"]["truncated"] is True
    assert gathered.told["diff"]["untracked"] == ["helper.py"]
    clone = _at_base(repo, make_repo("clone"), base)
    _apply(clone, gathered)
    assert clone.tree() == {**repo.tree(), "b.csv": (b"1\n", False)}
    gathered = gather(repo.folder, diff_bytes=100)  # the small ones alone are too much
    assert gathered.told["diff"]["untracked"] == ["helper.py"]
    assert gathered.told["diff"]["files"] == 1


def test_one_file_beyond_the_limit_leaves_the_mark_alone(repo: Any, gather: Gather) -> None:
    repo.put({"train.py": "x" * 500_000})
    gathered = gather(repo.folder, diff_bytes=10_000)
    assert gathered.told["diff"] == {"files": 0, "additions": 0, "deletions": 0, "truncated": True}
    assert gathered.patch.startswith("# Kiseki: cut here")


def test_a_huge_changed_file_is_left_out_and_named(repo: Any, make_repo: Callable, gather: Gather) -> None:
    base = repo.commit({"table [1].csv": "1\n"})
    with (repo.folder / "table [1].csv").open("r+b") as file:
        file.truncate(26 * 2**20)
    repo.put({"train.py": "lr = 2\n"})
    gathered = gather(repo.folder)
    left_out = [{"path": "table [1].csv", "why": "more than 25 MB"}]
    assert gathered.told["diff"]["left_out"] == left_out
    assert gathered.told["diff"]["files"] == 1
    assert "# Kiseki: left out: 'table [1].csv'" in gathered.patch
    clone = _at_base(repo, make_repo("clone"), base)
    _apply(clone, gathered)
    assert clone.tree()["train.py"] == (b"lr = 2\n", False)


def test_untracked_files_that_may_hold_secrets_are_not_kept(repo: Any, gather: Gather) -> None:
    repo.put(
        {
            ".env": "HF_TOKEN=x\n",
            "client_secret.json": "{}\n",
            "a.py": "token = 'hf_" + "a1B2" * 8 + "'\n",
            "b.yaml": "wandb:\n  api_key: 0123\n",
            "c.yaml": "tokenizer: bert\nmax_tokens: 5\n",
            "d.py": "x" * 300_000,
            "e.py": b"\0\1",
            "f.py": "ok\n",
        }
    )
    gathered = gather(repo.folder)
    assert gathered.told["diff"]["untracked"] == ["f.py", "c.yaml"]
    assert {one["path"]: one["why"] for one in gathered.told["diff"]["left_out"]} == {
        "client_secret.json": "by its name it may hold a secret",
        "a.py": "it seems to hold a secret",
        "b.yaml": "it seems to hold a secret",
        "d.py": "more than 256 kB",
        "e.py": "no text",
    }
    assert ".env" in gathered.git["untracked"]


def test_untracked_files_beside_the_script_come_first(repo: Any, gather: Gather) -> None:
    big = "x = 1\n" * 40_000
    repo.put(
        {f"a{number}/m.py": big for number in range(6)} | {"z/exp/train.py": "1\n", "z/exp/model.py": big}
    )
    gathered = gather(repo.folder, repo.folder / "z" / "exp" / "train.py")
    assert gathered.told["diff"]["untracked"][:2] == ["z/exp/model.py", "z/exp/train.py"]
    assert len(gathered.told["diff"]["untracked"]) == 5
    assert len(gathered.told["diff"]["left_out"]) == 3


def test_a_failing_filter_is_noted(repo: Any, gather: Gather) -> None:
    repo.commit({".gitattributes": "*.dat filter=big\n", "a.dat": "1\n"})
    repo.git("config", "filter.big.clean", "false")
    repo.git("config", "filter.big.required", "true")
    repo.put({"a.dat": "2\n", "train.py": "lr = 2\n"})
    gathered = gather(repo.folder)
    assert "external filter 'false' failed" in gathered.told["provenance_note"]


def test_a_folder_that_takes_no_file_is_noted(repo: Any, gather: Gather, tmp_path: Path) -> None:
    repo.put({"train.py": "lr = 2\n"})
    (tmp_path / "file").write_text("")
    gathered = gather(repo.folder, repo.folder / "train.py", run_dir=str(tmp_path / "file"))
    note = gathered.told["provenance_note"]
    assert all(
        part in note for part in ("packages are not recorded", "train.py was not saved", "diff is not")
    )


@pytest.mark.long
def test_half_a_gigabyte_of_changes_is_cut_and_costs_no_memory(
    repo: Any, gather: Gather, tmp_path: Path
) -> None:
    line = "0123456789abcdef" * 8 + "\n"
    repo.put({f"part{number}.txt": line * 160_000 for number in range(25)})  # 20 MB each
    repo.git("add", "-A")
    gathered = gather(repo.folder)
    assert gathered.told["diff"]["truncated"] is True
    assert gathered.told["diff"]["files"] == 2
    assert (gathered.files / "diff.patch").stat().st_size <= 50 * 2**20 + 100
