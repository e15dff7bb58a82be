"""Output of C code and child processes: shown as ever, recorded, and never a reason to wait or to die."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from tests.journeys.printing import INIT, recorded, records_of, run_script, same_on_the_terminal
from tests.journeys.world import Home, await_true

EXTENSION = r"""
#include <Python.h>
#include <unistd.h>

/* Writes `count` numbered lines of 50 bytes on `fd` while it holds Python's lock. */
static PyObject *flood(PyObject *self, PyObject *args) {
    int fd, count;
    char line[51];
    if (!PyArg_ParseTuple(args, "ii", &fd, &count)) return NULL;
    for (int i = 0; i < count; i++) {
        snprintf(line, sizeof line, "%s %043d\n", "line", i);
        for (ssize_t at = 0; at < 49;) {
            ssize_t n = write(fd, line + at, 49 - at);
            if (n < 0) return PyErr_SetFromErrno(PyExc_OSError);
            at += n;
        }
    }
    Py_RETURN_NONE;
}

static PyObject *say(PyObject *self, PyObject *args) {
    const char *text;
    if (!PyArg_ParseTuple(args, "s", &text)) return NULL;
    printf("%s\n", text);
    fflush(stdout);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {{"flood", flood, METH_VARARGS, ""}, {"say", say, METH_VARARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "noisy", "", -1, methods};
PyMODINIT_FUNC PyInit_noisy(void) { return PyModule_Create(&module); }
"""


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a C extension that prints while it holds Python's lock."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    headers = sysconfig.get_path("include")
    if compiler is None or not (Path(headers) / "Python.h").exists():
        pytest.skip("needs a C compiler and Python's headers")
    folder = tmp_path_factory.mktemp("noisy")
    (folder / "noisy.c").write_text(EXTENSION)
    library = folder / f"noisy{sysconfig.get_config_var('EXT_SUFFIX')}"
    subprocess.run(
        [compiler, "-shared", "-fPIC", f"-I{headers}", str(folder / "noisy.c"), "-o", str(library)],
        check=True,
    )
    return folder


@pytest.mark.parametrize("into", ["pipe", "merged", "file", "pty"])
def test_five_megabytes_under_pythons_lock_pass_and_are_recorded(
    laptop: Home, noisy: Path, into: str
) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(noisy)!r})
{INIT}
import noisy
print("before")
sys.stdout.flush()
noisy.flood(1, 100_000)
print("between")
sys.stdout.flush()
noisy.flood(2, 1000)
noisy.say("printf")
run.finish()
"""
    found = same_on_the_terminal(laptop, code, into=into)
    lines = b"".join(b"line %043d\n" % i for i in range(100_000))
    assert found.text().count(b"\n") == 101_003
    if into == "pipe":
        assert found.text(1) == b"before\n" + lines + b"between\nprintf\n"
        assert found.text(2) == lines[: 1000 * 49]


def test_through_ctypes(laptop: Home) -> None:
    code = f"""{INIT}
import ctypes
for library in (ctypes.CDLL(None), ctypes.PyDLL(None)):
    for i in range(100):
        library.printf(b"c %d\\n", i)
        library.fflush(None)
        print("py", i, flush=True)
run.finish()
"""
    for into in ("pipe", "pty"):
        found = same_on_the_terminal(laptop, code, into=into)
        assert found.text() == b"".join(b"c %d\npy %d\n" % (i, i) for i in range(100)) * 2


OUTLIVING = """
import subprocess, sys, os, signal
child = '''
import os, sys, time
while os.getppid() == int(sys.argv[1]):
    time.sleep(0.01)
for i in range(2000):
    print("line", i, flush=True)
open("child-ended", "w").close()
'''
process = subprocess.Popen([sys.executable, "-c", child, str(os.getpid())])
print("parent")
"""


FINISH, EXIT = "run.finish()", ""
KILLED = "sys.stdout.flush(); os.kill(os.getpid(), signal.SIGKILL)"
LEFT = "sys.stdout.flush(); os._exit(0)"


@pytest.mark.parametrize(
    ("end", "into"),
    [(FINISH, "pipe"), (EXIT, "pipe"), (KILLED, "pipe"), (LEFT, "pipe"), (FINISH, "pty"), (KILLED, "pty")],
    ids=["finish", "exit", "killed", "_exit", "finish on a terminal", "killed on a terminal"],
)
def test_child_that_outlives_the_training_prints_on(laptop: Home, end: str, into: str) -> None:
    done = run_script(laptop, INIT + OUTLIVING + end, into=into)
    expected = b"parent\n" + b"".join(b"line %d\n" % i for i in range(2000))
    assert done.out.replace(b"\r\n", b"\n") == expected
    assert (laptop.work / "child-ended").exists()


@pytest.mark.parametrize("into", ["pipe", "pty"])
def test_what_is_under_way_at_a_kill_reaches_the_terminal(laptop: Home, noisy: Path, into: str) -> None:
    code = f"""
import sys, os, signal
sys.path.insert(0, {str(noisy)!r})
{INIT}
import noisy
noisy.flood(1, 20_000)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = run_script(laptop, code, into=into)
    assert done.code == -signal.SIGKILL
    assert done.out.replace(b"\r\n", b"\n") == b"".join(b"line %043d\n" % i for i in range(20_000))


def test_crash_in_c_is_told_by_faulthandler(laptop: Home) -> None:
    code = f"""{INIT}
import faulthandler, sys
faulthandler.enable()
print("before", flush=True)
faulthandler.dump_traceback()
print("between", file=sys.stderr)
faulthandler._sigsegv()
"""
    done = run_script(laptop, code)
    assert done.code == -signal.SIGSEGV
    assert done.out == b"before\n"
    assert done.err.count(b"Fatal Python error: Segmentation fault") == 1
    found = recorded(laptop)
    assert found.text(1) == b"before\n"
    assert b"most recent call first" in found.text(2) and found.text(2).endswith(b"between\n")


def test_death_of_the_relay_changes_nothing(laptop: Home) -> None:
    code = f"""{INIT}
import os, signal, subprocess, sys, time
from pathlib import Path
os.write(1, b"one\\n")
print("two", flush=True)
session = 0
if _os.environ["PRINT_MODE"] != "disabled":
    here = os.fsencode(os.readlink("/proc/self/fd/1"))
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and b"relay.py" in (entry / "cmdline").read_bytes():
                if any(os.fsencode(os.readlink(fd)) == here for fd in (entry / "fd").iterdir()):
                    session = int(entry.name)
        except OSError:
            continue
    assert session
    os.kill(session, signal.SIGKILL)
for i in range(200):
    os.write(1, b"c %d\\n" % i)
    print("py", i, flush=True)
subprocess.run(["sh", "-c", "echo child"])
run.finish()
"""
    found = same_on_the_terminal(laptop, code)
    lines = b"".join(b"c %d\npy %d\n" % (i, i) for i in range(200))
    assert found.text() == b"one\ntwo\n" + lines + b"child\n"


def test_reader_that_goes_away_ends_children_as_ever(laptop: Home) -> None:
    code = f"""{INIT}
import subprocess, sys
done = subprocess.run(["yes"])
print(done.returncode, file=sys.stderr)
try:
    for i in range(10_000):
        print("x" * 100)
    sys.stdout.flush()
except BrokenPipeError:
    print("broken pipe", file=sys.stderr)
    sys.stdout = None
run.finish()
"""
    (laptop.work / "script.py").write_text(code)
    said = []
    for mode in ("offline", "disabled"):
        env = {k: v for k, v in laptop.env.items() if k != "PYTHONUNBUFFERED"} | {"PRINT_MODE": mode}
        line = f"{sys.executable} script.py | head -n 3"
        done = subprocess.run(
            ["bash", "-c", line], cwd=laptop.work, env=env, capture_output=True, timeout=60, check=False
        )
        assert done.stdout == b"y\ny\ny\n"
        said.append(done.stderr)
    assert said[0] == said[1]
    assert said[0].startswith(f"{-signal.SIGPIPE}\nbroken pipe\n".encode())


def test_multiprocessing_children_are_recorded(laptop: Home) -> None:
    code = f"""
import multiprocessing, os, sys
def work(n):
    print("worker", n)
    os.write(1, b"raw %d\\n" % n)
    sys.stdout.flush()
    return n
if __name__ == "__main__":
    {INIT.strip().replace(chr(10), chr(10) + "    ")}
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            pool.map(work, range(3))
            pool.close()
            pool.join()
    run.finish()
"""
    found = same_on_the_terminal(laptop, code)
    for n in range(3):
        assert found.text().count(b"worker %d\n" % n) == 2
        assert found.text().count(b"raw %d\n" % n) == 2


def test_nothing_is_left_open_or_running(laptop: Home) -> None:
    code = """
import os, threading
import kiseki
def files():
    return sorted(os.listdir("/proc/self/fd"))
before = files()
here = [os.readlink(f"/proc/self/fd/{fd}") for fd in (1, 2)]
for _ in range(3):
    run = kiseki.init(project="print", mode="offline", settings=dict(silent=True))
    os.write(1, b"c\\n")
    print("py", flush=True)
    run.finish()
    for thread in threading.enumerate():
        if thread.name == "kiseki-console":
            thread.join(10)
            assert not thread.is_alive()
assert files() == before, (before, files())
assert here == [os.readlink(f"/proc/self/fd/{fd}") for fd in (1, 2)]
import sys
for stream in (sys.stdout, sys.stderr):
    for part in (stream, stream.buffer, getattr(stream.buffer, "raw", stream.buffer)):
        assert not {"write", "flush"} & set(vars(part)), vars(part)
"""
    done = run_script(laptop, code)
    assert (done.code, done.out) == (0, b"c\npy\n" * 3), done.err.decode()


def test_many_runs_at_once_have_the_same_output(laptop: Home) -> None:
    code = """
import os, kiseki
one = kiseki.init(project="print", mode="offline", settings=dict(silent=True))
two = kiseki.init(project="print", mode="offline", settings=dict(silent=True), reinit="create_new")
print("both", flush=True)
os.write(1, b"c both\\n")
one.finish()
print("two", flush=True)
os.write(1, b"c two\\n")
two.finish()
print("none")
"""
    done = run_script(laptop, code)
    assert done.out == b"both\nc both\ntwo\nc two\nnone\n"
    texts = sorted(records_of(folder).text() for folder in laptop.run_folders())
    assert texts == [b"both\nc both\n", b"both\nc both\ntwo\nc two\n"]


def test_relay_ends_with_the_training(laptop: Home) -> None:
    run_script(laptop, INIT + 'print("x")')

    def relays() -> list[str]:
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.readlink(entry / "exe") == os.path.realpath(sys.executable):
                    environment = (entry / "environ").read_bytes()
                    if (
                        b"relay.py" in (entry / "cmdline").read_bytes()
                        and str(laptop.folder).encode() in environment
                    ):
                        found.append(entry.name)
            except OSError:
                continue
        return found

    await_true(lambda: not relays(), what="the relay to end")
