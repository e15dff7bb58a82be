"""Recording a run's output: what a run starts and stops, and what all runs of a process share."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any, Protocol

from kiseki.sdk.console.limits import Limits
from kiseki.sdk.console.streams import Hooks, Straight
from kiseki.sdk.notebook import ipython_shell
from kiseki.sdk.terminal import warn_once

_WITH_DESCRIPTORS = ("auto", "redirect")
_NOTE = 0


class ConsoleRecorder(Protocol):
    """Where console records go; `kiseki.sdk.recorder.Recorder`."""

    def write_console(self, stream: int, data: bytes) -> None: ...


class Capture:
    """Records the output of this process in one run, from `start` to `stop`."""

    def __init__(self, recorder: ConsoleRecorder) -> None:
        """Use `start`."""
        self._recorder = recorder
        self._limits = Limits(recorder.write_console)
        self._recording = True

    def record(self, stream: int, data: bytes) -> None:
        """Record bytes of stream 1 or 2, at most 64 KiB."""
        if self._recording:
            self._limits.pass_on(stream, data)

    def leave_out(self, count: int, lines: int) -> None:
        """Take note of bytes that were shown but came too fast to be recorded."""
        if self._recording:
            self._limits.leave_out(count, lines)

    def pause(self, *, recording: bool) -> None:
        """Record from now on or not; the terminal stays as it is. A note says so."""
        if recording != self._recording:
            _console.catch_up()
            self._recording = recording
            word = "on" if recording else "off"
            self._recorder.write_console(_NOTE, f"recording of the output was switched {word}".encode())

    def stop(self, *, hurried: bool = False) -> None:
        """Record no more; what this changed in the process is put back with the last capture.

        `hurried`, for a process that is about to be killed, waits for no terminal.
        """
        _console.leave(self, hurried=hurried)
        self._limits.end()
        self._recording = False

    def continue_in_child(self) -> None:
        """Let go in a forked child, whose output the parent's pump shows and records."""
        self._recording = False
        _console.leave_to_parent()


def start(recorder: ConsoleRecorder, mode: str) -> Capture | None:
    """Record what this process prints from now on; None for mode "off".

    "auto" and "redirect" record what Python, C libraries and children write, the others Python's streams
    only. Where descriptors 1 and 2 cannot be followed, it is Python's streams, and one warning.
    """
    if mode == "off":
        return None
    capture = Capture(recorder)
    try:
        _console.enter(capture, descriptors=mode in _WITH_DESCRIPTORS)
    except Exception as error:  # A stream of somebody else's may answer with anything.
        warn_once(("console", str(error)), f"output is not recorded: {type(error).__name__}: {error}")
        capture.stop()
        return None
    return capture


class _Console:
    """The output of this process: its hooks and channels, there while at least one run records."""

    def __init__(self) -> None:
        self._captures: tuple[Capture, ...] = ()
        self._hooks: Hooks | None = None
        self._descriptors: Any = None
        self._shell: Any = None
        self._lock = threading.RLock()

    def enter(self, capture: Capture, *, descriptors: bool) -> None:
        """Record into one more run."""
        with self._lock:
            self._captures += (capture,)
            notebook = _in_notebook()
            if descriptors and not notebook:
                self._follow_descriptors()
            if self._hooks is not None:
                self._hooks.install(everywhere=not notebook)  # on streams that are new since
            else:
                self._hooks = Hooks(self)
                self._hooks.install(everywhere=not notebook)
                self._shell = ipython_shell()
                if self._shell is not None:
                    self._shell.events.register("pre_run_cell", self._before_cell)

    def leave(self, capture: Capture, *, hurried: bool) -> None:
        """Record no more into that run; put everything back with the last one."""
        with self._lock:
            if capture not in self._captures:
                return
            if len(self._captures) == 1:
                self._put_back(hurried=hurried)
            else:
                self.catch_up(hurried=hurried)
            self._captures = tuple(other for other in self._captures if other is not capture)

    def catch_up(self, *, hurried: bool = False) -> None:
        """Record the lines that have begun, and wait (briefly) for what children and C libraries wrote."""
        if self._hooks is not None:
            self._hooks.record_partials()
        descriptors = self._descriptors
        if descriptors is not None:
            descriptors.catch_up(hurried=hurried)

    def leave_to_parent(self) -> None:
        """Be the console of a forked child."""
        self._captures = ()
        hooks, self._hooks = self._hooks, None
        if hooks is not None:
            hooks.remove()
        descriptors, self._descriptors = self._descriptors, None
        if descriptors is not None:
            descriptors.leave_to_parent()
        self._lock = threading.RLock()

    def record(self, stream: int, data: bytes) -> None:
        """Record bytes in every run."""
        for capture in self._captures:
            capture.record(stream, data)

    def straight_to_terminal(self, fd: int) -> Straight | None:
        """How to write past the channel of `fd`, see `Descriptors`."""
        descriptors = self._descriptors
        return None if descriptors is None else descriptors.straight_to_terminal(fd)

    def settle(self, fd: int) -> None:
        """Wait until what others wrote on `fd` has arrived."""
        descriptors = self._descriptors
        if descriptors is not None:
            descriptors.settle(fd)

    def _before_cell(self, info: Any = None) -> None:
        """Hook again what IPython put back as it was before the cell in which the run began."""
        with self._lock:
            if self._hooks is not None and not self._hooks.intact:
                self._hooks.remove()
                self._hooks = Hooks(self)
                self._hooks.install(everywhere=not _in_notebook())

    def _put_back(self, *, hurried: bool) -> None:
        shell, self._shell = self._shell, None
        if shell is not None:
            try:
                shell.events.unregister("pre_run_cell", self._before_cell)
            except ValueError:
                pass  # a reset of the shell has forgotten it
        hooks, self._hooks = self._hooks, None
        if hooks is not None:
            hooks.remove()
        descriptors, self._descriptors = self._descriptors, None
        if descriptors is not None:
            descriptors.restore(hurried=hurried)
        if hooks is not None:
            hooks.forget_terminal()

    def _follow_descriptors(self) -> None:
        """Put channels in the place of descriptors 1 and 2, anew where others have replaced them since."""
        if os.name != "posix":
            return
        from kiseki.sdk.console.descriptors import Descriptors, can_follow

        if self._descriptors is not None:
            if self._descriptors.in_place:
                return
            self._descriptors.restore()
            self._descriptors = None
        if not can_follow():
            return
        try:
            self._descriptors = Descriptors(self.record, self._leave_out)
        except (OSError, RuntimeError) as error:
            warn_once(
                ("console", str(error)),
                f"what children and C libraries print is not recorded ({error}); what Python prints is",
            )

    def _leave_out(self, stream: int, count: int, lines: int) -> None:
        for capture in self._captures:
            capture.leave_out(count, lines)


def _in_notebook() -> bool:
    """Whether the streams are a Jupyter kernel's, which follows descriptors 1 and 2 by itself."""
    return type(sys.stdout).__module__.partition(".")[0] == "ipykernel"


_console = _Console()
