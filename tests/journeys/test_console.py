"""What a training prints is recorded, and its terminal shows what it would have shown."""

from __future__ import annotations

import pytest
from tests.journeys.printing import INIT, records_of, run_script, same_on_the_terminal
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


def test_a_line_of_many_pieces_is_one_record(laptop: Home) -> None:
    code = (
        INIT
        + """
print("step", 3, "loss", 0.25)
print("begun", end=""); print(" and", "flushed", end="", flush=True)
print(); print("begun and left", end="")
run.finish()
"""
    )
    found = same_on_the_terminal(laptop, code)
    texts = [data for _, data in found.pieces]
    assert texts == [b"step 3 loss 0.25\n", b"begun and flushed", b"\n", b"begun and left"]


def test_a_begun_line_goes_into_each_run_that_was_there(laptop: Home) -> None:
    code = """
import os, kiseki
begin = lambda: kiseki.init(project="p", mode="offline", reinit="create_new", settings=dict(silent=True))
first, second = begin(), begin()
print("both", end="")
first.finish()
print(" and one")
second.finish()
"""
    run_script(laptop, code)
    texts = sorted(records_of(folder).text() for folder in laptop.run_folders())
    assert texts == [b"both", b"both and one\n"]
