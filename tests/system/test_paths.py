import os
from pathlib import Path

import pytest

from kiseki.system import paths


def test_own_variable_wins_over_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("KISEKI_DATA_HOME", raising=False)
    assert paths.data_home() == tmp_path / "xdg" / "kiseki"
    monkeypatch.setenv("KISEKI_DATA_HOME", str(tmp_path / "own"))
    assert paths.store_dir() == tmp_path / "own" / "store"


def test_roots_are_recorded_once_and_listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KISEKI_DATA_HOME", str(tmp_path / "data"))
    assert paths.local_roots() == []
    one, two = tmp_path / "日本 語" / "kiseki", tmp_path / "b" / "kiseki"
    for folder in (one, two):
        folder.mkdir(parents=True)
        paths.record_root(folder)
        paths.record_root(folder)
    assert paths.local_roots() == sorted([one, two])
    assert len(list(paths.roots_dir().iterdir())) == 2


def test_spool_lies_in_a_private_runtime_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    spool = paths.spool_dir("abc")
    assert spool == runtime / "kiseki" / "abc"
    assert spool.stat().st_mode & 0o777 == 0o700


def test_spool_avoids_a_runtime_folder_open_to_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    runtime.chmod(0o755)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("KISEKI_CACHE_HOME", str(tmp_path / "cache"))
    assert paths.spool_dir("abc") == tmp_path / "cache" / "spool" / "abc"
    assert os.listdir(runtime) == []


def test_spool_that_is_a_link_or_open_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("KISEKI_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "spool").symlink_to(tmp_path / "elsewhere")
    assert paths.spool_dir("abc") == tmp_path / f"kiseki-{os.geteuid()}" / "spool" / "abc"
    (tmp_path / f"kiseki-{os.geteuid()}").chmod(0o755)
    with pytest.raises(PermissionError, match="chmod 700"):
        paths.spool_dir("abc")
