"""The descriptor of a run file: out of the way of code that closes what it did not open."""

from __future__ import annotations

import os
import sys

FIRST_OWN = 128
"""The lowest number that a run file's descriptor gets: numbers are given out anew from below."""


def out_of_the_way(fd: int) -> int:
    """Move a descriptor to a high number; where the system has none to give, it stays."""
    if sys.platform == "win32":
        return fd
    import fcntl

    try:
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_OWN)
    except OSError:
        return fd
    os.close(fd)
    return high


def close_if_still(fd: int, inode: int) -> None:
    """Close a descriptor that leads to `inode`, not one of somebody else's that has its number now."""
    try:
        if os.fstat(fd).st_ino == inode:
            os.close(fd)
    except OSError:
        pass
