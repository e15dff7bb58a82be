"""How another process ended, where the kernel tells."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from kiseki.system.exit_status import exit_status, memory_events_path, out_of_memory_kills

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="pidfds are Linux's")


@pytest.mark.parametrize(
    ("end", "code", "number"),
    [
        ("os._exit(3)", 3, None),
        ("os.kill(os.getpid(), 9)", None, signal.SIGKILL),
        ("os.kill(os.getpid(), 15)", None, signal.SIGTERM),
    ],
)
def test_code_and_signal_are_told(end: str, code: int | None, number: int | None) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", f"import os, sys; sys.stdin.read(); {end}"], stdin=subprocess.PIPE
    )
    pidfd = os.pidfd_open(process.pid)
    try:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)
        status = exit_status(pidfd)
    finally:
        os.close(pidfd)
    if status is None:
        pytest.skip("this kernel does not tell (before Linux 6.15)")
    assert (status.code, status.signal) == (code, number)


def test_a_living_process_has_no_status() -> None:
    pidfd = os.pidfd_open(os.getpid())
    try:
        assert exit_status(pidfd) is None
    finally:
        os.close(pidfd)


def test_no_memory_was_short_here() -> None:
    assert out_of_memory_kills(memory_events_path(os.getpid())) >= 0
    assert out_of_memory_kills("/nowhere/memory.events") == 0
    assert memory_events_path(2**30) is None
