"""Small files that are replaced whole: readers see the old text or the new one, never a part."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_atomically(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write `text` to `path` through a temporary neighbour and a rename.

    `mode` is set before the first byte is written, so a secret is never readable by others.
    Raises OSError where the directory cannot be written.
    """
    temporary = f"{path}.{os.getpid()}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        try:
            if hasattr(os, "fchmod"):  # the mode given to open passes the umask
                os.fchmod(descriptor, mode)
            data = text.encode()
            while data:
                data = data[os.write(descriptor, data) :]
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
