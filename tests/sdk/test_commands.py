"""A running training hears within seconds that its output shall not be recorded any more, or again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kiseki.records.directory import read_run
from kiseki.records.kinds import Console
from kiseki.records.reader import read_records
from kiseki.system.recording import Policy, store_policy

Train = Callable[..., Any]

_LISTENING = """
    import json, os, time
    import kiseki.sdk.launch
    kiseki.sdk.launch.GLANCE_INTERVAL_S = 0.02
    run = kiseki.init(mode="offline")

    def say(console):
        before = run._capture and run._capture._recording
        with open(f"{run.sync_dir}/new", "w") as file:
            json.dump({"console": console}, file)
        os.replace(f"{run.sync_dir}/new", f"{run.sync_dir}/{run._recorder.lane.writer}.commands")
        deadline = time.monotonic() + 30
        while (run._capture and run._capture._recording or False) != console:
            assert time.monotonic() < deadline, "not heard"
            time.sleep(0.01)
"""


def _recorded(folder: Path) -> str:
    (header,) = [header for header in read_run(folder).headers if header.role == "train"]
    reading = read_records((folder / f"{header.writer}.kiseki").read_bytes())
    return b"".join(e.record.data for e in reading.entries if isinstance(e.record, Console)).decode()


def test_output_is_recorded_no_more_and_again(train: Train) -> None:
    done = train(
        _LISTENING
        + """
    print("one")
    say(False)
    print("two")
    say(True)
    print("three")
    """
    )
    assert done.status == 0, done.err
    assert done.out.split() == ["one", "two", "three"]
    text = _recorded(done.directories[0])
    assert "one" in text and "three" in text and "two" not in text
    assert "switched off" in text and "switched on" in text


def test_a_run_that_began_without_its_output_records_it_once_that_is_allowed(train: Train) -> None:
    store_policy(None, Policy({"console": False}, {}, 1.0))
    done = train(
        _LISTENING
        + """
    print("one")
    say(True)
    print("two")
    """
    )
    assert done.status == 0, done.err
    assert done.out.split() == ["one", "two"]
    text = _recorded(done.directories[0])
    assert "two" in text and "one" not in text


def test_a_command_that_is_none_changes_nothing(train: Train) -> None:
    done = train(
        _LISTENING
        + """
    path = f"{run.sync_dir}/{run._recorder.lane.writer}.commands"
    for text in ("", "{", "[]", '{"console": 3}', '{"dance": true}'):
        open(path, "w").write(text)
        run._glance()
    print("one")
    """
    )
    assert done.status == 0, done.err
    assert "one" in _recorded(done.directories[0])
