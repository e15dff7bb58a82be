"""Where something else has the streams already: pytest, a notebook's kernel, IPython, tees, progress bars."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.journeys.printing import INIT, Printed, recorded, records_of, run_script, same_on_the_terminal
from tests.journeys.world import Home

UNDER_PYTEST = """
import logging, os, sys
import kiseki, pytest

@pytest.fixture(scope="module")
def run():
    run = kiseki.init(project="print", mode=os.environ["PRINT_MODE"], settings=dict(silent=True))
    yield run
    run.finish()

def test_prints(run):
    print("in a test")
    os.write(1, b"c in a test\\n")
    os.system("echo child in a test")
    print("error in a test", file=sys.stderr)

def test_capfd(run, capfd):
    for i in range(20):
        os.write(1, b"c %d\\n" % i)
        print("py", i)
        assert capfd.readouterr().out == f"c {i}\\npy {i}\\n"

def test_capsys(run, capsys):
    print("for capsys")
    assert capsys.readouterr().out == "for capsys\\n"

def test_own_run(capsys):
    mode = os.environ["PRINT_MODE"]
    own = kiseki.init(project="print", mode=mode, reinit="create_new", settings=dict(silent=True))
    print("own")
    os.write(1, b"c of its own\\n")
    own.finish()
    assert capsys.readouterr().out == "own\\n"

def test_fails(run):
    print("shown because it fails")
    os.write(1, b"c shown\\n")
    assert False
"""


@pytest.mark.parametrize("capture", ["fd", "sys", "no", "tee-sys"])
def test_under_pytest(laptop: Home, capture: str) -> None:
    (laptop.work / "test_it.py").write_text(UNDER_PYTEST)
    code = f"""
import sys, pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "--capture={capture}", "--no-header", "test_it.py"]))
"""
    said = []
    for mode in ("offline", "disabled"):
        done = run_script(laptop, code, mode=mode)
        said.append(Printed(re.sub(rb" in [0-9.]+s|<kiseki.Run .*>", b"", done.out), done.err, done.code))
    assert said[0] == said[1], f"{said[0].out.decode()}\nwithout: {said[1].out.decode()}"
    assert said[0].code == 1 and b"4 passed" in done.out, done.out.decode()
    found = [folder for folder in laptop.run_folders() if b"in a test" in _text(folder)]
    assert len(found) == 1
    text = _text(found[0])
    for line in (b"in a test\n", b"error in a test\n", b"shown because it fails\n"):
        assert line in text
    for line in (b"c in a test\n", b"child in a test\n"):
        # Between a fixture and its test pytest puts descriptors of its own in the place of ours.
        assert text.count(line) == (0 if capture == "fd" else 1)
    (own,) = (folder for folder in laptop.run_folders() if folder not in found)
    assert _text(own) == b"own\nc of its own\n"


def test_in_a_notebook(laptop: Home) -> None:
    code = """
import os, sys
import nbformat
from nbclient import NotebookClient
cells = [
    "import kiseki, os, sys\\nrun = kiseki.init(project='print', mode=os.environ['PRINT_MODE'],"
    " settings=dict(silent=True))",
    "print('in a cell')\\nprint('to stderr', file=sys.stderr)",
    "os.write(1, b'from c\\\\n')\\nos.system('echo from a child')",
    "import glob, time\\nend = time.monotonic() + 20\\nwhile time.monotonic() < end and not any("
    "b'a child' in open(name, 'rb').read() for name in glob.glob(f'{run.sync_dir}/*.kiseki')):\\n"
    "    time.sleep(0.01)\\nprint('later')" if os.environ["PRINT_MODE"] != "disabled" else "print('later')",
    "import contextlib, io\\nwith contextlib.redirect_stdout(io.StringIO()):\\n    print('hidden')",
    "run.finish()\\nprint('after')",
]
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
NotebookClient(notebook, timeout=60).execute()
for cell in notebook.cells:
    for output in cell.outputs:
        sys.stdout.write(f"{output.name}: {output.text}" if "text" in output else "")
"""
    done = run_script(laptop, code)
    assert done.code == 0, done.err.decode()
    without = run_script(laptop, code, mode="disabled")
    assert sorted(done.out.splitlines()) == sorted(without.out.splitlines())
    text = recorded(laptop).text()
    for line in (b"in a cell\n", b"to stderr\n", b"from c\n", b"from a child\n", b"later\n"):
        assert text.count(line) == 1, (line, text)
    assert b"hidden" not in text and b"after" not in text


def test_in_ipython(laptop: Home) -> None:
    lines = [
        "import kiseki, os",
        "run = kiseki.init(project='print', mode=os.environ['PRINT_MODE'], settings=dict(silent=True))",
        "print('in ipython')",
        "!echo from a shell",
        "os.write(1, b'from c\\n')",
        "run.finish()",
    ]
    said = []
    for mode in ("offline", "disabled"):
        done = subprocess.run(
            [sys.executable, "-m", "IPython", "--simple-prompt", "--colors=NoColor", "--no-banner"],
            input="\n".join(lines) + "\n", text=True, cwd=laptop.work, env=laptop.env | {"PRINT_MODE": mode},
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert "in ipython" in done.stdout, done.stdout + done.stderr
        said.append((done.stdout, done.stderr))
    assert said[0] == said[1]
    text = recorded(laptop).text()
    for line in (b"in ipython\n", b"from a shell\n", b"from c\n"):
        assert text.count(line) == 1, (line, text)


TEE = """
import sys
class Tee:
    def __init__(self, stream):
        self.stream, self.kept = stream, open("tee.log", "a")
    def write(self, text):
        self.kept.write(text)
        return self.stream.write(text)
    def flush(self):
        self.stream.flush()
    def __getattr__(self, name):
        return getattr(self.stream, name)
