"""A run is made anew from what was recorded: code, uncommitted changes, packages, command, metrics."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.wheels import wheel, wheel_of_installed, wheel_of_kiseki

from kiseki.records import history, read_run

TRAIN = """
import sys
import kiseki, tiny
from helper import decay
from lib.scale import SCALE
run = kiseki.init(project="digits", mode="offline")
lr = float(sys.argv[sys.argv.index("--lr") + 1])
for step in range(5):
    run.log({"loss": lr * SCALE * decay(step) * tiny.FACTOR})
run.finish()
"""


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def git_identity(isolated_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = isolated_home / "gitconfig"
    config.write_text('[user]\nname = Mei\nemail = mei@example.org\n[protocol "file"]\nallow = always\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("KISEKI_SIDECAR_LINGER", "0.1")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter whose environment holds Kiseki and a package of nobody else, both from wheels."""
    folder = tmp_path_factory.mktemp("packages")
    wheels = folder / "wheels"
    wheels.mkdir()
    wheel_of_kiseki(wheels)
    wheel_of_installed(wheels, "msgspec")
    wheel(wheels, "tiny", "1.5", {"tiny.py": b"FACTOR = 2.0\n"})
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    interpreter = folder / "env" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", interpreter, "install", "--quiet", "--no-index"]
    subprocess.run([*pip, "--find-links", wheels, "kiseki", "msgspec", "tiny", "--no-deps"], check=True)
    return interpreter


@pytest.fixture
def without_index(python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(python.parent.parent.parent / "wheels"))


