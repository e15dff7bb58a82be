"""Hard cases of recording output: sudden ends, floods, threads, signals, odd bytes, lost terminals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from tests.journeys.printing import INIT, Printed, recorded, run_script, same_on_the_terminal
from tests.journeys.world import Home, await_true

ENDS = {
    "exception": ("raise RuntimeError('oh')", 1),
    "SystemExit": ("raise SystemExit(3)", 3),
    "sigterm": ("os.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(60)", -signal.SIGTERM),
    "sigkill": ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    "_exit": ("os._exit(4)", 4),
    "abort": ("os.abort()", -signal.SIGABRT),
}


@pytest.mark.parametrize(
    ("end", "options"), [*((end, ()) for end in ENDS), ("sigkill", ("-u",)), ("_exit", ("-u",))]
)
def test_last_line_before_an_end_is_recorded(laptop: Home, end: str, options: tuple[str, ...]) -> None:
    how, code = ENDS[end]
    script = f"{INIT}\nimport os, signal, time\nfor i in range(100):\n    print('line', i)\n{how}\n"
    done = run_script(laptop, script, options=options)
    without = run_script(laptop, script, options=options, mode="disabled")
    assert (done.out, done.code) == (without.out, code)
    assert done.err == without.err
    assert recorded(laptop).text(1) == b"".join(b"line %d\n" % i for i in range(100))
    if end == "exception":
        assert recorded(laptop).text(2).endswith(b"RuntimeError: oh\n")


def test_exception_is_recorded_as_the_terminal_shows_it(laptop: Home) -> None:
    found = same_on_the_terminal(laptop, INIT + "def f():\n    return 1 / 0\nf()\n")
    assert found.text(2).startswith(b"Traceback") and found.text(2).endswith(b"division by zero\n")


def test_interrupt_loses_and_doubles_nothing(laptop: Home) -> None:
    code = f"""{INIT}
import signal, sys
def interrupt(number, frame):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
i = 0
for round in range(20):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        while True:
            line = "line %06d\\n" % i
            i += 1
            sys.stdout.write(line)
    except KeyboardInterrupt:
        pass
run.finish()
"""
    done = run_script(laptop, code)
    shown, kept = done.out.splitlines(), recorded(laptop).text(1).splitlines()
    assert done.code == 0, done.err.decode()
    assert set(shown) <= set(kept) and len(set(shown)) == len(shown) and len(set(kept)) == len(kept)
    assert len(kept) - len(shown) <= 20  # an interrupt between the record and the write


def test_signal_handlers_and_finalizers_may_print(laptop: Home) -> None:
    code = f"""{INIT}
import os, signal, sys, gc
count = 0
def handler(number, frame):
    global count
    count += 1
    sys.stdout.write("handler %d\\n" % count)
signal.signal(signal.SIGALRM, handler)
class Last:
    def __del__(self):
        print("finalizer")
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
i = 0
while count < 300:
    print("line", i)
    i += 1
signal.setitimer(signal.ITIMER_REAL, 0)
Last()
a = Last(); a.a = a; del a
gc.collect()
print(count, i, flush=True)
run.finish()
"""
    # Unbuffered: what a handler prints in the middle of a flush breaks Python 3.11's own buffer.
    done = run_script(laptop, code, options=("-u",))
    assert done.code == 0, done.err.decode()
    text = recorded(laptop).text(1)
    assert sorted(text.replace(b"\n", b"").replace(b" ", b"")) == sorted(
        done.out.replace(b"\n", b"").replace(b" ", b"")
    )
    for n in range(1, 301):
        assert text.count(b"handler %d" % n) >= 1
    assert text.count(b"finalizer\n") == 2


def test_threads_print_at_once(laptop: Home) -> None:
    code = f"""{INIT}
import os, sys, threading
def work(n):
    for i in range(500):
        sys.stdout.write("thread %d line %d\\n" % (n, i))
        sys.stderr.write("error %d line %d\\n" % (n, i))
        if i % 50 == 0:
            os.write(1, b"raw %d line %d\\n" % (n, i))
threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
run.finish()
"""
    # Unbuffered, for Python 3.11's own buffer loses text where threads fill it at once.
    done = run_script(laptop, code, options=("-u",))
    for shown, kept in ((done.out, recorded(laptop).text(1)), (done.err, recorded(laptop).text(2))):
        assert sorted(shown.splitlines()) == sorted(kept.splitlines())
    assert len(done.out.splitlines()) == 8 * 510 and len(done.err.splitlines()) == 8 * 500


@pytest.mark.parametrize("count", [30_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_very_many_lines(laptop: Home, count: int) -> None:
    code = f"{INIT}\nfor i in range({count}):\n    print(i)\n"
    done = run_script(laptop, code, into="file", seconds=170)
    expected = b"".join(b"%d\n" % i for i in range(count))
    assert done.out == expected
    assert recorded(laptop).text(1) == expected


def test_long_line_and_odd_bytes(laptop: Home) -> None:
    code = f"""{INIT}
