"""Scripts that print: run with and without Kiseki, into a pipe, a file or a pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from typing import NamedTuple

from tests.journeys.world import Home

from kiseki.records import read_records
from kiseki.records.kinds import Console

INIT = """
import os as _os, kiseki
run = kiseki.init(project="print", mode=_os.environ["PRINT_MODE"], settings=dict(silent=True))
"""

_NOT_THEIRS = ("PYTHONUNBUFFERED", "PYTEST_CURRENT_TEST")


class Printed(NamedTuple):
    """What a script left: what its terminal got on 1 and 2 (2: empty where they are one), and its status."""

    out: bytes
    err: bytes
    code: int


class Recorded(NamedTuple):
    """The console records of a run: each (stream, bytes) in order."""

    pieces: list[tuple[int, bytes]]

    def text(self, *streams: int) -> bytes:
        """All that was recorded of these streams, of all where none is named."""
        return b"".join(data for stream, data in self.pieces if not streams or stream in streams)


def run_script(
    home: Home,
    code: str,
    *,
    mode: str = "offline",
    into: str = "pipe",
    options: tuple[str, ...] = (),
    seconds: float = 60.0,
    **env: str,
) -> Printed:
    """Run `code` to its end, with all that holds its output; `into` is pipe, merged (2>&1), file or pty."""
    script = home.work / "script.py"
    script.write_text(code)
    command = [sys.executable, *options, str(script)]
    whole = {k: v for k, v in home.env.items() if k not in _NOT_THEIRS} | {"PRINT_MODE": mode} | env
    if into == "pty":
        return _under_pty(command, home.work, whole, seconds)
    if into == "file":
        out, err = home.work / "out.txt", home.work / "err.txt"
        with out.open("wb") as one, err.open("wb") as two:
            done = subprocess.run(
                command, cwd=home.work, env=whole, stdin=subprocess.DEVNULL, stdout=one, stderr=two,
                timeout=seconds, check=False,
            )  # fmt: skip
        return Printed(out.read_bytes(), err.read_bytes(), done.returncode)
    piped = subprocess.run(
        command, cwd=home.work, env=whole, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if into == "merged" else subprocess.PIPE, timeout=seconds, check=False,
    )  # fmt: skip
    return Printed(piped.stdout, piped.stderr or b"", piped.returncode)


def same_on_the_terminal(home: Home, code: str, *, into: str = "pipe", **more: object) -> Recorded:
    """Run `code` with and without recording, see that the terminal got the same bytes; what was recorded."""
    with_kiseki = run_script(home, code, into=into, **more)  # type: ignore[arg-type]
    without = run_script(home, code, into=into, mode="disabled", **more)  # type: ignore[arg-type]
    assert with_kiseki == without, f"with Kiseki: {with_kiseki}\nwithout: {without}"
    return recorded(home)


def recorded(home: Home) -> Recorded:
    """The console records of the newest run."""
    return records_of(home.run_folders()[-1])


def records_of(folder: Path) -> Recorded:
    """The console records in a run directory."""
    pieces = []
    for path in sorted(folder.glob("*.kiseki")):
        reading = read_records(path.read_bytes())
        if reading.header is None:  # the sidecar is just beginning a file of its own
            continue
        assert reading.damage is None, reading.damage
        pieces += [(e.record.stream, e.record.data) for e in reading.entries if isinstance(e.record, Console)]
    return Recorded(pieces)


def _under_pty(command: list[str], cwd: Path, env: dict[str, str], seconds: float) -> Printed:
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        command, cwd=cwd, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    seen = bytearray()

    def read() -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not select.select([master], (), (), 0.5)[0]:
                continue
            try:
                data = os.read(master, 65536)
            except OSError:
                return
            if not data:
                return
            seen.extend(data)

    reader = threading.Thread(target=read)
    reader.start()
    code = process.wait(timeout=seconds)
    reader.join(timeout=seconds)
    os.close(master)
    return Printed(bytes(seen), b"", code)
