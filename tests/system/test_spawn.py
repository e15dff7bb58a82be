import json
import os
import sys
from pathlib import Path

from kiseki.system.process import PidWatch, process_of
from kiseki.system.spawn import reap, spawn_detached

CODE = """
import json, os, signal, sys
text = json.dumps({
    "pid": os.getpid(), "cwd": os.getcwd(), "session": os.getsid(0), "parent": os.getppid(),
    "env": os.environ.get("GIVEN"), "other": os.environ.get("HOME"), "stdin": os.readlink("/proc/self/fd/0"),
})
print("said")
open(sys.argv[1] + ".tmp", "w").write(text)
os.rename(sys.argv[1] + ".tmp", sys.argv[1])
"""


def test_spawned_program_stands_alone(tmp_path: Path) -> None:
    fifo = tmp_path / "done"
    os.mkfifo(fifo)
    code = CODE + f"\nopen({str(fifo)!r}, 'w').close()"
    log = tmp_path / "log"
    argv = [sys.executable, "-I", "-c", code, str(tmp_path / "told")]
    launcher = spawn_detached(argv, {"GIVEN": "1"}, log=log)
    assert reap(launcher)
    fifo.read_text()  # until the program is through
    told = json.loads((tmp_path / "told").read_text())
    assert told["cwd"] == "/"
    assert told["env"] == "1"
    assert told["other"] is None
    assert told["stdin"] == "/dev/null"
    assert told["session"] != os.getsid(0)
    assert told["parent"] != os.getpid()
    found = process_of(told["pid"])
    assert found is None or PidWatch(found).wait(20)
    assert log.read_text() == "said\n"
    assert log.stat().st_mode & 0o777 == 0o600


def test_reaping_twice_is_harmless() -> None:
    launcher = spawn_detached(["/bin/true"], {})
    assert reap(launcher)
    assert reap(launcher)