"""

REPLACED = {
    "tee before": TEE + "sys.stdout = Tee(sys.stdout)\n" + INIT + "print('line')\n",
    "tee after": INIT + TEE + "sys.stdout = Tee(sys.stdout)\nprint('line')\n",
    "tee before, of slots": TEE.replace("class Tee:", "class Tee:\n    __slots__ = ('stream', 'kept')")
    + "sys.stdout = Tee(sys.stdout)\n"
    + INIT
    + "print('line')\nassert isinstance(sys.stdout.fileno(), int)\n",
    "new wrapper": INIT
    + "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer)\nprint('line', flush=True)\n",
    "detached": INIT
    + "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.detach())\nprint('line', flush=True)\n",
    "opened by number": INIT
    + "import sys\nsys.stdout = open(1, 'w', closefd=False)\nprint('line', flush=True)\n",
    "logging before": "import logging\nlogging.basicConfig(format='%(message)s')\nlog = logging.getLogger()\n"
    + INIT
    + "log.error('line')\n",
    "patched before": "import sys\nfirst = sys.stdout.write\nsys.stdout.write = lambda text: first(text)\n"
    + INIT
    + "print('line')\n",
    "patched after": INIT
    + "import sys\nfirst = sys.stdout.write\nsys.stdout.write = lambda text: first(text)\nprint('line')\n",
    "logger as stdout": """
import logging, sys
logging.basicConfig(format="%(message)s", stream=sys.__stdout__)
class ToLog:
    def write(self, text):
        if text.strip():
            logging.error(text.rstrip())
    def flush(self):
        pass
sys.stdout = ToLog()
"""
    + INIT
    + "print('line')\n",
    "reconfigured": INIT + "import sys\nsys.stdout.reconfigure(line_buffering=True)\nprint('line')\n",
    "old method": "import sys\nwrite, flush = sys.stderr.write, sys.stderr.flush\n"
    + INIT
    + "write('line\\n')\nflush()\n",
    "old binary": "import sys\nout = sys.stdout.buffer\n" + INIT + "out.write(b'line\\n')\nout.flush()\n",
}


@pytest.mark.parametrize("how", REPLACED)
def test_replaced_streams_are_recorded_once(laptop: Home, how: str) -> None:
    done = run_script(laptop, REPLACED[how] + "run.finish()\nprint('after')\n", into="merged")
    assert done == Printed(b"line\nafter\n", b"", 0)
    assert recorded(laptop).text().count(b"line") == 1, recorded(laptop)
    assert b"after" not in recorded(laptop).text()


def test_redirected_text_that_no_terminal_shows_is_not_recorded(laptop: Home) -> None:
    code = f"""{INIT}
import contextlib, io, os, sys
with contextlib.redirect_stdout(io.StringIO()):
    print("hidden")
print("shown", flush=True)
saved = os.dup(1)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
os.write(1, b"c hidden\\n")
print("into the void", flush=True)
os.dup2(saved, 1)
os.close(saved)
os.write(1, b"c shown\\n")
print("shown again", flush=True)
os.dup2(2, 1)
print("to stderr", flush=True)
run.finish()
"""
    for into in ("pipe", "pty"):
        text = same_on_the_terminal(laptop, code, into=into).text()
        assert b"hidden" not in text
        for line in (b"shown\n", b"c shown\n", b"shown again\n", b"to stderr\n"):
            assert text.count(b"\n" + line) + text.startswith(line) == 1, (line, text)


@pytest.mark.parametrize("into", ["pipe", "pty"])
def test_progress_bars(laptop: Home, into: str) -> None:
    code = f"""
import sys, tqdm
early = tqdm.tqdm(total=10, desc="early", file=sys.stderr, mininterval=1e9, ncols=60,
                  bar_format="{{desc}} {{n_fmt}}")
{INIT}
for _ in tqdm.trange(3, desc="outer", mininterval=0, ncols=60, bar_format="{{desc}} {{n_fmt}}"):
    for _ in tqdm.trange(20, desc="inner", leave=False, mininterval=0, ncols=60,
                         bar_format="{{desc}} {{n_fmt}}"):
        pass
for _ in tqdm.trange(3, desc="said", mininterval=0, file=sys.stdout, bar_format="{{desc}} {{n_fmt}}"):
    tqdm.tqdm.write("said")
early.update(10)
early.refresh()
early.close()
run.finish()
"""
    text = same_on_the_terminal(laptop, code, into=into).text()
    assert text.count(b"said\n") == 3
    for n in range(1, 21):
        assert text.count(b"inner %d" % n) >= 3
    assert b"early 10" in text


def test_window_size_is_that_of_the_terminal(laptop: Home) -> None:
    code = f"""
import fcntl, os, struct, sys, termios, time
fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
terminal = os.dup(1)
{INIT}
assert os.isatty(1) and sys.stdout.isatty()
assert os.get_terminal_size(1) == (101, 33), os.get_terminal_size(1)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 44, 120, 0, 0))
deadline = time.monotonic() + 20
while os.get_terminal_size(1) != (120, 44) and time.monotonic() < deadline:
    time.sleep(0.01)
print(os.get_terminal_size(1))
os.system("stty size <&1; test -t 1 && echo a terminal")
run.finish()
"""
    text = same_on_the_terminal(laptop, code, into="pty").text()
    assert text == b"os.terminal_size(columns=120, lines=44)\n44 120\na terminal\n"


def _text(folder: Path) -> bytes:
    return records_of(folder).text()