def _train(python: Path, folder: Path, *arguments: str, wait_until: Callable[..., Any], key: str) -> Path:
    """Run a training; its run directory, once `key` of its environment is recorded."""
    done = subprocess.run(
        [python, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    (run_dir,) = (folder / "kiseki").glob("run-*")
    wait_until(lambda: key in read_run(run_dir).fold.environment, what=f"{key} of the environment")
    return run_dir


def _reproduce(*arguments: str | Path, cwd: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "kiseki.cli", "reproduce", *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done


def _losses(run_dir: Path) -> list[Any]:
    return [(row["_step"], row["loss"]) for row in history(run_dir)]


@pytest.mark.usefixtures("git_identity", "without_index")
def test_an_uncommitted_change_is_checked_out_patched_built_run_and_gives_the_same_metrics(
    tmp_path: Path, python: Path, wait_until: Callable[..., Any]
) -> None:
    library, repo = tmp_path / "library", tmp_path / "私の repo"
    for folder, files in {
        library: {"scale.py": "SCALE = 1.0\n"},
        repo: {"学習/train.py": "print('old')\n", ".gitignore": "data/\n"},
    }.items():
        folder.mkdir()
        _git(folder, "init", "-q", "-b", "main")
        _write(folder, files)
        _git(folder, "add", "-A")
        _git(folder, "commit", "-qm", "first")
    _git(repo, "submodule", "--quiet", "add", str(library), "学習/lib")
    _git(repo, "commit", "-qm", "library")
    _git(repo, "remote", "add", "origin", "https://mei:s3cr3t@example.org/repo.git")
    place = repo / "学習"
    _write(place, {"train.py": TRAIN, "helper.py": "def decay(n):\n    return 0.5**n\n"})
    _write(place, {"lib/scale.py": "SCALE = 3.0\n", "data/x.csv": "1\n"})
    command = ("train.py", "--lr", "0.1", "--data", "data/x.csv", "--notes", "a 'b' c")
    run_dir = _train(python, place, *command, wait_until=wait_until, key="diff_file")
    recorded = b"".join(path.read_bytes() for path in run_dir.rglob("*") if path.is_file())
    assert b"s3cr3t" not in recorded

    for folder in (place / "lib", repo):
        _git(folder, "stash", "-qu")  # what ran is in the record alone
    done = _reproduce(run_dir, "--into", tmp_path / "again 再", "--run", cwd=tmp_path)
    (again,) = (tmp_path / "again 再" / "学習" / "kiseki").glob("run-*")
    assert _losses(again) == _losses(run_dir) == [(n, 0.1 * 3.0 * 0.5**n * 2.0) for n in range(5)]
    assert "data/x.csv is not in the work tree" in done.stdout
    assert "applied: 3 files" in done.stdout
    assert f"Python {sys.version.split()[0]}, 3 packages, by pip" in done.stdout
    assert "Python " + sys.version.split()[0] + " instead" not in done.stdout
    environment = wait_until(lambda: read_run(again).fold.environment.get("executable"))
    assert environment == str(tmp_path / "again 再" / ".venv" / "bin" / "python")
    assert _git(repo, "status", "--porcelain") == ""


@pytest.mark.usefixtures("git_identity", "without_index")
def test_a_commit_that_is_not_here_is_cloned_and_what_cannot_be_had_is_said(
    tmp_path: Path, python: Path, wait_until: Callable[..., Any]
) -> None:
    origin, repo = tmp_path / "origin.git", tmp_path / "repo"
    repo.mkdir()
    _git(tmp_path, "init", "-q", "--bare", "-b", "main", str(origin))
    _git(repo, "init", "-q", "-b", "main")
    _write(repo, {"train.py": "import kiseki\nkiseki.init(project='p', mode='offline')\nkiseki.finish()\n"})
    _git(repo, "add", "-A")
    _git(repo, "commit", "-qm", "first")
    _git(repo, "remote", "add", "origin", str(origin))
    _git(repo, "push", "-q", "-u", "origin", "main")
    _write(repo, {"train.py": (repo / "train.py").read_text() + "# unpushed\n"})
    _git(repo, "commit", "-qam", "second")
    run_dir = _train(python, repo, "train.py", "--api-key", "abc", wait_until=wait_until, key="diff_file")
    moved = run_dir.rename(tmp_path / "run")
    repo.rename(tmp_path / "elsewhere")

    (moved / "files" / "requirements.txt").write_text(
        "nobody-has-this==1.0\ntiny==1.5\n-e /home/mei/lib  # lib==2\nown @ file:///srv/own\n--index-url https://h\n"
    )
    done = json.loads(_reproduce(moved, "--json", cwd=tmp_path).stdout)
    run_id = done["run"].rpartition("/")[2]
    tree = tmp_path / f"reproduce-{run_id}"
    assert done["directory"] == str(tree)
    assert done["checkout"]["source"] == str(origin)
    assert (tree / "train.py").read_text().endswith("# unpushed\n")
    assert done["environment"]["packages"] == 1
    assert done["command"]["argv"][1:] == ["train.py", "--api-key", "***"]
    assert done["command"]["masked"] == ["--api-key"]
    said = "\n".join(done["shortfalls"])
    for part in (
        "package nobody-has-this==1.0 could not be installed",
        "package lib==2 was installed from /home/mei/lib, which is not on this machine",
        "package own came from /srv/own, which is not on this machine",
        "package --index-url https://h: this is no line that Kiseki writes",
        "the value of --api-key was masked",
        "environment variables, data",
    ):
        assert part in said
    refused = _reproduce(moved, "--into", tmp_path / "b", "--no-env", "--run", cwd=tmp_path, status=1)
    assert "the value of --api-key was masked" in refused.stderr
    again = _reproduce(moved, cwd=tmp_path, status=1)
    assert again.stderr.startswith(f"kiseki: {tree} is there already")
    origin.rename(tmp_path / "gone")
    lost = _reproduce(moved, "--into", tmp_path / "c", "--no-env", cwd=tmp_path)
    assert "does not give it" in lost.stdout  # and the script alone is made anew
    assert os.listdir(tmp_path / "c") == ["train.py"]


@pytest.mark.skipif(shutil.which("uv") is None, reason="needs uv")
@pytest.mark.usefixtures("git_identity")
def test_uv_builds_the_environment_from_the_packages_or_from_the_lock_file(
    tmp_path: Path, python: Path, wait_until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = str(python.parent.parent.parent / "wheels")
    repo = tmp_path / "repo"
    repo.mkdir()
    project = '[project]\nname = "mine"\nversion = "1"\nrequires-python = ">=3.10"\ndependencies = ["tiny"]\n'
    script = "with kiseki.init(project='p', mode='offline') as run:\n    run.log({'a': tiny.FACTOR})\n"
    _write(repo, {"pyproject.toml": project, "t.py": f"import tiny, kiseki\n{script}"})
    lock = ["uv", "lock", "--quiet", "--no-index", "--find-links", wheels, "--python", sys.executable]
    subprocess.run(lock, cwd=repo, check=True)
    _git(repo, "init", "-q", "-b", "main")
    _git(repo, "add", "-A")
    _git(repo, "commit", "-qm", "first")
    run_dir = _train(python, repo, "t.py", wait_until=wait_until, key="lock_files")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", wheels)
    monkeypatch.setenv("UV_PYTHON", sys.executable)
    done = _reproduce(run_dir, "--into", tmp_path / "listed", "--run", cwd=tmp_path)
    assert "3 packages, by uv" in done.stdout
    (again,) = (tmp_path / "listed" / "kiseki").glob("run-*")
    assert [row["a"] for row in history(again)] == [2.0]
    done = _reproduce(run_dir, "--into", tmp_path / "locked", "--lock", cwd=tmp_path)
    assert "by uv from uv.lock" in done.stdout
    assert list((tmp_path / "locked" / ".venv").rglob("tiny.py"))


@pytest.mark.usefixtures("git_identity")
def test_a_notebook_is_made_anew_from_its_executed_cells(
    tmp_path: Path, wait_until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    place = tmp_path / "place"
    place.mkdir()
    cells = ["x = 0.5", "import kiseki", "run = kiseki.init(project='p', mode='offline')",
             "run.log({'loss': x})", "run.finish()"]  # fmt: skip
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(book, timeout=60, resources={"metadata": {"path": str(place)}}).execute()
    (run_dir,) = (place / "kiseki").glob("run-*")
    wait_until(lambda: "packages_file" in read_run(run_dir).fold.environment)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    done = _reproduce(run_dir, "--into", tmp_path / "again", "--no-env", "--run", cwd=tmp_path)
    assert "it was a notebook" in done.stdout
    (again,) = (tmp_path / "again" / "kiseki").glob("run-*")
    assert [row["loss"] for row in history(again)] == [0.5]


@pytest.mark.usefixtures("git_identity")
def test_a_script_outside_git_is_made_anew_from_its_copy(
    tmp_path: Path, python: Path, wait_until: Callable[..., Any]
) -> None:
    place = tmp_path / "学習 場所"
    _write(place, {"a/train.py": "import kiseki\nwith kiseki.init(project='p', mode='offline') as run:\n"
                                 "    run.log({'loss': 0.25})\n"})  # fmt: skip
    run_dir = _train(python, place, "-X", "utf8", "a/train.py", wait_until=wait_until, key="code_file")
    done = _reproduce(run_dir, "--no-env", "--into", tmp_path / "again", cwd=tmp_path)
    assert "no commit: no git repository" in done.stdout
    assert (tmp_path / "again" / "a" / "train.py").read_text() == (place / "a/train.py").read_text()
    lines = done.stdout.splitlines()
    assert lines[-2:] == [f"  cd {tmp_path / 'again'}", "  python -X utf8 a/train.py"]


@pytest.mark.usefixtures("git_identity")
def test_a_run_of_a_server_is_made_anew_from_the_servers_files(
    tmp_path: Path, python: Path, wait_until: Callable[..., Any], start_server: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    server = start_server()
    monkeypatch.setenv("KISEKI_BASE_URL", server.url)
    monkeypatch.setenv("KISEKI_API_KEY", server.key)
    place = tmp_path / "place"
    _write(place, {"train.py": "import kiseki\nwith kiseki.init(project='p', entity='ada', id='r1') as run:\n"
                               "    run.log({'loss': 0.25})\n"})  # fmt: skip
    _train(python, place, "train.py", wait_until=wait_until, key="code_file")
    (place / "train.py").unlink()

    def there() -> bool:
        files = json.loads(server.get("/api/v1/runs/ada/p/r1/files"))["files"]
        return "code/train.py" in [file["path"] for file in files]

    wait_until(there, what="the script on the server")
    done = _reproduce("ada/p/r1", "--no-env", "--into", tmp_path / "again", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["command"]["argv"] == ["python", "train.py"]
    assert "run.log({'loss': 0.25})" in (tmp_path / "again" / "train.py").read_text()


@pytest.mark.usefixtures("git_identity")
def test_a_repository_without_a_commit_is_made_anew_also_within_another(
    tmp_path: Path, python: Path, wait_until: Callable[..., Any]
) -> None:
    repo = tmp_path / "repo"
    _write(repo, {"train.py": "import kiseki, helper\nkiseki.init(project='p', mode='offline').finish()\n",
                  "helper.py": "x = 1\n"})  # fmt: skip
    _git(repo, "init", "-q")
    run_dir = _train(python, repo, "train.py", wait_until=wait_until, key="diff_file")
    _reproduce(run_dir, "--no-env", "--into", repo / "inner" / "again", cwd=repo)
    assert sorted(os.listdir(repo / "inner" / "again")) == ["helper.py", "train.py"]


def test_a_record_that_leads_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    from kiseki.client.reproduce import Recorded, reproduce

    def fetch(name: str, target: Path) -> bool:
        target.write_text("print(1)\n")
        return True

    for code_file in ("code/../../evil.py", "code//etc/evil.py", "code/.git/hooks/post-checkout"):
        recorded = Recorded("a/b/c", "c", "c", {"code_file": code_file, "command": ["python", "x"]}, fetch)
        with pytest.raises(ValueError, match="leads out of its folder"):
            reproduce(recorded, tmp_path / "into", start=tmp_path, with_environment=False)
    nothing = Recorded("a/b/c", "c", "c", {}, lambda name, target: False)
    with pytest.raises(ValueError, match="run c cannot be made anew"):
        reproduce(nothing, tmp_path / "into", start=tmp_path, with_environment=False)
    assert not (tmp_path / "into").exists()
