"""How another process ended: its exit status by pidfd (Linux 6.15 on), and whether memory ran out."""

from __future__ import annotations

import struct
import time
from typing import NamedTuple

_PIDFD_GET_INFO = 0xC040FF0B  # _IOWR(0xFF, 11, struct pidfd_info) with the 64 bytes of its first version.
_PIDFD_INFO_EXIT = 1 << 3
_INFO = struct.Struct("<QQ11Ii")
_REAPING_S = 0.05
_PAUSE_S = 0.005


class ExitStatus(NamedTuple):
    """The end of a process: `code` as `exit` took it, or the number of the `signal` that ended it."""

    code: int | None
    signal: int | None


def exit_status(pidfd: int) -> ExitStatus | None:
    """Return how the process behind `pidfd` ended; None where the kernel does not tell.

    It tells once the parent has collected the process; that is waited for, 50 ms at most.
    """
    try:
        import fcntl
    except ImportError:
        return None
    deadline = time.monotonic() + _REAPING_S
    while True:
        info = bytearray(_INFO.size)
        _INFO.pack_into(info, 0, _PIDFD_INFO_EXIT, *[0] * 13)
        try:
            fcntl.ioctl(pidfd, _PIDFD_GET_INFO, info)
        except OSError:
            return None
        mask, *_, status = _INFO.unpack(info)
        if mask & _PIDFD_INFO_EXIT:
            ended_by = status & 0x7F
            return ExitStatus(None, ended_by) if ended_by else ExitStatus(status >> 8 & 0xFF, None)
        if time.monotonic() >= deadline:
            return None
        time.sleep(_PAUSE_S)


def memory_events_path(pid: int) -> str | None:
    """Return the file in which the kernel counts what memory limits did to the cgroup of `pid`."""
    try:
        with open(f"/proc/{pid}/cgroup") as file:
            unified = next(line[3:].rstrip("\n") for line in file if line.startswith("0::"))
    except (OSError, StopIteration):
        return None
    return f"/sys/fs/cgroup{unified.rstrip('/')}/memory.events"


def out_of_memory_kills(events_path: str | None) -> int:
    """Return how many processes of the cgroup were killed since memory ran out; 0 where that is unknown."""
    if events_path is None:
        return 0
    try:
        with open(events_path) as file:
            return next((int(line.split()[1]) for line in file if line.startswith("oom_kill ")), 0)
    except (OSError, ValueError):
        return 0
