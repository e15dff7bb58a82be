"""`code/`: a copy of the script that the training was started with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from kiseki.sidecar.provenance.placing import placed

MAX_BYTES: Final = 10 * 1024 * 1024


def save_entry(program: str, root: str, cwd: str, files: Path) -> tuple[str | None, str]:
    """Copy `program` to `code/<its path from the git root, else from cwd>`; that path, and a note or "".

    Nothing where there is no script, or where it is an installed program's.
    """
    if not program or not (program.endswith((".py", ".ipynb", ".sh")) or _is_text(program)):
        return None, ""
    relative = _place(program, root) or _place(program, cwd) or os.path.basename(program)
    try:
        if os.stat(program).st_size > MAX_BYTES:
            return None, f"{program} is larger than {MAX_BYTES // 2**20} MB and was not saved"
        with placed(files, os.path.join("code", relative)) as partial:
            shutil.copyfile(program, partial)
    except OSError as error:
        return None, f"{program} was not saved: {error.strerror or error}"
    return f"code/{Path(relative).as_posix()}", ""


def is_installed(program: str, prefixes: Iterable[str]) -> bool:
    """Whether a script belongs to an installed program, as pytest's or a notebook kernel's does.

    A prefix alone does not tell: a system's Python has `/usr`, and images keep the user's code in `/usr/src`.
    """
    if not {"site-packages", "dist-packages"}.isdisjoint(Path(program).parts):
        return True
    places = ("bin/", "Scripts/", "lib/python", "lib64/python")
    return program.startswith(tuple(os.path.join(prefix, place) for prefix in prefixes for place in places))


def _place(program: str, folder: str) -> str | None:
    """The script's path from `folder`, None where it does not lie below it."""
    if not folder:
        return None
    relative = os.path.relpath(os.path.realpath(program), os.path.realpath(folder))
    return None if relative.split(os.sep)[0] == os.pardir else relative


def _is_text(program: str) -> bool:
    try:
        with open(program, "rb") as file:
            return b"\0" not in file.read(4096)
    except OSError:
        return False
