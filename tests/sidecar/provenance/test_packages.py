"""`requirements.txt`, lock files and the copy of the entry script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Gather = Callable[..., Any]


def _install(site: Path, name: str, version: str = "1.0", **files: str) -> None:
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nVersion: 9\n"
    )
    for file, text in files.items():
        (folder / file.replace("__", ".")).write_text(text)


def _from(url: str, **more: object) -> str:
    return json.dumps({"url": url, **more})


def test_each_kind_of_installation_is_spelled_as_pip_freeze_does(tmp_path: Path, gather: Gather) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    _install(first, "Plain_Name", "2.0")
    _install(
        first,
        "vcs",
        direct_url__json=_from("https://mei:pw@h/x.git", vcs_info={"vcs": "git", "commit_id": "abc"}),
    )
    _install(
        first, "sub", direct_url__json=_from("https://h/y.git", vcs_info={"vcs": "git"}, subdirectory="py")
    )
    _install(
        first, "editable", direct_url__json=_from("file:///home/mei/my%20lib", dir_info={"editable": True})
    )
    _install(first, "local", direct_url__json=_from("file:///srv/local", dir_info={}))
    _install(
        first, "wheel", direct_url__json=_from("https://h/w.whl", archive_info={"hashes": {"sha256": "aa"}})
    )
    _install(first, "conda", direct_url__json=_from("file:///home/conda/feedstock_root/x/work"))
    _install(first, "odd", direct_url__json="{", INSTALLER="pip\n")
    (first / "broken-1.0.dist-info").mkdir()
    _install(first, "latin")
    (first / "latin-1.0.dist-info" / "METADATA").write_bytes(b"Name: latin\nAuthor: Jos\xe9\n")
    _install(second, "plain.name", "1.0")
    _install(second, "later")
    gathered = gather(tmp_path, sys_path=[str(first), "", "second", "/nowhere", str(first)])
    lines = (gathered.files / "requirements.txt").read_text().splitlines()
    assert lines[0] == f"# cpython {sys.version.split()[0]}"
    assert lines[1:] == [
        "conda==1.0",
        "-e /home/mei/my lib  # editable==1.0",
        "later==1.0",
        "local @ file:///srv/local",
        "odd==1.0",
        "Plain_Name==2.0",
        "sub @ git+https://h/y.git#subdirectory=py",
        "vcs @ git+https://h/x.git@abc",
        "wheel @ https://h/w.whl#sha256=aa",
    ]
    assert gathered.told["packages_file"] == "requirements.txt"


def test_a_package_beside_its_own_sources_is_editable(tmp_path: Path, gather: Gather) -> None:
    (tmp_path / "lib" / "old.egg-info").mkdir(parents=True)
    (tmp_path / "lib" / "old.egg-info" / "PKG-INFO").write_text("Name: old\nVersion: 3\n")
    (tmp_path / "lib" / "setup.py").write_text("")
    gathered = gather(tmp_path, sys_path=[str(tmp_path / "lib")])
    assert f"-e {tmp_path}/lib  # old==3" in (gathered.files / "requirements.txt").read_text()


def test_the_list_equals_that_of_pip_freeze(tmp_path: Path, gather: Gather) -> None:
    gathered = gather(tmp_path, sys_path=sys.path)
    freeze = subprocess.run(
        [sys.executable, "-m", "pip", "freeze", "--all"], capture_output=True, text=True, check=True
    ).stdout
    ours = (gathered.files / "requirements.txt").read_text()
    pinned = {line for line in ours.splitlines() if "==" in line and not line.startswith(("-e", "#"))}
    assert pinned == {
        line for line in freeze.splitlines() if "==" in line and not line.startswith(("-e", "#"))
    }


def test_lock_files_are_found_upwards_and_conda_is_listed(repo: Any, gather: Gather, tmp_path: Path) -> None:
    (tmp_path / "poetry.lock").write_text("outside of the repository\n")
    repo.put(
        {"uv.lock": "top\n", "exp/uv.lock": "near\n", "environment.yml": "name: x\n", "exp/deep/t.py": "1\n"}
    )
    prefix = tmp_path / "env"
    meta = prefix / "conda-meta"
    meta.mkdir(parents=True)
    url = "https://conda.example.org/t/s3cr3t/main/linux-64/numpy-2.0-0.conda"
    (meta / "numpy.json").write_text(json.dumps({"url": url, "md5": "ff"}))
    (meta / "bad.json").write_text("{")
    gathered = gather(repo.folder / "exp" / "deep", repo.folder / "exp/deep/t.py", prefix=str(prefix))
    assert gathered.told["lock_files"] == [
        "uv.lock",
        "poetry.lock",
        "environment.yml",
        "conda-explicit.txt",
    ] or (gathered.told["lock_files"] == ["uv.lock", "environment.yml", "conda-explicit.txt"])
    assert (gathered.files / "uv.lock").read_text() == "near\n"
    assert (gathered.files / "conda-explicit.txt").read_text() == (
        "@EXPLICIT\nhttps://conda.example.org/main/linux-64/numpy-2.0-0.conda#ff\n"
    )


def test_credentials_in_a_lock_file_do_not_leave(repo: Any, gather: Gather) -> None:
    repo.put(
        {
            "environment.yml": "- https://conda.example.org/t/s3cr3t/main\n- --index-url https://mei:pw@h/simple\n",
            "uv.lock": b'name = "token-bucket"\r\nurl = "https://h/t.whl"\n\xff',
        }
    )
    gathered = gather(repo.folder)
    public = "- https://conda.example.org/main\n- --index-url https://***@h/simple\n"
    assert (gathered.files / "environment.yml").read_text() == public
    assert (gathered.files / "uv.lock").read_bytes() == (repo.folder / "uv.lock").read_bytes()
    assert gathered.told["provenance_note"] == "credentials in environment.yml are masked"


def test_the_entry_script_is_kept_under_its_path_from_the_root(repo: Any, gather: Gather) -> None:
    repo.put({"exp/学習 a.py": "print(1)\n"})
    gathered = gather(repo.folder / "exp", repo.folder / "exp" / "学習 a.py")
    assert gathered.told["code_file"] == "code/exp/学習 a.py"
    assert (gathered.files / "code" / "exp" / "学習 a.py").read_text() == "print(1)\n"


def test_outside_git_its_path_counts_from_the_working_folder(tmp_path: Path, gather: Gather) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "t.py").write_text("1\n")
    (tmp_path / "c").mkdir()
    assert gather(tmp_path / "a", tmp_path / "a/b/t.py").told["code_file"] == "code/b/t.py"
    assert gather(tmp_path / "c", tmp_path / "a/b/t.py").told["code_file"] == "code/t.py"


def test_what_is_no_script_of_the_user_is_not_kept(tmp_path: Path, gather: Gather) -> None:
    (tmp_path / "big.py").write_bytes(b"#" * (10 * 2**20 + 1))
    (tmp_path / "binary").write_bytes(b"\x7fELF\0")
    gathered = gather(tmp_path, tmp_path / "big.py")
    assert "code_file" not in gathered.told
    assert "larger than 10 MB" in gathered.told["provenance_note"]
    for program in (
        tmp_path / "binary",
        tmp_path / "absent.py",
        "",
        os.path.join(sys.prefix, "bin", "pytest"),
    ):
        assert "code_file" not in gather(tmp_path, program).told


def test_code_below_the_prefix_of_a_systems_python_is_the_users_own(tmp_path: Path, gather: Gather) -> None:
    for name in ("src/app/t.py", "lib/python3/dist-packages/x/t.py", "bin/t", "lib/python3.11/t.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\n")
        told = gather(tmp_path, tmp_path / name, prefix=str(tmp_path)).told
        assert told.get("code_file") == ("code/src/app/t.py" if name.startswith("src") else None)


def test_what_the_user_saved_under_a_name_of_ours_is_not_written_through(
    tmp_path: Path, gather: Gather
) -> None:
    own = tmp_path / "project"
    names = {"requirements.txt": "requirements.txt", "sub/uv.lock": "uv.lock", "code/t.py": "code/t.py"}
    files = tmp_path / "run-0" / "files"
    for source, name in names.items():
        (own / source).parent.mkdir(parents=True, exist_ok=True)
        (own / source).write_text("the user's\n")
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        (files / name).symlink_to(own / source)
    (own / "uv.lock").write_text("lock\n")
    (own / "t.py").write_text("1\n")
    gathered = gather(own, own / "t.py")
    assert [(own / source).read_text() for source in names] == 3 * ["the user's\n"]
    assert (gathered.files / "uv.lock").read_text() == "lock\n"
    assert (gathered.files / "code" / "t.py").read_text() == "1\n"
    assert (gathered.files / "requirements.txt").read_text().startswith("# ")
