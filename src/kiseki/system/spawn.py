"""Starting a process that outlives this one and shares nothing with it."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

_SHELL = "/bin/sh"


def spawn_detached(argv: Sequence[str], env: Mapping[str, str], *, log: Path | None = None) -> int:
    """Start `argv` in its own session, with stdin from /dev/null and output to `log` or nowhere.

    Returns the pid of a short-lived launcher, to be given to `reap`: the program itself is no child
    of this process, so that a training that waits for all its children never waits for it. It runs
    in `/` with SIGINT ignored, and must close descriptors above 2 itself (C libraries leak some).
    Where the system has no /bin/sh the program is a direct child and stays in this folder.
    Raises OSError where nothing could be started.
    """
    output = os.devnull if log is None else str(log)
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    file_actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, output, append, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    command = list(argv)
    if os.path.exists(_SHELL):
        command = [_SHELL, "-c", 'cd / && "$@" &', "sh", *argv]
    defaults = [signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE]
    try:
        return os.posix_spawn(
            command[0],
            command,
            env,
            file_actions=file_actions,
            setsid=True,
            setsigmask=(),
            setsigdef=defaults,
        )
    except NotImplementedError:  # musl: the program makes its own session
        return os.posix_spawn(
            command[0], command, env, file_actions=file_actions, setsigmask=(), setsigdef=defaults
        )


def reap(pid: int, *, wait: bool = True) -> bool:
    """Collect the launcher `pid`, so that it is no zombie; whether it is gone."""
    try:
        return os.waitpid(pid, 0 if wait else os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
