"""What a training prints is recorded, and its terminal shows what it would have shown."""

from __future__ import annotations

import pytest
from tests.journeys.printing import INIT, same_on_the_terminal
from tests.journeys.world import Home

MIXED = (
    INIT
    + """
import os, subprocess, sys
print("one")
os.write(1, b"two\\n")
print("three", file=sys.stderr)
os.write(2, b"four\\n")
subprocess.run([sys.executable, "-c", "import sys; print('five'); print('six', file=sys.stderr)"])
os.system("echo seven; echo eight >&2")
sys.stdout.flush()
for i in range(50):
    print("p", i)
    sys.stdout.flush()
    os.write(1, b"c%d\\n" % i)
sys.stdout.buffer.write(b"bytes \\xff\\n")
print("日本語 \\udcff end", file=sys.stderr)
run.finish()
print("after")
os.write(1, b"c after\\n")
"""
)


@pytest.mark.parametrize("into", ["pipe", "merged", "file", "pty"])
@pytest.mark.parametrize("options", [(), ("-u",)], ids=["buffered", "unbuffered"])
def test_terminal_is_the_same_and_all_is_recorded(laptop: Home, into: str, options: tuple[str, ...]) -> None:
    found = same_on_the_terminal(laptop, MIXED, into=into, options=options)
    text = found.text()
    for word in ("one", "two", "three", "four", "five", "six", "seven", "eight"):
        assert text.count(word.encode() + b"\n") == 1, word
    for i in range(50):
        assert text.count(b"p %d\n" % i) == 1 and text.count(b"c%d\n" % i) == 1
    assert b"bytes \xff\n" in text
    assert "日本語 \\udcff end\n".encode() in text
    assert b"after" not in text
