"""Errands as real child processes: what they hear and say, and that nothing they do holds the sidecar up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kiseki.sidecar.errand import MAX_LINE, Errand
from kiseki.system.process import start_time

Wait = Callable[..., Any]


@pytest.fixture
def run_errand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Errand]:
    """`run_errand(body, **request)`: an errand whose module holds `body` as its `main`."""
    monkeypatch.syspath_prepend(str(tmp_path))  # type: ignore[no-untyped-call]

    def run(body: str, **request: Any) -> Errand:
        lines = textwrap.indent(textwrap.dedent(body), "    ")
        heading = "import os, subprocess, sys, time\n\ndef main(request, say, orders):\n"
        (tmp_path / "an_errand.py").write_text(heading + lines)
        return Errand("an_errand", request)

    return run


def _said(errand: Errand, wait_until: Wait) -> list[dict[str, Any]]:
    """All that it says until it has ended."""
    found: list[dict[str, Any]] = []

    def ended() -> bool:
        found.extend(errand.lines())
        return errand.finished

    wait_until(ended)
    return found


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_it_hears_its_request_and_orders_and_answers(
    run_errand: Callable[..., Errand], wait_until: Wait
) -> None:
    before = _descriptors()
    errand = run_errand(
        """
        say({"request": request})
        for order in orders:
            say({"double": order["n"] * 2})
        """,
        path="/a b/日本\udc80",
    )
    errand.send({"n": 1})
    errand.send({"n": 21})
    errand.no_more()
    assert _said(errand, wait_until) == [
        {"request": {"path": "/a b/日本\udc80"}},
        {"double": 2},
        {"double": 42},
    ]
    assert errand.status == 0
    assert errand.fileno() is None
    assert _descriptors() == before


def test_it_is_niced_and_runs_apart_from_the_terminal_and_our_descriptors(
    run_errand: Callable[..., Errand], wait_until: Wait
) -> None:
    body = """
        groups = os.getpgid(0) == os.getpid()
        open_now = sorted(os.listdir("/proc/self/fd"))
        say({"nice": os.nice(0), "own group": groups, "open": len(open_now)})
        """
    held = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(held, True)
    errand = run_errand(body)
    (said,) = _said(errand, wait_until)
    os.close(held)
    assert said["nice"] == min(os.nice(0) + 5, 19)
    assert said["own group"] is True
    assert said["open"] <= 6  # Three streams, two of ours, and the listing.


def test_what_it_prints_is_no_answer(
    run_errand: Callable[..., Errand], wait_until: Wait, capfd: pytest.CaptureFixture[str]
) -> None:
    errand = run_errand(
        """
        print("a stray print", flush=True)
        subprocess.run(["echo", "from a child"])
        assert sys.stdin.read() == ""
        say({"ok": True})
        """
    )
    assert _said(errand, wait_until) == [{"ok": True}]
    assert "a stray print" in (output := capfd.readouterr().err) and "from a child" in output


def test_one_that_fails_says_why_and_ends(
    run_errand: Callable[..., Errand], wait_until: Wait, capfd: pytest.CaptureFixture[str]
) -> None:
    errand = run_errand('say({"first": 1})\nraise ValueError("no such thing")')
    assert _said(errand, wait_until) == [{"first": 1}]
    assert errand.status == 1
    assert "an_errand: ValueError: no such thing" in capfd.readouterr().err


def test_one_that_dies_in_the_middle_leaves_what_it_said(
    run_errand: Callable[..., Errand], wait_until: Wait
) -> None:
    errand = run_errand('say({"half": 1})\nos.kill(os.getpid(), 9)')
    assert _said(errand, wait_until) == [{"half": 1}]
    assert errand.status == -signal.SIGKILL
    errand.send({"too": "late"})
    assert errand.lines() == []


def test_one_that_hangs_is_killed_with_what_it_started(
    run_errand: Callable[..., Errand], wait_until: Wait
) -> None:
    errand = run_errand(
        """
        child = subprocess.Popen(["sleep", "600"])
        say({"child": child.pid})
        time.sleep(600)
        """
    )
    (said,) = wait_until(errand.lines)
    assert not errand.finished
    errand.kill()
    assert _said(errand, wait_until) == []
    assert errand.status == -signal.SIGKILL
    wait_until(lambda: start_time(said["child"]) is None)


def test_orders_to_one_that_does_not_read_wait_without_blocking(
    run_errand: Callable[..., Errand], wait_until: Wait
) -> None:
    errand = run_errand(
        """
        while not os.path.exists(request["go"]):
            time.sleep(0.01)
        say({"characters": sum(len(order["text"]) for order in orders)})
        """,
        go=str(Path(__file__).parent / "no such file"),
    )
    for _ in range(100):
        errand.send({"text": "x" * 10_000})
    assert errand.lines() == []
    errand.kill()
    assert _said(errand, wait_until) == []


def test_many_orders_arrive_whole(run_errand: Callable[..., Errand], wait_until: Wait) -> None:
    errand = run_errand('say({"characters": sum(len(order["text"]) for order in orders)})')
    for _ in range(100):
        errand.send({"text": "x" * 10_000})
    errand.no_more()
    assert _said(errand, wait_until) == [{"characters": 1_000_000}]


def test_a_child_left_behind_does_not_keep_it_unfinished(
    run_errand: Callable[..., Errand], wait_until: Wait
) -> None:
    errand = run_errand(
        """
        def is_pipe(descriptor):
            try:
                return "pipe" in os.readlink(f"/proc/self/fd/{descriptor}")
            except OSError:
                return False

        answers = max(filter(is_pipe, range(3, 20)))
        say({"left": subprocess.Popen(["sleep", "600"], stdout=answers).pid})
        """
    )
    (said,) = _said(errand, wait_until)
    os.kill(said["left"], signal.SIGKILL)


def test_one_that_is_abandoned_leaves_nothing(run_errand: Callable[..., Errand], wait_until: Wait) -> None:
    before = _descriptors()
    errand = run_errand('say({"here": 1})\ntime.sleep(600)')
    assert not errand.finished
    errand.abandon()
    assert _descriptors() == before
    wait_until(lambda: start_time(errand.pid) is None)
    _said(run_errand("pass"), wait_until)
    assert not os.path.exists(f"/proc/{errand.pid}")


def test_a_line_without_end_is_cut_off(
    run_errand: Callable[..., Errand], wait_until: Wait, capfd: pytest.CaptureFixture[str]
) -> None:
    errand = run_errand('while True:\n    say({"text": "x" * request["size"]})', size=MAX_LINE + 2**20)
    assert _said(errand, wait_until) == []
    assert "in one line, and was ended" in capfd.readouterr().err


def test_it_ends_with_the_process_that_started_it(tmp_path: Path, wait_until: Wait) -> None:
    (tmp_path / "sleeper.py").write_text(
        "import subprocess, time\n\n"
        "def main(request, say, orders):\n"
        "    say({'child': subprocess.Popen(['sleep', '600']).pid})\n"
        "    time.sleep(600)\n"
    )
    starter = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from kiseki.sidecar.errand import Errand\n"
        "errand = Errand('sleeper', {})\n"
        "while not (lines := errand.lines()): time.sleep(0.01)\n"
        "print(errand.pid, lines[0]['child'], flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", starter, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        process.kill()
    for pid in pids:
        wait_until(lambda pid=pid: start_time(pid) is None)
