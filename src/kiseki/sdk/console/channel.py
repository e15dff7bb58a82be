"""A channel: the pipe or pseudo-terminal that stands in for descriptor 1 or 2, and the terminal behind it."""

from __future__ import annotations

import fcntl
import math
import os
import select
import stat
import sys
import termios
import time
from collections.abc import Callable
from functools import partial

from kiseki.sdk.console.relay import BUSY, CHUNK, GONE, LEFT, PASSED, STARTED, slot

_PIPE_BYTES = 1024 * 1024
_PTY_BYTES = 128 * 1024  # more than its two queues hold
_FIRST_OWN_FD = 64  # out of the way of programs that count on low numbers
_F_SETPIPE_SZ = 1031
_MOMENT_S = 0.005
_STUCK_S = 1.0
_START_S = 10.0
_LONGEST_NAP_S = 0.002


class Channel:
    """What descriptors `fds` lead to while output is recorded, and the terminal that they led to before.

    A terminal gets a pseudo-terminal, so that children still see one; everything else a pipe. Python writes
    past the channel, straight to the terminal, once nothing that was written before is under way (`settle`).
    """

    def __init__(self, index: int, fds: tuple[int, ...], state: memoryview) -> None:
        """Put the channel in the place of `fds`; raises OSError and leaves them alone where that fails."""
        self.index = index
        self.fds = fds
        self._state = state
        self._lags = False
        self._lost = False
        self.terminal = own_fd(fds[0])
        try:
            self.is_tty = os.isatty(self.terminal)
            reader, writer = _pseudo_terminal(self.terminal) if self.is_tty else _pipe()
            try:
                self.reader = own_fd(reader)
                self.identity = identity_of(writer)
                self._own = {fd: identity_of(fd) for fd in (self.terminal, self.reader)}
                for fd in fds:
                    os.dup2(writer, fd)
            finally:
                os.close(reader)
                os.close(writer)
        except OSError:
            os.close(self.terminal)
            raise
        # In C all through: no signal handler runs, and raises, inside a stream.
        self.straight: dict[str, Callable[..., int]] = {"write": partial(os.write, self.terminal)}
        """The methods of a raw file that go past the channel."""
        if stat.S_ISREG(os.fstat(self.terminal).st_mode):
            self.straight["seek"] = partial(os.lseek, self.terminal)
            self.straight["tell"] = partial(os.lseek, self.terminal, 0, os.SEEK_CUR)

    @property
    def intact(self) -> bool:
        """Whether the descriptors beside 1 and 2 are, and always were, still ours.

        A program may close all that it finds, and get their numbers for files of its own.
        """
        held = [fd for fd in (self.terminal, self.reader) if fd >= 0]
        self._lost = self._lost or any(identity_of(fd) != self._own[fd] for fd in held)
        return self.terminal >= 0 and not self._lost

    def is_under_way(self) -> bool:
        """Whether bytes are in the channel or in the relay."""
        return self._holds_bytes() or bool(self.reader >= 0 and self._state[slot(self.index, BUSY)])

    def settle(self, bound: float = math.inf) -> None:
        """Wait until what was written before has reached the terminal, but not for what comes meanwhile.

        At most `bound` seconds; else as long as the terminal takes, as a write to it would.
        """
        if not self.intact or not self.is_under_way():
            return
        passed_at = slot(self.index, PASSED)
        last = self._state[passed_at]
        enough = last + self._waiting() + CHUNK
        nap, since = 0.0, time.monotonic()
        end = since + bound
        while self.is_under_way() and not self._state[slot(self.index, GONE)]:
            passed, now = self._state[passed_at], time.monotonic()
            if passed >= enough or now > end:
                return
            if passed != last:
                last, since = passed, now
            patience = _STUCK_S if self._state[STARTED] else _START_S
            if now - since > patience and self._takes_bytes():
                return  # The relay is stuck. Where the terminal is, Python's own write would wait as well.
            time.sleep(nap)
            nap = min(nap * 2 or 2e-5, _LONGEST_NAP_S)

    def let_read(self) -> None:
        """Wait until the relay has read what is there, but for a moment only: its terminal may be stopped."""
        if not self._holds_bytes():
            self._lags = False
            return
        deadline = time.monotonic() + _MOMENT_S
        while not self._lags and self._holds_bytes():
            self._lags = time.monotonic() > deadline
            time.sleep(2e-5)

    def restore(self, bound: float = math.inf) -> None:
        """Let the descriptors lead to the terminal again, those that are still ours; see `settle`.

        Where the way there was closed by others, the relay goes on, which has one of its own.
        """
        if not self.intact:
            return
        for fd in self.fds:
            if self.holds(fd):
                self.settle(bound)
                os.dup2(self.terminal, fd)
        self.settle(bound)

    def holds(self, fd: int) -> bool:
        """Whether descriptor `fd` leads into this channel."""
        return identity_of(fd) == self.identity

    def leave_reader(self) -> None:
        """Close this process's reading end, so that writers feel that nobody reads."""
        reader, self.reader = self.reader, -1
        close_own(reader, self._own.get(reader))
        self._state[slot(self.index, LEFT)] = 1

    def close(self) -> None:
        """Close what this process holds beside the descriptors themselves."""
        self.leave_reader()
        terminal, self.terminal = self.terminal, -1
        close_own(terminal, self._own.get(terminal))

    def _holds_bytes(self) -> bool:
        if self.reader < 0:
            return False
        # Poll, for it also moves on what a pseudo-terminal has not delivered yet; FIONREAD does not.
        poller = select.poll()
        poller.register(self.reader, select.POLLIN)
        ready = poller.poll(0)
        return bool(ready and ready[0][1] & select.POLLIN)

    def _waiting(self) -> int:
        """How many bytes are in the channel at most."""
        if self.is_tty:
            return _PTY_BYTES
        try:
            return int.from_bytes(fcntl.ioctl(self.reader, termios.FIONREAD, bytes(4)), sys.byteorder)
        except OSError:
            return _PIPE_BYTES

    def _takes_bytes(self) -> bool:
        poller = select.poll()
        poller.register(self.terminal, select.POLLOUT)
        return bool(poller.poll(0))


