"""The sidecar's log: one line at a time to stderr, which in a sidecar is the spool's `sidecar.log`."""

from __future__ import annotations

import os
import sys
import time
from typing import Final

_LOG_BYTES: Final = 256 * 1024


def log(line: str) -> None:
    """Write one line to stderr."""
    try:
        sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")
        sys.stderr.flush()
    except OSError:
        pass


def shorten_log() -> None:
    """Begin the log anew where it is long. Only for a sidecar: elsewhere stderr is a file of the user's."""
    try:
        if os.fstat(2).st_size > _LOG_BYTES:
            os.ftruncate(2, 0)
    except OSError:
        pass
