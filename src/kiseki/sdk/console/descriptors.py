"""What is written on descriptors 1 and 2 by C libraries and child processes: channels, relay and pump."""

from __future__ import annotations

import math
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from mmap import mmap
from pathlib import Path

from kiseki.sdk.console import relay
from kiseki.sdk.console.channel import Channel, close_own, identity_of, own_fd, standard_outputs
from kiseki.system.spawn import reap

_SHELL = "/bin/sh"
_LAUNCH = 'trap "" HUP INT QUIT TERM; "$@" &'
_ARRIVAL_S = 2.0
_HURRIED_S = 0.2
_ORDERLY_S = 0.05
_NAP_S = 2e-5
_READ_BYTES = 64 * 1024

Recorded = Callable[[int, bytes], None]
"""Takes a stream (1 or 2) and bytes."""

Straight = dict[str, Callable[..., int]]
"""Methods of a raw file, by name."""


def can_follow() -> bool:
    """Whether a relay can be started: on POSIX, by a Python that is no frozen or embedding program."""
    name = os.path.basename(sys.executable or "").lower()
    return name.startswith(("python", "pypy")) and os.path.exists(relay.__file__)


class Descriptors:
    """The channels in the place of descriptors 1 and 2, from `__init__` to `restore`.

    A child may hold a channel for longer: then relay and pump go on serving it. `on_bytes` is called in the
    pump's thread, `on_dropped` with stream, bytes and lines that came too fast for the pump.
    """

    def __init__(self, on_bytes: Recorded, on_dropped: Callable[[int, int, int], None]) -> None:
        """Raises OSError or RuntimeError, and leaves the descriptors alone, where that cannot be."""
        self._on_bytes = on_bytes
        self._on_dropped = on_dropped
        self._arrived = 0
        self._relayed = True
        self._channels: list[Channel] = []
        state_fd = _shared_memory(relay.STATE_BYTES)
        try:
            self._state = memoryview(mmap(state_fd, relay.STATE_BYTES)).cast("Q")
            self._copy, writer = (_moved(fd) for fd in os.pipe())
            self._copy_is = identity_of(self._copy)
            try:
                for fds in standard_outputs():
                    self._channels.append(Channel(len(self._channels), fds, self._state))
                self._launcher = self._spawn(state_fd, writer)
                self._thread = threading.Thread(target=self._pump, name="kiseki-console", daemon=True)
                self._thread.start()
            except (OSError, RuntimeError):
                self._undo()
                raise
            finally:
                os.close(writer)
        finally:
            os.close(state_fd)
        self._poller = select.poll()
        for channel in self._channels:
            self._poller.register(channel.reader, select.POLLIN)
            self._poller.register(channel.terminal, 0)  # Only whether somebody has closed it.
        self._busy = [relay.slot(channel.index, relay.BUSY) for channel in self._channels]
        self._by_identity = {channel.identity: channel for channel in self._channels}

    @property
    def in_place(self) -> bool:
        """Whether descriptors 1 and 2 still lead into the channels."""
        return all(channel.holds(fd) for channel in self._channels for fd in channel.fds)

    def straight_to_terminal(self, fd: int) -> Straight | None:
        """How to write past the channel that `fd` leads to; None where that is not ours.

        What others wrote before has then reached the terminal and, if the pump gets to it soon, the run.
        """
        try:
            status = os.fstat(fd)
        except OSError:
            return None
        channel = self._by_identity.get((status.st_dev, status.st_ino))
        if channel is None:
            return None
        return channel.straight if self._await_order(channel) else None

    def settle(self, fd: int) -> None:
        """Wait until what was written before `fd` is written on, as far as `straight_to_terminal` does."""
        for channel in self._channels:
            if fd in channel.fds:
                self._await_order(channel)

    def catch_up(self, *, hurried: bool = False) -> None:
        """Wait (briefly) until what was written so far is recorded."""
        for channel in self._channels:
            channel.settle(_HURRIED_S if hurried else _ARRIVAL_S)
        self._await_arrival(_HURRIED_S if hurried else _ARRIVAL_S)

    def restore(self, *, hurried: bool = False) -> None:
        """Let descriptors 1 and 2 be what they were, and wait (briefly) until all is recorded.

        `hurried` waits but a moment for a terminal that takes nothing.
        """
        for channel in self._channels:
            channel.restore(_HURRIED_S if hurried else math.inf)
        self._await_arrival(_HURRIED_S if hurried else _ARRIVAL_S)

    def leave_to_parent(self) -> None:
        """In a forked child: let go of all but descriptors 1 and 2, which the parent's pump serves."""
        close_own(self._copy, self._copy_is)
        for channel in self._channels:
            channel.close()

    def _await_order(self, channel: Channel) -> bool:
        """Whether there still is a way past the channel, once what others wrote before has taken its own."""
        if self._is_quiet():
            return True
        if not channel.intact:
            return False
        if channel.is_under_way():
            channel.settle()
        for other in self._channels:
            if other is not channel:
                other.let_read()
        if self._state[relay.TAKEN] > self._arrived:
            self._await_arrival(_ORDERLY_S)
        return True

    def _await_arrival(self, patience: float) -> None:
        """Wait until the pump has what the relay has read so far, for as long as that goes on."""
        awaited, seen = self._state[relay.TAKEN], self._arrived
        deadline = time.monotonic() + patience
        while self._arrived < awaited and self._relayed and time.monotonic() < deadline:
            if self._arrived != seen:
                seen, deadline = self._arrived, time.monotonic() + patience
            time.sleep(_NAP_S)

    def _is_quiet(self) -> bool:
        """Whether nothing at all is under way: what almost every write finds, and so quick."""
        try:
            if self._poller.poll(0):
                return False
        except RuntimeError:  # another thread asks
            return False
        state = self._state
        return state[relay.TAKEN] <= self._arrived and not any(state[busy] for busy in self._busy)

    def _spawn(self, state_fd: int, copy: int) -> int:
        script = str(Path(relay.__file__))
        wanted = [state_fd, copy]
        for channel in self._channels:
            wanted += (channel.reader, channel.terminal)
        actions: list[tuple[int, int, int] | tuple[int, int, str, int, int]] = [
            (os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)
        ]
        actions += [(os.POSIX_SPAWN_DUP2, fd, 3 + place) for place, fd in enumerate(wanted)]
        program = [sys.executable, "-I", "-S", script, str(len(self._channels)), "kiseki.console"]
        # By a shell, so that it is no child of this process, and deaf to signals to a whole job.
        command = [_SHELL, "-c", _LAUNCH, "sh", *program] if os.path.exists(_SHELL) else program
        try:
            return os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True)
        except NotImplementedError:  # musl
            return os.posix_spawn(command[0], command, os.environ, file_actions=actions)

    def _undo(self) -> None:
        for channel in self._channels:
            for fd in channel.fds:
                os.dup2(channel.terminal, fd)
            channel.close()
        close_own(self._copy, self._copy_is)

    def _pump(self) -> None:
        has_shell = os.path.exists(_SHELL)
        if has_shell:
            reap(self._launcher)
        buffer = bytearray()
        try:
            while True:
                data = os.read(self._copy, _READ_BYTES)
                if not data:
                    break
                buffer += data
                self._take_frames(buffer)
        except OSError:
            pass  # other code has closed the descriptor
        if not has_shell:
            reap(self._launcher)
        self._relayed = False
        self._read_channels()
        close_own(self._copy, self._copy_is)

    def _take_frames(self, buffer: bytearray) -> None:
        at = 0
        while at + relay.HEAD_BYTES <= len(buffer):
            kind, index = buffer[at] >> 4, buffer[at] & 15
            begin = at + relay.HEAD_BYTES
            end = begin + int.from_bytes(buffer[at + 1 : begin], "little")
            if end > len(buffer):
                break
            payload, channel, at = bytes(buffer[begin:end]), self._channels[index], end
            if kind == relay.ENDED:
                channel.leave_reader()
            elif kind == relay.DROPPED:
                count, lines = (int.from_bytes(part, "little") for part in (payload[:8], payload[8:]))
                self._on_dropped(channel.fds[0], count, lines)
                self._arrived += count
            else:
                self._on_bytes(channel.fds[0], payload)
                self._arrived += len(payload)
        del buffer[:at]

    def _read_channels(self) -> None:
        """Be the relay, once that has ended: at once where nobody writes any more, else until then."""
        for channel in self._channels:
            self._state[relay.slot(channel.index, relay.BUSY)] = 0
        self._state[relay.STARTED] = 1
        while True:
            poller = select.poll()
            readers = {
                channel.reader: channel
                for channel in self._channels
                if channel.reader >= 0 and channel.intact
            }
            if not readers:
                break
            for fd in readers:
                poller.register(fd, select.POLLIN)
            for fd, _ in poller.poll():
                self._take(readers[fd])
        for channel in self._channels:
            channel.close()

    def _take(self, channel: Channel) -> None:
        busy = relay.slot(channel.index, relay.BUSY)
        self._state[busy] = 1
        try:
            data = os.read(channel.reader, relay.CHUNK)
        except OSError:
            data = b""
        if not data:
            channel.leave_reader()
        else:
            self._on_bytes(channel.fds[0], data)
            view = memoryview(data)
            try:
                while view:
                    view = view[channel.straight["write"](view) :]
            except BlockingIOError:
                pass
            except OSError:
                channel.leave_reader()
            self._state[relay.slot(channel.index, relay.PASSED)] += len(data)
        self._state[busy] = 0


def _moved(fd: int) -> int:
    own = own_fd(fd)
    os.close(fd)
    return own


def _shared_memory(size: int) -> int:
    """A descriptor of memory that can be shared with a child."""
    if hasattr(os, "memfd_create"):
        fd = _moved(os.memfd_create("kiseki-console"))
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            fd = own_fd(file.fileno())
    os.ftruncate(fd, size)
    return fd