def own_fd(fd: int) -> int:
    """A duplicate that no child inherits, with a number that nobody counts on."""
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_OWN_FD)
    except OSError:  # a low limit on open files
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)


def identity_of(fd: int) -> tuple[int, int] | None:
    """What an open descriptor leads to; None for a closed one."""
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def close_own(fd: int, identity: tuple[int, int] | None) -> None:
    """Close a descriptor that leads to `identity`, not one of others that has got its number since."""
    if fd >= 0 and identity is not None and identity_of(fd) == identity:
        os.close(fd)


def standard_outputs() -> list[tuple[int, ...]]:
    """Descriptors 1 and 2, together where they lead to the same place, whose order then counts."""
    found: list[tuple[int, os.stat_result]] = []
    for fd in (1, 2):
        try:
            found.append((fd, os.fstat(fd)))
        except OSError:
            continue
    if len(found) == 2 and os.path.samestat(found[0][1], found[1][1]) and not _is_null(found[0][1]):
        return [(1, 2)]
    return [(fd,) for fd, _ in found]


def _is_null(status: os.stat_result) -> bool:
    try:
        return os.path.samestat(status, os.stat(os.devnull))
    except OSError:
        return False


def _pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    try:
        fcntl.fcntl(writer, _F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:
        pass  # this user's pipes hold enough already: 64 KiB then
    return reader, writer


def _pseudo_terminal(terminal: int) -> tuple[int, int]:
    reader, writer = os.openpty()
    try:
        attributes = termios.tcgetattr(terminal)
        attributes[1] &= ~termios.OPOST  # the terminal itself turns \n into \r\n
        termios.tcsetattr(writer, termios.TCSANOW, attributes)
        fcntl.ioctl(writer, termios.TIOCSWINSZ, fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(8)))
    except (OSError, termios.error) as error:
        os.close(reader)
        os.close(writer)
        raise OSError(str(error)) from error
    return reader, writer
