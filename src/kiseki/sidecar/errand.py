"""A child process of the sidecar that does what must not hold the sidecar up: JSON lines in, JSON lines out.

The child's side, and what a module must offer to be run, stands in `errand_child`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
from typing import Any, Final

from kiseki.sidecar.log import log

MAX_LINE: Final = 16 * 1024 * 1024
"""A child that says more than this without a line's end is killed."""

_READ: Final = 64 * 1024
_READS: Final = 16
# The modules of Kiseki come from where this process has them: -I leaves out PYTHONPATH and the user's site.
_BOOTSTRAP: Final = (
    "import sys; _, _, path, parent, module = sys.argv; "
    "sys.path[:0] = [p for p in path.split('|') if p and p not in sys.path]; "
    "from kiseki.sidecar.errand_child import main; sys.exit(main(module, int(parent)))"
)


_abandoned: Final[list[int]] = []


class Errand:
    """One child process. No method waits for it; it ends with the sidecar, however that ends."""

    def __init__(self, module: str, request: dict[str, Any]) -> None:
        """Start `module` (see `errand_child`) in a process of its own and hand it `request`.

        Raises OSError where no process can be started.
        """
        self.module = module
        self.status: int | None = None
        """Exit status once the child has ended, negative for a signal."""
        self._received = bytearray()
        self._outgoing = bytearray()
        self._ready: list[dict[str, Any]] = []
        self._no_more = False
        self._output: int | None = None
        self._input: int | None = None
        self.pid = self._start()
        self.send(request)

    def fileno(self) -> int | None:
        """A descriptor that is readable when the child said something or has ended; None once all is read."""
        return self._output

    def register(self, poll: select.poll) -> None:
        """Let `poll` return when the child said something, ended, or can take what waits to be sent."""
        if self._output is not None:
            poll.register(self._output, select.POLLIN)
        if self._outgoing and self._input is not None:
            poll.register(self._input, select.POLLOUT)

    def send(self, order: dict[str, Any]) -> None:
        """Hand the child one more object; what it does not take yet waits here. Lost where it has ended."""
        if self._input is not None:
            self._outgoing += json.dumps(order).encode() + b"\n"
            self._write()

    def no_more(self) -> None:
        """Let the child's iteration over its orders end."""
        self._no_more = True
        self._write()

    def lines(self) -> list[dict[str, Any]]:
        """Return what the child said since the last call; a line that is no JSON object is logged instead."""
        self._write()
        self._read()
        found, self._ready = self._ready, []
        return found

    @property
    def finished(self) -> bool:
        """Whether the child has ended and `lines` has given out everything that it said."""
        self._read()
        return self._reap() and self._output is None and not self._ready

    def kill(self) -> None:
        """End the child, and what it started, at once; what it said before can still be read."""
        if self.status is None:
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
        self._close_input()

    def abandon(self) -> None:
        """End it and forget what it said."""
        self.kill()
        self._close_output()
        if not self._reap():
            _abandoned.append(self.pid)

    def _start(self) -> int:
        _reap_abandoned()
        child_in, self._input = os.pipe()
        self._output, child_out = os.pipe()
        try:
            os.set_blocking(self._input, False)
            os.set_blocking(self._output, False)
            path = "|".join(entry for entry in sys.path if entry)
            arguments = [path, str(os.getpid()), self.module]
            return os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-c", _BOOTSTRAP, "kiseki.errand", *arguments],
                os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, child_in, 0), (os.POSIX_SPAWN_DUP2, child_out, 1)],
                setpgroup=0,  # A group of its own, so that `kill` reaches what the child started.
                setsigmask=(),
                setsigdef=[signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGPIPE],
            )
        except BaseException:
            os.close(self._output)
            os.close(self._input)
            self._output = self._input = None
            raise
        finally:
            os.close(child_in)
            os.close(child_out)

    def _write(self) -> None:
        while self._outgoing and self._input is not None:
            try:
                del self._outgoing[: os.write(self._input, self._outgoing)]
            except BlockingIOError:
                return
            except OSError:  # The child has ended.
                self._close_input()
        if self._no_more and not self._outgoing:
            self._close_input()

    def _read(self) -> None:
        ended = self._reap()
        # At most a few reads a call, so that one that talks without end cannot hold the sidecar up.
        if self._drain() and ended:  # All that it said is read; a grandchild may keep the pipe open for long.
            self._close_output()

    def _drain(self) -> bool:
        """Read what there is; True where nothing is left for now."""
        for _ in range(_READS):
            if self._output is None:
                return True
            try:
                data = os.read(self._output, _READ)
            except BlockingIOError:
                return True
            if not data:
                self._close_output()
                return True
            self._received += data
            if b"\n" in data:
                self._split()
            if len(self._received) > MAX_LINE:
                log(f"{self.module} said more than {MAX_LINE} bytes in one line, and was ended")
                self._received.clear()
                self._close_output()
                self.kill()
        return False

    def _split(self) -> None:
        *whole, self._received = self._received.split(b"\n")
        for line in whole:
            try:
                said = json.loads(line)
            except ValueError:
                said = None
            if isinstance(said, dict):
                self._ready.append(said)
            else:
                log(f"{self.module} said what is no JSON object: {bytes(line[:200])!r}")

    def _reap(self) -> bool:
        """Collect the child if it has ended; whether it has."""
        if self.status is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self.status = -1
            else:
                if pid:
                    self.status = os.waitstatus_to_exitcode(status)
            if self.status is not None:
                self._close_input()
        return self.status is not None

    def _close_input(self) -> None:
        descriptor, self._input = self._input, None
        self._outgoing.clear()
        if descriptor is not None:
            os.close(descriptor)

    def _close_output(self) -> None:
        descriptor, self._output = self._output, None
        if descriptor is not None:
            os.close(descriptor)


def _reap_abandoned() -> None:
    """Collect those that were abandoned before they were dead, so that they are no zombies."""
    for pid in list(_abandoned):
        try:
            ended = os.waitpid(pid, os.WNOHANG)[0] == pid
        except ChildProcessError:
            ended = True
        if ended:
            _abandoned.remove(pid)
