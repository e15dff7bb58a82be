"""Who a process is, for ever: pid, start time, boot and pid namespace; and whether it still lives."""

from __future__ import annotations

import functools
import os
import select
import sys
import time
from typing import NamedTuple


class ProcessId(NamedTuple):
    """One process of one boot of one machine; a reused pid has another `start`.

    `start` is field 22 of `/proc/PID/stat` (clock ticks since boot), 0 where that cannot be read;
    `pid_ns` is the inode of its pid namespace, 0 where there are none.
    """

    pid: int
    start: int
    boot_id: str
    pid_ns: int


def this_process() -> ProcessId:
    """The calling process."""
    pid = os.getpid()
    return ProcessId(pid, start_time(pid) or 0, boot_id(), pid_namespace())


def process_of(pid: int) -> ProcessId | None:
    """The process that has `pid` in this namespace now, None where there is none."""
    start = start_time(pid)
    return None if start is None else ProcessId(pid, start, boot_id(), pid_namespace())


def is_alive(process: ProcessId) -> bool | None:
    """Whether `process` runs; None where this process cannot know (other boot, host or namespace)."""
    if not process.boot_id or process.boot_id != boot_id() or process.pid_ns != pid_namespace():
        return None
    if sys.platform == "win32":
        return None
    found = start_time(process.pid)
    return found is not None and (process.start == 0 or found == process.start)


def start_time(pid: int) -> int | None:
    """Start of `pid` in clock ticks since boot (0: alive, but unknown); None where it is dead.

    A zombie counts as dead: it will never write again.
    """
    if not _HAS_PROC:
        return 0 if _exists(pid) else None
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError:
        return 0 if _exists(pid) else None
    # The name between the parentheses may itself hold spaces and parentheses.
    fields = stat[stat.rfind(b")") + 2 :].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


@functools.cache
def boot_id() -> str:
    """Identifier of this boot of this machine; "" where the system tells none."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return _darwin_boot_id() if sys.platform == "darwin" else ""


def pid_namespace() -> int:
    """Inode of this process's pid namespace, 0 where the system has none."""
    return namespace("pid")


def namespace(kind: str) -> int:
    """Inode of this process's namespace of `kind` ("pid", "mnt", "net", …), 0 where there is none."""
    try:
        return os.stat(f"/proc/self/ns/{kind}").st_ino
    except OSError:
        return 0


def hostname() -> str:
    """Name of this machine."""
    if hasattr(os, "uname"):
        return os.uname().nodename
    return os.environ.get("COMPUTERNAME", "localhost")


def boottime_ns() -> int:
    """Nanoseconds on a clock that never goes back and counts suspended time."""
    return time.clock_gettime_ns(_BOOT_CLOCK) if _BOOT_CLOCK is not None else time.monotonic_ns()


class PidWatch:
    """Notices the end of one process: at once by a pidfd where there is one, else when asked."""

    def __init__(self, process: ProcessId) -> None:
        self.process = process
        self._descriptor: int | None = None
        self._ended = is_alive(process) is False
        if not self._ended and hasattr(os, "pidfd_open"):
            try:
                self._descriptor = os.pidfd_open(process.pid)
            except OSError:
                self._descriptor = None
            # The pid may have passed to another process before the descriptor was opened.
            self._ended = is_alive(process) is False

    def fileno(self) -> int | None:
        """A descriptor that is readable once the process has ended; None where it must be asked."""
        return self._descriptor

    def ended(self) -> bool:
        """Whether the process has ended; does not wait."""
        return self.wait(0)

    def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the end; whether it has come."""
        deadline = time.monotonic() + timeout
        while not self._ended:
            left = max(0.0, deadline - time.monotonic())
            if self._descriptor is not None:
                poll = select.poll()
                poll.register(self._descriptor, select.POLLIN)
                self._ended = bool(poll.poll(left * 1000))
                break
            self._ended = is_alive(self.process) is False
            if self._ended or left == 0:
                break
            time.sleep(min(left, 0.2))
        return self._ended

    def close(self) -> None:
        """Give the descriptor back."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


_HAS_PROC = os.path.exists("/proc/self/stat")
_BOOT_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def _exists(pid: int) -> bool:
    if sys.platform == "win32":  # os.kill would end the process there
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _darwin_boot_id() -> str:
    import ctypes

    buffer = ctypes.create_string_buffer(64)
    size = ctypes.c_size_t(len(buffer))
    failed = ctypes.CDLL(None).sysctlbyname(b"kern.bootsessionuuid", buffer, ctypes.byref(size), None, 0)
    return "" if failed else buffer.value.decode()
