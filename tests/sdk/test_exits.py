"""How a process ends, and the state that its run has then."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kiseki.records import read_run

Train = Callable[..., Any]


@pytest.mark.parametrize(
    ("code", "status", "state", "exit_code", "reason"),
    [
        ("pass", 0, "finished", 0, None),
        ("raise ValueError('bad batch')", 1, "failed", 1, "ValueError: bad batch"),
        ("import sys; sys.exit(3)", 3, "failed", 3, None),
        ("import sys; sys.exit()", 0, "finished", 0, None),
        ("import sys; sys.exit('words')", 1, "failed", 1, None),
        ("raise KeyboardInterrupt", -2, "killed", 130, "Ctrl-C"),
        ("run.finish()", 0, "finished", 0, None),
        ("run.finish(exit_code=4)", 0, "failed", 4, None),
        ("kiseki.finish(1)", 0, "failed", 1, None),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15, "killed", None, "SIGTERM"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGINT)", -2, "killed", 130, "Ctrl-C"),
        ("import os; os._exit(5)", 5, "running", None, None),
        ("import sys; sys.stdin.close(); sys.stdout.close(); sys.stderr.close()", 0, "finished", 0, None),
        ("import os; os.close(0); os.close(1); os.close(2)", None, "finished", 0, None),
    ],
)
def test_end_of_the_process_is_the_state_of_the_run(
    code: str, status: int | None, state: str, exit_code: int | None, reason: str | None, train: Train
) -> None:
    done = train(f"run = kiseki.init(mode='offline')\nrun.log({{'a': 1}})\n{code}\n")
    if status is not None:
        assert done.status == status, done.err
    fold = read_own(done)
    assert (fold.state, fold.exit_code, fold.reason) == (state, exit_code, reason)
    assert done.rows == [{"_step": 0, "a": 1}]


def read_own(done: Any) -> Any:
    """The fold of the training's own files: a sidecar may have seen the death by now."""
    (directory,) = done.directories
    for path in directory.glob("*.kiseki"):
        if b"sidecar" in path.read_bytes()[:600]:
            path.unlink()
    return read_run(directory).fold


@pytest.mark.parametrize(
    ("error", "state", "exit_code"),
    [
        ("", "finished", 0),
        ("raise RuntimeError('x')", "failed", 1),
        ("raise KeyboardInterrupt", "killed", 130),
        ("raise SystemExit(0)", "finished", 0),
        ("raise SystemExit(7)", "failed", 7),
    ],
)
def test_end_of_a_with_is_the_state_of_the_run(error: str, state: str, exit_code: int, train: Train) -> None:
    done = train(f"""
        try:
            with kiseki.init(mode="offline") as run:
                run.log({{"a": 1}})
                {error or "pass"}
        except BaseException as error:
            print(type(error).__name__)
        assert kiseki.run is None
    """)
    assert (done.run.fold.state, done.run.fold.exit_code) == (state, exit_code)
    assert bool(done.out) == bool(error)


def test_users_handler_of_sigterm_is_left_alone(train: Train) -> None:
    done = train("""
        import os, signal
        def mine(*_): print("mine")
        signal.signal(signal.SIGTERM, mine)
        with kiseki.init(mode="offline") as run:
            os.kill(os.getpid(), signal.SIGTERM)
            run.log({"a": 1})
        assert signal.getsignal(signal.SIGTERM) is mine
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        run = kiseki.init(mode="offline")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        run.finish()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    """)
    assert done.status == 0, done.err
    assert done.out == "mine\n"


def test_sigterm_in_the_middle_of_logging_harms_no_row(tmp_path: Path, isolated_home: Path) -> None:
    code = """
import os, sys, kiseki
run = kiseki.init(mode="offline")
os.write(1, b"go")
i = 0
while True:
    run.log({"i": i, "text": "x" * 2000})
    i += 1
"""
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.read(2)
            child.send_signal(signal.SIGTERM)
            assert child.wait(20) == -signal.SIGTERM
    for directory in (tmp_path / "kiseki").glob("run-*"):
        found = read_run(directory)
        assert (found.fold.state, found.fold.reason, found.damage) == ("killed", "SIGTERM", [])


def test_hooks_are_put_back(train: Train) -> None:
    done = train("""
        import signal, sys
        before = (sys.excepthook, sys.exit, signal.getsignal(signal.SIGTERM))
        run = kiseki.init(mode="offline")
        run.finish()
        assert (sys.excepthook, sys.exit, signal.getsignal(signal.SIGTERM)) == before
        hooked = []
        run = kiseki.init(mode="offline")
        theirs = sys.excepthook
        sys.excepthook = lambda *a: (hooked.append(1), theirs(*a))
        run.finish()
        raise ValueError("after")
    """)
    assert done.status == 1
    assert "ValueError: after" in done.err


def test_failure_is_seen_behind_another_librarys_hook(train: Train) -> None:
    done = train("""
        import sys
        run = kiseki.init(mode="offline")
        sys.excepthook = lambda *error: print("theirs")
        raise ValueError("bad batch")
    """)
    assert done.out == "theirs\n"
    assert (done.run.fold.state, done.run.fold.reason) == ("failed", "ValueError: bad batch")


def test_handler_that_finishes_and_exits_within_a_log(train: Train) -> None:
    done = train("""
        import signal, sys
        run = kiseki.init(mode="offline")
        class Value:
            shape = ()
            def item(self):
                signal.raise_signal(signal.SIGUSR1)
                return 1.0
        def stop(*_):
            kiseki.finish(exit_code=9)
            sys.exit(9)
        signal.signal(signal.SIGUSR1, stop)
        run.log({"a": 1})
        run.log({"b": Value()})
    """)
    assert done.status == 9
    assert (done.run.fold.state, done.run.fold.exit_code) == ("failed", 9)
    assert done.rows[0] == {"_step": 0, "a": 1}


def test_program_waits_for_no_child_that_kiseki_started(train: Train) -> None:
    done = train("""
        import os, time
        run = kiseki.init()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                print("no child")
                break
    """)
    assert done.out == "no child\n"


def test_exit_code_of_another_type_is_refused(train: Train) -> None:
    done = train("""
        run = kiseki.init(mode="offline")
        try:
            run.finish(exit_code="1")
        except TypeError as error:
            print(error)
    """)
    assert "exit_code" in done.out and "int" in done.out and "str" in done.out
