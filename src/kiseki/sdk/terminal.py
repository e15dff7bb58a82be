"""What the library says to people: short lines on stderr, never an exception, warnings once."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

_silent = False
_quiet = False
_said: set[Any] = set()


def set_verbosity(*, silent: bool, quiet: bool) -> None:
    """`quiet` leaves only warnings, `silent` nothing at all."""
    global _silent, _quiet
    _silent, _quiet = silent, quiet


def say(line: str) -> None:
    """Print one line of information."""
    if not _silent and not _quiet:
        write(f"kiseki: {line}\n")


def warn(line: str) -> None:
    """Print one warning."""
    if not _silent:
        write(f"kiseki: warning: {line}\n")


def warn_once(key: Any, line: str) -> bool:
    """Print a warning unless one with the same `key` was printed in this process; whether it was."""
    if key in _said:
        return False
    _said.add(key)
    warn(line)
    return True


def is_interactive() -> bool:
    """Whether stderr is a terminal on which a line may be drawn again."""
    if _silent or _quiet:
        return False
    try:
        return sys.stderr.isatty()
    except Exception:
        return False


def write(text: str) -> None:
    """Write to stderr as it is; what cannot be written is let go."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except Exception:  # closed, gone, no stderr at all, or entered from a signal handler within a write
        return


def shown(path: Path) -> str:
    """A path as people type it: from the current folder where it lies below that."""
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):  # the current folder is gone, or another drive
        return str(path)
    return str(path) if relative.startswith(os.pardir) else os.path.join(os.curdir, relative)


def sync_command(run_dir: Path) -> str:
    """The line that sends a run, to be pasted into a shell from the current folder."""
    path = shown(run_dir)
    if not all(character.isalnum() or character in "/._-+=@," for character in path):
        path = "'" + path.replace("'", "'\\''") + "'"  # as shlex.quote, whose import takes a millisecond
    return f"kiseki sync {path}"