import sys
sys.stdout.reconfigure(errors="surrogatepass")
print("x" * 100_000_000)
print("\\ud800 \\udcff", end="", flush=True)
sys.stdout.buffer.write(bytes(range(256)) * 1000)
sys.stdout.flush()
print(end="")
print("")
"""
    done = run_script(laptop, code, into="file")
    found = recorded(laptop)
    assert found.text() == done.out
    assert max(len(data) for _, data in found.pieces) <= 64 * 1024


def test_beyond_the_limit_the_newest_is_kept_and_the_rest_counted(laptop: Home) -> None:
    code = f"""{INIT}
import os
from kiseki.sdk.console import limits
run._capture._limits._free = 1_000_000
for i in range(2000):
    print("%09d" % i, "." * 1000)
    os.write(1, b"c%08d " % i + b"." * 1000 + b"\\n")
"""
    done = run_script(laptop, code, into="file")
    found = recorded(laptop)
    notes = [data for stream, data in found.pieces if stream == 0]
    assert len(done.out) == 2000 * 2022
    assert notes and all(b"were left out here" in note for note in notes)
    left_out = sum(int(note.split()[0].replace(b",", b"")) for note in notes)
    kept = found.text(1)
    assert left_out + len(kept) == len(done.out)
    assert kept.count(b"\n") > 1000 and b"%09d ." % 1999 in kept and b"c%08d ." % 1999 in kept
    for i in range(450):
        assert b"%09d ." % i in kept and b"c%08d ." % i in kept


@pytest.mark.parametrize("how", ["sys.stdout = None", "os.close(1)", "sys.stdout.close()"])
def test_no_stdout_at_all(laptop: Home, how: str) -> None:
    for when in ("before", "after"):
        lines = [INIT, "import os, sys", how] if when == "after" else ["import os, sys", how, INIT]
        code = (
            "\n".join(lines) + "\nprint('line', file=sys.stderr)\nrun.finish()\nprint('x', file=sys.stderr)\n"
        )
        done = run_script(laptop, code)
        without = run_script(laptop, code, mode="disabled")
        assert done == without
        assert recorded(laptop).text(2) == b"line\n"


def test_terminal_that_vanishes(laptop: Home) -> None:
    code = f"""{INIT}
import os, sys, time
print("line", flush=True)
sys.stdin.readline()
said = []
for write in (lambda: print("lost", flush=True), lambda: os.write(1, b"c lost\\n")):
    try:
        for _ in range(100):
            write()
            time.sleep(0.001)
    except OSError as error:
        said.append(type(error).__name__)
run.log({{"done": 1}})
open("said", "w").write(" ".join(said))
os._exit(0)
"""
    (laptop.work / "script.py").write_text(code)
    answers = []
    for mode in ("offline", "disabled"):
        master, slave = os.openpty()
        process = subprocess.Popen(
            [sys.executable, "script.py"], cwd=laptop.work, env=laptop.env | {"PRINT_MODE": mode},
            stdin=subprocess.PIPE, stdout=slave, stderr=slave, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        seen = b""
        while b"line\r\n" not in seen:
            seen += os.read(master, 100)
        os.close(master)
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.close()
        assert process.wait(timeout=30) == 0
        answers.append((laptop.work / "said").read_text())
    assert answers[0] == answers[1] == "OSError OSError"


def test_terminal_that_is_stopped_holds_up_and_goes_on(laptop: Home) -> None:
    """A full pipe that nobody reads makes Python and C wait, and nothing is lost once it is read."""
    code = f"""{INIT}
import os, subprocess, sys
flood = "import os\\nfor i in range(20000): os.write(1, b'child %05d' % i + b'.' * 50 + b'\\\\n')"
child = subprocess.Popen([sys.executable, "-c", flood])
for i in range(2000):
    print("py %05d" % i, "." * 500)
sys.stdout.flush()
child.wait()
run.finish()
"""
    (laptop.work / "script.py").write_text(code)
    process = subprocess.Popen(
        [sys.executable, "script.py"], cwd=laptop.work, env=laptop.env | {"PRINT_MODE": "offline"},
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    out = process.stdout.read(10)
    time.sleep(0.3)
    out += process.stdout.read()
    assert process.wait(timeout=30) == 0
    assert len(out) == 20000 * 62 + 2000 * 510
    assert sorted(recorded(laptop).text(1)) == sorted(out)


def test_sigterm_kills_although_the_terminal_takes_nothing(laptop: Home) -> None:
    code = f"""{INIT}
import os, subprocess, sys
open("ready", "w").close()
subprocess.Popen(["yes"])
while True:
    print("x" * 1000)
