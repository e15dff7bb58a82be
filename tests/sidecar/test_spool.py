"""Pointers that cannot be read, locks that are held, progress that nobody needs any more."""

from __future__ import annotations

import json
from pathlib import Path

from kiseki.sidecar.spool import Progress, Spool

_POINTER = {"pid": 1, "pid_start": 2, "boot_id": "b", "pid_ns": 3, "run_dir": "/r", "writer": "wa"}


def test_only_readable_pointers_under_their_own_name_are_taken(tmp_path: Path) -> None:
    (tmp_path / "wa.json").write_text(json.dumps({**_POINTER, "cwd": "/", "later": [1]}))
    (tmp_path / "wb.json").write_text(json.dumps(_POINTER))
    (tmp_path / "wc.json").write_text("{")
    (tmp_path / "wd.json.tmp").write_text(json.dumps({**_POINTER, "writer": "wd"}))
    spool = Spool(tmp_path)
    assert [pointer.writer for pointer in spool.pointers()] == ["wa"]
    assert spool.pointers({"wa"}) == []
    spool.remove("wa")
    spool.remove("wa")
    assert spool.pointers() == []


def test_an_offline_writer_is_sent_nowhere(tmp_path: Path) -> None:
    for mode, url in (("offline", "http://x"), ("online", "http://x"), ("online", None)):
        (tmp_path / "wa.json").write_text(json.dumps({**_POINTER, "mode": mode, "base_url": url}))
        (pointer,) = Spool(tmp_path).pointers()
        assert pointer.upload_to == (url if mode == "online" else None)


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    first, second = Spool(tmp_path), Spool(tmp_path)
    assert first.acquire() and not second.acquire()
    first.release()
    assert second.acquire()
    second.release()


def test_progress_outlives_its_pointer_until_it_is_cleared(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    (tmp_path / "wa.json").write_text(json.dumps(_POINTER))
    spool.write_progress("wa", Progress(1, 2, "sending"))
    spool.write_progress("wb", Progress(2, 2, "done", None, "http://x"))
    spool.clear_progress()
    assert sorted(path.name for path in tmp_path.glob("*.progress")) == ["wa.progress"]
    assert json.loads((tmp_path / "wa.progress").read_text()) == {
        "offset": 1,
        "size": 2,
        "state": "sending",
        "error": None,
        "url": None,
        "files_left": 0,
        "files_bytes_left": 0,
        "files_error": None,
        "closed": False,
    }


def test_a_pointer_says_how_the_training_was_started(tmp_path: Path) -> None:
    told = {
        **_POINTER,
        "project": "p",
        "cwd": "/a folder/日本",
        "program": "/not utf-8 \udc80/train.py",
        "sys_path": ["/a", ""],
        "recording": {"console": [False, "init"], "system_interval": [2.5, "environment"]},
    }
    (tmp_path / "wa.json").write_text(json.dumps(told))
    (pointer,) = Spool(tmp_path).pointers()
    assert (pointer.project, pointer.cwd, pointer.program) == ("p", told["cwd"], told["program"])
    assert pointer.sys_path == ("/a", "")
    assert pointer.recording == {"console": (False, "init"), "system_interval": (2.5, "environment")}
