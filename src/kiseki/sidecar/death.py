"""How a writer ended: its own last word in the file, or the verdict on it if its process died without one."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from kiseki.records.framing import FRAME, MAGIC, PRELUDE_BYTES
from kiseki.records.kinds import Header, State
from kiseki.records.reader import Follower
from kiseki.system.exit_status import (
    ExitStatus,
    exit_status,
    memory_events_path,
    out_of_memory_kills,
)
from kiseki.system.process import PidWatch, ProcessId, is_alive

_TAIL: Final = 4096
_SCAN: Final = 1024 * 1024
_STATE: Final = 13
_MAX_WATCHES: Final = 96
_decode_state = msgspec.msgpack.Decoder(State).decode


class Cause(NamedTuple):
    """Why a process ended, as far as the kernel tells."""

    status: ExitStatus | None = None
    out_of_memory: bool = False
    """Meanwhile a process of its cgroup was killed because memory ran out."""


class _Watched(NamedTuple):
    watch: PidWatch
    memory_events: str | None
    memory_kills: int


class Deaths:
    """Which of the watched processes have ended: by pidfd up to a limit of descriptors, else by asking."""

    def __init__(self) -> None:
        self._watches: dict[ProcessId, _Watched] = {}

    def watch(self, process: ProcessId) -> None:
        """Watch a process; nothing happens where it is watched already."""
        if process not in self._watches and len(self._watches) < _MAX_WATCHES and is_alive(process):
            events = memory_events_path(process.pid)
            self._watches[process] = _Watched(PidWatch(process), events, out_of_memory_kills(events))

    def forget_all_but(self, processes: set[ProcessId]) -> None:
        """Give back the descriptors of processes that nobody asks about any more."""
        for process in self._watches.keys() - processes:
            self._watches.pop(process).watch.close()

    def has_ended(self, process: ProcessId) -> bool:
        """Whether the process is known to be dead; False where that cannot be known."""
        watched = self._watches.get(process)
        return watched.watch.ended() if watched is not None else is_alive(process) is False

    def cause(self, process: ProcessId) -> Cause:
        """Return why an ended process ended; all unknown where it was not watched while it lived."""
        watched = self._watches.get(process)
        if watched is None:
            return Cause()
        descriptor = watched.watch.fileno()
        status = None if descriptor is None else exit_status(descriptor)
        killed = out_of_memory_kills(watched.memory_events) > watched.memory_kills
        return Cause(status, killed)

    def register(self, poll: select.poll) -> None:
        """Let `poll` return when a watched process ends."""
        for watched in self._watches.values():
            descriptor = watched.watch.fileno()
            if descriptor is not None:
                poll.register(descriptor, select.POLLIN)


def last_word(path: Path) -> State | None:
    """Return the final state that the file's last frame holds, None where the last frame is anything else.

    Reads the last 4 kB only, so it can be asked whenever a file has grown. Raises OSError.
    """
    with open(path, "rb", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        tail = os.pread(file.fileno(), _TAIL, max(0, size - _TAIL))
    at = tail.find(_STATE, FRAME.size + 1)
    while at > 0:
        begin = at - 1
        length, check = FRAME.unpack_from(tail, begin - FRAME.size)
        if length == len(tail) - begin:
            framed = memoryview(tail)[begin - FRAME.size :]
            if crc32(framed[FRAME.size :], crc32(framed[:4])) == check:
                return _own_final_state(tail[begin:])
        at = tail.find(_STATE, at + 1)
    return None


class End(NamedTuple):
    """The end of a dead writer's file: its own final state, and where the file is damaged, if it is."""

    state: State | None
    damage: str | None


def read_end(path: Path) -> End:
    """Find a dead writer's own final state wherever it stands in the file, and the file's damage.

    Reads the file from its beginning unless the last frame answers. Raises OSError.
    """
    found = last_word(path)
    if found is not None:
        return End(found, None)
    follower = Follower(path)
    try:
        while data := follower.read_new(_SCAN):
            position = PRELUDE_BYTES if data.startswith(MAGIC) else 0
            while position < len(data):
                length = int.from_bytes(data[position : position + 4], "little")
                begin = position + FRAME.size
                if length > 1 and data[begin + 1] == _STATE:
                    found = _own_final_state(data[begin : begin + length]) or found
                position = begin + length
        torn = f"torn or damaged at byte {follower.offset}" if follower.pending else None
        return End(found, follower.damage or torn)
    finally:
        follower.close()


def verdict(header: Header, t: int, damage: str | None, cause: Cause) -> State:
    """Return the record that says how a writer ended which left no word of its own; `t` is its time in µs.

    A fork's child that ends without `finish` is nothing out of the ordinary; the run's own process is.
    """
    if header.role != "train" or not header.primary:
        state = "finished"
    elif cause.status is not None and cause.status.signal in (signal.SIGINT, signal.SIGTERM):
        state = "killed"
    else:
        state = "crashed"
    reason = f"process {header.pid} {_describe(cause)}"
    if damage is not None:
        reason += f"; its file is {damage}"
    return State(t, state, _exit_code(cause.status), reason, header.writer)


def _describe(cause: Cause) -> str:
    status = cause.status
    if status is None:
        how = "ended without finish"
    elif status.signal is not None:
        how = f"was ended by {_signal_name(status.signal)}"
    else:
        how = f"exited with {status.code} without finish"
    by_kernel = status is None or status.signal == signal.SIGKILL
    return f"{how}: memory ran out" if cause.out_of_memory and by_kernel else how


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _exit_code(status: ExitStatus | None) -> int | None:
    """The code as a shell says it: 128 and the signal's number where a signal ended the process."""
    if status is None:
        return None
    return status.code if status.signal is None else 128 + status.signal


def _own_final_state(payload: bytes) -> State | None:
    try:
        state = _decode_state(payload)
    except msgspec.DecodeError:
        return None
    return state if state.writer is None and state.state != "running" else None
