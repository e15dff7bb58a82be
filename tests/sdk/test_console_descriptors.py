"""Recorded output in a program that closes descriptors which it did not open."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_SCRIPT = """
import os, kiseki
run = kiseki.init(project="p", mode="offline")
print("before", flush=True)
os.closerange(60, 256)  # where only those of the console are
print("after", flush=True)
files = [open(f"own-{number}", "w+") for number in range(100)]
print("with files", flush=True)
os.write(1, b"raw\\n")
os.system("echo child")
run.finish()
print("finished", flush=True)
for file in files:
    file.close()
"""


def test_a_program_that_closes_all_it_finds_still_prints_and_its_own_files_are_left_alone(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["before", "after", "with files", "raw", "child", "finished", ""]
    assert all((tmp_path / f"own-{number}").read_text() == "" for number in range(100))


def test_a_stream_that_fails_when_it_is_looked_at_costs_the_recording_and_no_more(tmp_path: Path) -> None:
    script = """
import sys, kiseki
class Odd:
    def __init__(self, stream): self._stream = stream
    def write(self, text): return self._stream.write(text)
    @property
    def flush(self):
        if hard: raise RuntimeError("not now")
        return self._stream.flush
hard = True
sys.stdout = Odd(sys.stdout)
with kiseki.init(project="p", mode="offline") as run:
    hard = False
    run.log({"loss": 1})
    print("printed")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "printed\n"), done.stderr
    assert done.stderr.count("output is not recorded: RuntimeError: not now") == 1
