"""`run.save`: what wandb saves, where it lands, which errors it raises, and what the policies do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import kiseki

_CASES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("these/are/mine/*", {}),
    ("these/are/mine/*", {"base_path": "these"}),
    ("{cwd}/these/are/mine/*.txt", {}),
    ("{cwd}/these/are/mine/*.txt", {"base_path": "{cwd}"}),
    ("{cwd}/these/are/mine/a.txt", {"base_path": "{cwd}/these/are/mine"}),
    ("these/*/mine/a.txt", {}),
    ("these/**/a.txt", {}),
    ("./these/../these/are/mine/b.bin", {}),
    ("these/are/mine/odd[1].txt", {}),
    ("these/are/mine/odd[1].txt", {"glob": False}),
    ("these/are/mine/none[1].txt", {"glob": False}),
    ("nothing*", {}),
    ("nothing.txt", {}),
    ("these/are/mine/a.txt", {"policy": "end"}),
    ("these/are/mine/a.txt", {"policy": "now"}),
    ("these/are/mine/a.txt", {"policy": "sometimes"}),
    ("*", {}),
    ("fl*.txt", {}),
    (".", {}),
    ("", {}),
    ("../elsewhere.txt", {}),
    ("these/are/mine/a.txt", {"base_path": "other"}),
    ("these/are/mine/a.txt", {"base_path": "the"}),
    ("these/are/*", {"base_path": "these/are"}),
    ("s3://bucket/key", {}),
    ("{dir}/own.h5", {}),
    ("{dir}/own.h5", {"base_path": "{dir}"}),
    ("own.h5", {}),
)

_SCRIPT = """
import importlib, json, os, pathlib, sys
library = importlib.import_module(sys.argv[1])
folder = pathlib.Path("these/are/mine")
folder.mkdir(parents=True)
for name in ("a.txt", "b.bin", "odd[1].txt", "日本 語.txt"):
    (folder / name).write_text(name)
pathlib.Path("flat.txt").write_text("flat")
run = library.init(mode="offline", project="p", dir=os.getcwd())
root = os.path.abspath(run.dir)
pathlib.Path(root, "own.h5").write_text("own")
places = {"cwd": os.getcwd(), "dir": root}
def place(value):
    return value.format(**places) if isinstance(value, str) and "{" in value else value
found = []
cases = json.loads(sys.argv[2]) + [[b"these/are/mine/a.txt", {}], [folder / "b.bin", {}], [5, {}]]
for glob_str, keywords in cases:
    try:
        paths = run.save(place(glob_str), **{name: place(value) for name, value in keywords.items()})
        found.append([[os.path.relpath(path, root), pathlib.Path(path).read_text()] for path in paths])
    except Exception as error:
        found.append([type(error).__name__, str(error).replace(os.getcwd(), "")])
print("FOUND", json.dumps(found))
run.finish()
"""


def _saved(library: str, folder: Path) -> list[Any]:
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, library, json.dumps(_CASES)],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "WANDB_SILENT": "true", "KISEKI_SILENT": "true"},
    )  # fmt: skip
    line = next((line for line in done.stdout.splitlines() if line.startswith("FOUND ")), None)
    assert line is not None, done.stdout + done.stderr
    found: list[Any] = json.loads(line.removeprefix("FOUND "))
    return found


def test_save_takes_places_and_refuses_what_wandb_does(tmp_path: Path) -> None:
    theirs, ours = _saved("wandb", tmp_path / "wandb"), _saved("kiseki", tmp_path / "kiseki")
    labels = [*_CASES, "bytes", "path", "number"]
    assert dict(zip(map(str, labels), ours, strict=True)) == dict(zip(map(str, labels), theirs, strict=True))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An offline run in an empty folder with one file `model/best.pt`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model/best.pt").write_text("one")
    with kiseki.init(mode="offline", project="p") as begun:
        yield begun


def test_live_follows_the_original(run: Any) -> None:
    (path,) = run.save("model/best.pt")
    Path("model/best.pt").write_text("two")
    assert Path(path).read_text() == "two"
    Path("model/new.pt").write_text("new")  # expanded once
    assert not Path(path).with_name("new.pt").exists()


def test_now_keeps_what_was_there(run: Any) -> None:
    os.utime("model/best.pt", (1_000_000, 1_000_000))
    (path,) = run.save("model/best.pt", policy="now")
    Path("model/best.pt").write_text("two")
    assert (Path(path).read_text(), os.stat(path).st_mtime) == ("one", 1_000_000)
    assert run.save("model/best.pt", policy="now") == [path]
    assert Path(path).read_text() == "two"
    assert [entry.name for entry in Path(run.sync_dir).glob(".saving*")] == []


def test_a_folder_stands_for_its_files(run: Any) -> None:
    Path("model/deep/er").mkdir(parents=True)
    Path("model/deep/er/x.bin").write_text("x")
    Path("model/loop").symlink_to(Path.cwd() / "model")
    assert run.save("model") == [str(Path(run.dir, "model"))]
    assert Path(run.dir, "model/deep/er/x.bin").read_text() == "x"
    assert not Path(run.dir, "model/loop/loop").exists()


def test_saving_the_working_folder_leaves_out_the_run_itself(run: Any) -> None:
    run.save(Path.cwd(), base_path=Path.cwd().parent)
    below = Path(run.dir, Path.cwd().name)
    assert (below / "model/best.pt").exists()
    assert not list(below.glob("kiseki/run-*"))


def test_what_cannot_be_saved_is_one_warning(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    Path(run.dir, "model").write_text("in the way")
    assert run.save("model/best.pt") == []
    assert run.save("model/best.pt") == []
    assert capsys.readouterr().err.count("best.pt is not saved") == 1


def test_a_pipe_in_a_folder_is_passed_over_and_holds_nothing_up(
    run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo("model/pipe")
    Path("model/rest.pt").write_text("two")
    assert run.save("model", policy="now") == [str(Path(run.dir, "model"))]
    assert sorted(os.listdir(Path(run.dir, "model"))) == ["best.pt", "rest.pt"]
    assert "pipe is not saved: it is no file" in capsys.readouterr().err


def test_save_after_finish_is_refused_as_wandb_does(run: Any) -> None:
    run.finish()
    with pytest.raises(kiseki.UsageError, match="has finished"):
        run.save("model/best.pt")
    with pytest.raises(kiseki.Error, match="init"):
        kiseki.save("model/best.pt")


def test_a_disabled_run_saves_and_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("a")
    with kiseki.init(mode="disabled") as run:
        (path,) = kiseki.save("a.txt")
        assert Path(path).read_text() == "a"
        found = run.restore("a.txt")
        assert found is not None and found.read() == "a"
        assert run.restore("b.txt") is None
    assert os.listdir(tmp_path) == ["a.txt"]


def test_restore_finds_the_file_of_this_run_and_says_what_is_missing(run: Any) -> None:
    Path(run.dir, "sub").mkdir()
    Path(run.dir, "sub/notes.txt").write_text("kept")
    with run.restore("sub/notes.txt") as file:
        assert (file.read(), file.name) == ("kept", str(Path(run.dir, "sub/notes.txt")))
    with kiseki.restore("sub/notes.txt", root="elsewhere") as file:
        assert (file.read(), file.name) == ("kept", "elsewhere/sub/notes.txt")


def test_restore_needs_to_know_the_run() -> None:
    with pytest.raises(ValueError, match="run_path required"):
        kiseki.restore("model.pt")
