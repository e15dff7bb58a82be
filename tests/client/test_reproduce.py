"""The command and the packages of a run as they are in its new place, and what is said of the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kiseki.client.reproduce import Recorded, reproduce
from kiseki.client.reproduce.command import Command, make_command
from kiseki.client.reproduce.requirements import sort_requirements


def _recorded(**environment: Any) -> Recorded:
    return Recorded("ada/p/r1", "r1", "amber-fox-1", environment, lambda name, target: False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A work tree with an environment beside what it was made of."""
    for name in ("tree/exp/train.py", "tree/.venv/bin/train", "old/exp/train.py", "old/exp/data.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path / "tree"


def _command(tree: Path, *argv: str, cwd: str = "exp", entry: str | None = None, **more: Any) -> Command:
    old = tree.parent / "old"
    subdir = None if cwd.startswith("/") else cwd
    recorded = _recorded(
        command=["/old/env/bin/python", *argv],
        executable="/old/env/bin/python",
        cwd=str(old / cwd),
        git={"root": str(old), "subdir": subdir},
        **more,
    )
    return make_command(recorded, tree, tree / ".venv", entry)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["train.py", "--lr", "1"], ["train.py", "--lr", "1"]),
        (["-u", "-X", "utf8", "../exp/train.py"], ["-u", "-X", "utf8", "train.py"]),
        (["OLD/exp/train.py", "OLD/exp/data.csv"], ["train.py", "OLD/exp/data.csv"]),
        (["-m", "exp.train", "-c", "x.py"], ["-m", "exp.train", "-c", "x.py"]),
        (["-c", "print(1)"], ["-c", "print(1)"]),
        (["/old/env/bin/train", "--x"], ["TREE/.venv/bin/train", "--x"]),
        ([], []),
    ],
)
def test_interpreter_and_script_get_their_new_place(tree: Path, argv: list[str], expected: list[str]) -> None:
    def placed(arguments: list[str]) -> list[str]:
        old = str(tree.parent / "old")
        return [each.replace("OLD", old).replace("TREE", str(tree)) for each in arguments]

    command = _command(tree, *placed(argv))
    assert list(command.argv) == [str(tree / ".venv/bin/python"), *placed(expected)]
    assert command.cwd == str(tree / "exp")
    assert command.shortfalls == ()


def test_a_run_started_outside_of_its_repository_starts_at_the_root(tree: Path) -> None:
    command = _command(tree, str(tree.parent / "old/exp/train.py"), cwd="/elsewhere")
    assert (command.argv[1], command.cwd) == ("exp/train.py", str(tree))


def test_a_script_that_was_nowhere_recorded_is_said(tree: Path) -> None:
    assert _command(tree, "gone.py").shortfalls == (
        f"the script {tree.parent}/old/exp/gone.py is neither in the work tree nor recorded",
    )
    assert _command(tree, "/x/gone.py", entry="exp/train.py").argv[1] == "train.py"


def test_a_folder_that_git_does_not_have_and_missing_data_are_said(tree: Path) -> None:
    command = _command(tree, "train.py", "--data=data.csv", "data.csv", "absent.csv")
    assert command.shortfalls == ("data.csv is not in the work tree: link or copy it there",)
    (tree.parent / "old" / "out").mkdir()
    command = _command(tree, "../exp/train.py", cwd="out")
    assert command.argv[1:] == ("exp/train.py",)
    assert command.shortfalls == (f"it was started in out, which git does not have; it starts in {tree}",)


def test_the_python_path_leads_into_the_work_tree(tree: Path) -> None:
    old = tree.parent / "old"
    command = _command(tree, "train.py", pythonpath=f"..:lib:{old}/src:/elsewhere")
    assert command.variables == {"PYTHONPATH": f"{tree}:{tree}/exp/lib:{tree}/src:/elsewhere"}
    outside = _recorded(command=["python", "t.py"], cwd="/old", pythonpath=".")
    assert make_command(outside, tree, None, "exp/train.py").variables == {"PYTHONPATH": str(tree)}


def test_masked_values_are_named_by_their_arguments(tree: Path) -> None:
    command = _command(tree, "train.py", "--api-key", "***", "db.password=***", "https://***@h/x")
    assert command.masked == ("--api-key", "db.password", "https://***@h/x")


def test_a_notebook_runs_its_recorded_cells(tree: Path) -> None:
    command = _command(tree, "-m", "ipykernel_launcher", entry="_session_history.ipynb")
    assert command.argv[1:] == ("-m", "IPython", str(tree / "_session_history.ipynb"))
    assert "notebook" in command.shortfalls[0]


