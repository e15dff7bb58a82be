"""The relay: a process between what is written on descriptors 1 and 2 and the terminal.

Run as a script by a bare interpreter, of which it imports next to nothing. It passes on what it reads at
once, so that native code that holds Python's lock for long is shown as ever and never waits; a copy waits
here until the training's pump takes it. It ends when nobody holds the channels any more, which may be long
after the training. Its descriptors: 3 the state, 4 the pipe to the pump, then for each channel its reading
end and its terminal.
"""

from __future__ import annotations

import errno
import os
import select
import sys
from collections import deque
from mmap import mmap

CHUNK = 64 * 1024
"""Most bytes that are under way inside the relay on one channel, and in one frame to the pump."""

BACKLOG = 128 * 1024 * 1024
"""Bytes that wait here for the pump at most; beyond, only their number is passed on."""

STATE_BYTES = 4096
STARTED, TAKEN = 0, 1
"""Slots (u64) of the state: whether the relay reads; bytes that went, or would have gone, to the pump."""

BUSY, PASSED, GONE, LEFT = 0, 1, 2, 3
"""Slots of a channel: whether bytes are inside the relay; bytes passed to the terminal; whether that is gone;
whether the training let go of its own reading end."""

DATA, DROPPED, ENDED = 0, 1, 2
"""Kinds of frames: bytes; numbers of bytes and lines (u64) that did not fit; a terminal that is gone."""

HEAD_BYTES = 5
_PIECE = 4096  # never blocks where poll says that a pipe is writable (PIPE_BUF)
_WINDOW_LOOK_MS = 250
_GONE_LOOK_MS = 10


def slot(channel: int, name: int) -> int:
    """Where the state holds `name` of a channel."""
    return 2 + 4 * channel + name


def head(kind: int, channel: int, length: int) -> bytes:
    """The head of a frame to the pump: kind and channel in one byte, then the length."""
    return bytes((kind << 4 | channel,)) + length.to_bytes(4, "little")


class Copy:
    """What is on its way to the pump of the training, which may be busy, or dead."""

    def __init__(self, fd: int, state: memoryview) -> None:
        self.fd = fd
        self._state = state
        self._waiting: deque[tuple[int, bytearray]] = deque()
        self._waiting_bytes = 0
        self._front = memoryview(b"")
        self._dropped: dict[int, list[int]] = {}

    @property
    def pending(self) -> bool:
        """Whether something waits."""
        return self.fd >= 0 and bool(self._front or self._waiting or self._dropped)

    def add(self, channel: int, data: bytes) -> None:
        """Queue bytes of a channel."""
        self._state[TAKEN] += len(data)
        if self.fd < 0:
            return
        if self._waiting_bytes + len(data) > BACKLOG:
            dropped = self._dropped.setdefault(channel, [0, 0])
            dropped[0] += len(data)
            dropped[1] += data.count(b"\n")
            return
        self._note_dropped()
        if (
            self._waiting
            and self._waiting[-1][0] == channel
            and len(self._waiting[-1][1]) + len(data) <= CHUNK
        ):
            self._waiting[-1][1].extend(data)
        else:
            self._waiting.append((DATA << 4 | channel, bytearray(data)))
        self._waiting_bytes += len(data)

    def add_end(self, channel: int) -> None:
        """Queue the word that the channel's terminal is gone."""
        self._waiting.append((ENDED << 4 | channel, bytearray()))

    def send(self) -> None:
        """Hand over as much as the pump takes now."""
        while self.fd >= 0:
            if not self._front:
                if not self._waiting:
                    self._note_dropped()
                if not self._waiting:
                    return
                kind, data = self._waiting.popleft()
                self._waiting_bytes -= len(data) if not kind >> 4 else 0
                self._front = memoryview(head(kind >> 4, kind & 15, len(data)) + data)
            try:
                self._front = self._front[os.write(self.fd, self._front) :]
            except BlockingIOError:
                return
            except OSError:
                self.close()

    def close(self) -> None:
        """Give up: nobody reads any more."""
        os.close(self.fd)
        self.fd = -1
        self._waiting.clear()
        self._front = memoryview(b"")

    def _note_dropped(self) -> None:
        for channel, (count, lines) in self._dropped.items():
            numbers = count.to_bytes(8, "little") + lines.to_bytes(8, "little")
            self._waiting.append((DROPPED << 4 | channel, bytearray(numbers)))
        self._dropped.clear()


