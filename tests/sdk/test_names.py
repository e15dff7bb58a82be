import random
import re
from pathlib import Path

import pytest

from kiseki.sdk import names
from kiseki.sdk.project import default_entity, default_project


def test_ids_and_names_have_their_form_and_leave_the_users_seed_alone() -> None:
    random.seed(1)
    before = random.getstate()
    assert re.fullmatch(r"[0-9a-z]{8}", names.new_run_id())
    assert re.fullmatch(r"w[a-z2-7]{15}", names.new_writer_id())
    assert re.fullmatch(r"[0-9a-f]{32}", names.new_run_uid())
    assert re.fullmatch(r"[a-z]+-[a-z]+-12", names.readable_name(12))
    assert random.getstate() == before
    assert len({names.new_run_id() for _ in range(1000)}) == 1000


def script(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.py").touch()
    monkeypatch.setattr("sys.argv", [str(folder / "train.py")])


def test_project_is_uncategorized_outside_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "a", monkeypatch)
    assert default_project() == "uncategorized"


@pytest.mark.parametrize(
    ("remote", "name"),
    [
        ("https://user:secret@example.org/team/vision.git", "vision"),
        ("git@example.org:team/vision.git", "vision"),
        ("git@example.org:vision", "vision"),
        (None, "checkout"),
    ],
)
def test_project_is_the_repositorys_name(
    remote: str | None, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "checkout"
    (root / ".git").mkdir(parents=True)
    if remote:
        (root / ".git" / "config").write_text(
            f'[core]\n\tbare = false\n[remote "other"]\n\turl = x/y\n[remote "origin"]\n\turl = {remote}\n'
        )
    script(root, monkeypatch)
    assert default_project() == name
    script(root / "models" / "big", monkeypatch)
    assert default_project() == f"{name}-models-big"


def test_work_tree_of_git_has_its_repositorys_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = tmp_path / "main" / ".git"
    (git / "worktrees" / "w").mkdir(parents=True)
    (git / "worktrees" / "w" / "commondir").write_text("../..\n")
    (git / "config").write_text('[remote "origin"]\n\turl = https://example.org/a/vision\n')
    tree = tmp_path / "w"
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {git / 'worktrees' / 'w'}\n")
    script(tree, monkeypatch)
    assert default_project() == "vision"


def test_installed_program_is_no_projects_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vision" / ".git").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "vision")
    environment = tmp_path / "vision" / ".venv"
    script(environment / "bin", monkeypatch)
    monkeypatch.setattr("sys.prefix", str(environment))
    assert default_project() == "vision"


def test_entity_is_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "domain\\mei")
    assert default_entity() == "domain-mei"
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    assert default_entity()
