import threading
from pathlib import Path

import pytest

from kiseki.system.watch import DirectoryWatch


def wait_for(watch: DirectoryWatch, path: Path) -> None:
    for _ in range(100):
        if path in watch.wait(0.2):
            return
    raise AssertionError(f"no change of {path} seen")


@pytest.fixture(params=["inotify", "polling"])
def watch(request: pytest.FixtureRequest) -> DirectoryWatch:
    return DirectoryWatch(polling=request.param == "polling")


def test_nothing_changed_is_an_empty_answer(watch: DirectoryWatch, tmp_path: Path) -> None:
    watch.add(tmp_path)
    assert watch.wait(0) == set()


def test_new_grown_and_removed_files_are_told(watch: DirectoryWatch, tmp_path: Path) -> None:
    watch.add(tmp_path)
    file = tmp_path / "ファイル 1"
    file.write_bytes(b"a")
    wait_for(watch, file)
    with file.open("ab") as opened:
        opened.write(b"b")
    wait_for(watch, file)
    file.unlink()
    wait_for(watch, file)


def test_change_ends_the_wait(watch: DirectoryWatch, tmp_path: Path) -> None:
    watch.add(tmp_path)
    writer = threading.Timer(0.05, (tmp_path / "a").touch)
    writer.start()
    assert watch.wait(20) == {tmp_path / "a"}
    writer.join()


def test_vanished_folder_is_told_itself(watch: DirectoryWatch, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    watch.add(folder)
    folder.rmdir()
    wait_for(watch, folder)
    assert watch.wait(0) == set()


def test_removed_folder_is_watched_no_more(watch: DirectoryWatch, tmp_path: Path) -> None:
    watch.add(tmp_path)
    watch.remove(tmp_path)
    (tmp_path / "a").touch()
    assert watch.wait(0.3) == set()


def test_missing_folder_is_refused(watch: DirectoryWatch, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        watch.add(tmp_path / "missing")
    watch.close()