class Channel:
    """One channel: what is read from `fd` goes to `terminal` as it is, and a copy to the pump."""

    def __init__(self, index: int, fd: int, terminal: int, state: memoryview, copy: Copy) -> None:
        self.fd = fd
        self.terminal = terminal
        self.pending = memoryview(b"")
        self.gone = False
        self._index = index
        self._state = state
        self._copy = copy
        self._is_file = os.fstat(terminal).st_mode & 0o170000 == 0o100000
        self.is_tty = os.isatty(terminal)
        self._window = b""

    def take(self) -> None:
        """Read what is there, and pass it on."""
        # Before the read: who finds the channel empty and this slot 0 knows that nothing is under way.
        self._state[slot(self._index, BUSY)] = 1
        try:
            data = os.read(self.fd, CHUNK)
        except OSError:  # a pseudo-terminal without any other end
            data = b""
        if not data:
            self._end()
            return
        self.pending = memoryview(data)
        self._copy.add(self._index, data)
        self.pass_on()

    def pass_on(self) -> None:
        """Write what is pending, as far as the terminal takes it without a wait."""
        passed = slot(self._index, PASSED)
        while self.pending:
            if self.gone:
                count = len(self.pending)
            elif not self._is_file and not _is_writable(self.terminal):
                return
            else:
                try:
                    count = os.write(self.terminal, self.pending if self._is_file else self.pending[:_PIECE])
                except BlockingIOError:
                    return
                except OSError as error:
                    count = len(self.pending)
                    # A full disk is not gone: what it refuses is lost, as it would be without a relay.
                    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                        self._lose_terminal()
            self._state[passed] += count
            self.pending = self.pending[count:]
        self._state[slot(self._index, BUSY)] = 0

    def follow_window(self) -> None:
        """Give the pseudo-terminal the size of the terminal."""
        import fcntl
        import termios

        try:
            window = fcntl.ioctl(self.terminal, termios.TIOCGWINSZ, bytes(8))
            if window != self._window:
                fcntl.ioctl(self.fd, termios.TIOCSWINSZ, window)
                self._window = window
        except OSError:
            self.is_tty = False

    def end_if_left(self) -> None:
        """Where the terminal is gone, let writers feel it, as soon as no one else reads the channel."""
        if self.gone and self.fd >= 0 and (self._copy.fd < 0 or self._state[slot(self._index, LEFT)]):
            self._end()

    def _lose_terminal(self) -> None:
        self.gone = True
        self._state[slot(self._index, GONE)] = 1
        if self._copy.fd >= 0:
            self._copy.add_end(self._index)

    def _end(self) -> None:
        self._state[slot(self._index, BUSY)] = 0
        os.close(self.fd)
        self.fd = -1


def relay(state: memoryview, copy: Copy, channels: list[Channel]) -> None:
    """Pass on until nobody holds the channels any more and everything has arrived."""
    state[STARTED] = 1
    while copy.pending or any(channel.fd >= 0 or channel.pending for channel in channels):
        poller = select.poll()
        timeout = -1
        for channel in channels:
            if channel.pending:
                poller.register(channel.terminal, select.POLLOUT)
            elif channel.fd >= 0:
                poller.register(channel.fd, select.POLLIN)
            if channel.fd >= 0 and channel.is_tty:
                timeout = _WINDOW_LOOK_MS
            if channel.fd >= 0 and channel.gone:
                timeout = _GONE_LOOK_MS
        if copy.fd >= 0:
            poller.register(copy.fd, select.POLLOUT if copy.pending else 0)
        ready = {fd for fd, _ in poller.poll(timeout)}
        for channel in channels:
            if channel.pending and channel.terminal in ready:
                channel.pass_on()
            elif not channel.pending and channel.fd in ready:
                channel.take()
            if not ready and channel.is_tty and channel.fd >= 0:
                channel.follow_window()
            channel.end_if_left()
        if copy.fd in ready and not copy.pending:
            copy.close()
        copy.send()


def main() -> None:
    """Read the descriptors as they were handed over; `argv[1]` is the number of channels."""
    os.chdir("/")
    count = int(sys.argv[1])
    state = memoryview(mmap(3, STATE_BYTES)).cast("Q")
    os.set_blocking(4, False)
    keep = 5 + 2 * count
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        try:
            if int(name) >= keep:
                os.close(int(name))  # what a C library leaked into this process
        except OSError:
            continue
    copy = Copy(4, state)
    relay(state, copy, [Channel(k, 5 + 2 * k, 6 + 2 * k, state, copy) for k in range(count)])


def _is_writable(fd: int) -> bool:
    poller = select.poll()
    poller.register(fd, select.POLLOUT)
    return bool(poller.poll(0))


if __name__ == "__main__":
    main()