def test_packages_of_the_repository_come_from_the_work_tree(tmp_path: Path) -> None:
    (tmp_path / "new" / "lib").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    sorted_ = sort_requirements(
        "# cpython 3.11\nnumpy==2.0\nx @ git+https://h/x.git@abc\n"
        "-e /old/repo  # own==1\n-e /old/repo/lib  # lib==1\n"
        f"-e {tmp_path}/other  # other==1\n-e git+https://h/y.git@abc#egg=y\nw @ https://h/w.whl#sha256=aa\n",
        "/old/repo",
        tmp_path / "new",
    )
    assert list(sorted_.lines) == [
        "numpy==2.0",
        "x @ git+https://h/x.git@abc",
        f"-e {(tmp_path / 'new').as_uri()}",
        f"-e {(tmp_path / 'new' / 'lib').as_uri()}",
        f"-e {(tmp_path / 'other').as_uri()}",
        "-e git+https://h/y.git@abc#egg=y",
        "w @ https://h/w.whl#sha256=aa",
    ]
    assert sorted_.shortfalls == (
        f"package other==1 is installed from {tmp_path}/other as that is now, not as it was then",
    )


def test_launchers_and_hardware_are_said(tmp_path: Path) -> None:
    def fetch(name: str, target: Path) -> bool:
        target.write_text("print(1)\n")
        return name == "code/train.py"

    environment = {
        "code_file": "code/train.py",
        "command": ["python", "train.py"],
        "torchrun": {"rank": "3", "world_size": "8"},
        "slurm": {"job_id": "77"},
        "gpus": [{"name": "NVIDIA H100"}, {"name": "NVIDIA H100"}],
        "cuda": {"version": "12.4"},
    }
    recorded = Recorded("ada/p/r1", "r1", "r1", environment, fetch)
    made = reproduce(recorded, tmp_path / "into", start=tmp_path, with_environment=False)
    assert made.shortfalls[1:-1] == (
        "it was rank 3 of 8, started by torchrun: the command is that of one process alone",
        "it ran as SLURM job 77: submit it as such where that matters",
        "it ran on 2 × NVIDIA H100 with CUDA 12.4; here it takes what this machine has",
    )
    with pytest.raises(FileExistsError, match="is there already"):
        reproduce(recorded, tmp_path / "into", start=tmp_path, with_environment=False)


def test_an_interpreter_that_does_not_exist_leaves_the_code_and_says_so(tmp_path: Path) -> None:
    def fetch(name: str, target: Path) -> bool:
        target.write_text("print(1)\n")
        return name.startswith("code/t")

    recorded = Recorded(
        "a/b/c", "c", "c", {"code_file": "code/t.py", "command": [sys.executable, "t.py"]}, fetch
    )
    made = reproduce(recorded, tmp_path / "into", start=tmp_path, python="/no/python")
    assert made.environment is None
    assert any(line.startswith("no environment: /no/python cannot be run") for line in made.shortfalls)
    assert made.command.argv == ("python", "t.py")


def test_links_of_the_repository_lead_nothing_out_of_the_work_tree(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=Mei", "-c", "user.email=mei@example.org")
        command = ["git", "-C", str(tmp_path / "repo"), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def fetch(name: str, target: Path) -> bool:
        target.write_text("print('mine')\n")
        return name.startswith("code/t")

    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "key").write_text("precious")
    (home / "profile").write_text("precious")
    (tmp_path / "repo").mkdir()
    git("init", "-q")
    (tmp_path / "repo" / "out").symlink_to(home)
    (tmp_path / "repo" / "t.py").symlink_to(home / "profile")
    git("add", "-A")
    git("commit", "-q", "-m", "links")
    modules = [
        {"path": path, "url": str(tmp_path / "gone"), "base": "a" * 40} for path in ("out/.ssh", "out")
    ]
    environment = {
        "git": {"commit": git("rev-parse", "HEAD"), "root": str(tmp_path / "repo"), "submodules": modules},
        "code_file": "code/t.py",
        "command": ["python", "t.py"],
    }
    recorded = Recorded("a/b/c", "c", "c", environment, fetch)
    made = reproduce(recorded, tmp_path / "into", start=tmp_path, with_environment=False)
    assert (home / ".ssh" / "key").read_text() == (home / "profile").read_text() == "precious"
    assert (tmp_path / "into" / "t.py").read_text() == "print('mine')\n"
    assert [line.split(" is ")[0] for line in made.shortfalls[:2]] == [
        "submodule out/.ssh", "submodule out",
    ]  # fmt: skip