"""
    (laptop.work / "script.py").write_text(code)
    process = subprocess.Popen(
        [sys.executable, "script.py"], cwd=laptop.work, env=laptop.env | {"PRINT_MODE": "offline"},
        stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    await_true((laptop.work / "ready").exists, what="the script to print")
    process.terminate()
    assert process.wait(timeout=20) == -signal.SIGTERM
    os.killpg(process.pid, signal.SIGKILL)  # the child, which waits for the terminal as it would anyway
    assert process.stdout is not None
    process.stdout.close()


def test_answers_typed_at_a_prompt(laptop: Home) -> None:
    code = f"""{INIT}
name = input("name? ")
print("hello", name)
run.finish()
"""
    shown = []
    for mode in ("offline", "disabled"):
        (laptop.work / "script.py").write_text(code)
        master, slave = os.openpty()
        process = subprocess.Popen(
            [sys.executable, "script.py"], cwd=laptop.work, env=laptop.env | {"PRINT_MODE": mode},
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        seen = b""
        while b"name? " not in seen:
            seen += os.read(master, 1000)
        os.write(master, b"Ada\n")
        while b"hello Ada\r\n" not in seen:
            seen += os.read(master, 1000)
        assert process.wait(timeout=30) == 0
        os.close(master)
        shown.append(seen)
    assert shown[0] == shown[1]
    assert recorded(laptop).text() in (b"name? hello Ada\n", b"name? Ada\r\nhello Ada\n")


def test_death_of_the_sidecar_changes_nothing(laptop: Home) -> None:
    code = f"""{INIT}
import os, sys
print("one", flush=True)
sys.stdin.readline()
os.write(1, b"two\\n")
print("three", flush=True)
run.finish()
"""
    (laptop.work / "script.py").write_text(code)
    process = subprocess.Popen(
        [sys.executable, "script.py"], cwd=laptop.work, env=laptop.env | {"PRINT_MODE": "offline"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == b"one\n"
    laptop.kill_sidecars()
    out, _ = process.communicate(b"\n", timeout=60)
    assert (out, process.returncode) == (b"two\nthree\n", 0)
    assert recorded(laptop).text() == b"one\ntwo\nthree\n"


def test_full_disk_warns_once_and_the_terminal_goes_on(laptop: Home) -> None:
    code = f"""{INIT}
import os, sys
from kiseki.records import writer
real = writer._write
writer._write = lambda fd, data: (_ for _ in ()).throw(OSError(28, "No space left on device"))
for i in range(1000):
    print("line", i)
writer._write = real
run.finish()
"""
    done = run_script(laptop, code)
    assert done == Printed(b"".join(b"line %d\n" % i for i in range(1000)), b"", 0)
    assert recorded(laptop).text(1) == done.out


def test_own_lines_are_shown_and_recorded(laptop: Home) -> None:
    code = """
import kiseki
run = kiseki.init(project="print", mode="offline")
run.log({"x": object()})
run.finish()
"""
    done = run_script(laptop, code)
    kept = recorded(laptop).text(2)
    assert kept and done.err.startswith(kept)
    assert b"is left out" in kept


def test_switched_off_and_on(laptop: Home) -> None:
    code = f"""{INIT}
import os
print("one")
if run._capture is not None:
    run._capture.pause(recording=False)
print("two")
os.system("echo three")
if run._capture is not None:
    run._capture.pause(recording=True)
print("four")
run.finish()
"""
    found = same_on_the_terminal(laptop, code)
    assert found.text(1) == b"one\nfour\n"
    assert [data.split()[-1] for stream, data in found.pieces if stream == 0] == [b"off", b"on"]


@pytest.mark.parametrize("mode", ["off", "wrap", "redirect"])
def test_setting_says_what_is_recorded(laptop: Home, mode: str) -> None:
    code = f"""{INIT}
import os
print("python", flush=True)
os.write(1, b"c\\n")
run.finish()
"""
    done = run_script(laptop, code, KISEKI_CONSOLE=mode)
    assert done.out == b"python\nc\n"
    expected = {"off": b"", "wrap": b"python\n", "redirect": b"python\nc\n"}
    assert recorded(laptop).text() == expected[mode]


def test_beside_wandb(laptop: Home) -> None:
    code = f"""
import os, sys
os.environ["WANDB_SILENT"] = "true"
import wandb
theirs = wandb.init(mode="disabled" if os.environ["PRINT_MODE"] == "disabled" else "offline", project="x")
{INIT}
print("both", flush=True)
os.write(1, b"c\\n")
theirs.finish()
print("ours", flush=True)
run.finish()
print("none")
"""
    done = run_script(laptop, code)
    assert done.out == b"both\nc\nours\nnone\n", done.err.decode()
    assert recorded(laptop).text(1) == b"both\nc\nours\n"
