"""Recorded output in a program that closes descriptors which it did not open."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_SCRIPT = """
import os, kiseki
run = kiseki.init(project="p", mode="offline")
print("before", flush=True)
os.closerange(3, 256)
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
