"""Putting a file below `files/` whole, in the place of whatever has its name there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def placed(files: Path, name: str) -> Iterator[Path]:
    """Yield a path to write to; what lies there at the block's end becomes `files/<name>`.

    By a rename: `run.save` may have left a link of that name, and what it leads to is the user's own. Raises
    OSError.
    """
    target = files / name
    # Beside `files/`, whose content is sent as it is found.
    partial = files.parent / f"placing.{os.getpid()}.tmp"
    try:
        yield partial
        target.parent.mkdir(parents=True, exist_ok=True)
        inside = os.path.normpath(os.path.join(os.path.realpath(files), os.path.dirname(name)))
        if os.path.realpath(target.parent) != inside:
            raise OSError(f"{target.parent} leads elsewhere")
        os.replace(partial, target)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(partial)
