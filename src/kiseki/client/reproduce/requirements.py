"""The recorded list of packages, sorted by where each can be had from."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from msgspec import Struct

_PINNED = re.compile(r"([A-Za-z0-9][\w.-]*)(==[\w.!+*-]+)?")
_DIRECT = re.compile(r"([A-Za-z0-9][\w.-]*) @ (\S.*)")


class Requirements(Struct, frozen=True):
    """Lines for pip or uv, and what cannot be had, one line each."""

    lines: tuple[str, ...] = ()
    shortfalls: tuple[str, ...] = ()


def sort_requirements(text: str, root: str, into: Path) -> Requirements:
    """What of `text` can be installed here; folders below the git `root` become those below `into`."""
    lines: list[str] = []
    shortfalls: list[str] = []
    for raw in text.splitlines():
        line, _, remark = raw.partition("  # ")
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("-e "):
            _take_folder(line[3:].strip(), remark or line[3:], root, into, lines, shortfalls, editable=True)
            continue
        direct = _DIRECT.fullmatch(line)
        if direct is None:
            if _PINNED.fullmatch(line):
                lines.append(line)
            else:
                shortfalls.append(f"package {line:.200}: this is no line that Kiseki writes; it is left out")
            continue
        name, url = direct.groups()
        if not url.startswith("file:"):
            lines.append(line)
            continue
        path = unquote(urlsplit(url).path)
        if os.path.isdir(path):
            _take_folder(path, name, root, into, lines, shortfalls, editable=False)
        elif os.path.isfile(path):
            lines.append(line)
        else:
            shortfalls.append(f"package {name} came from {path}, which is not on this machine")
    return Requirements(tuple(lines), tuple(shortfalls))


def _take_folder(
    path: str, name: str, root: str, into: Path, lines: list[str], shortfalls: list[str], *, editable: bool
) -> None:
    """Take a package that was installed from a folder: from the work tree where it was part of that."""
    how = "-e " if editable else ""
    if "://" in path:
        lines.append(f"-e {path}")
        return
    relative = os.path.relpath(path, root) if root else os.pardir
    if relative.split(os.sep)[0] != os.pardir and (into / relative).is_dir():
        lines.append(how + _quoted(os.path.normpath(into / relative)))
    elif os.path.isdir(path):
        lines.append(how + _quoted(path))
        shortfalls.append(f"package {name} is installed from {path} as that is now, not as it was then")
    else:
        shortfalls.append(f"package {name} was installed from {path}, which is not on this machine")


def _quoted(path: str) -> str:
    """A folder as pip and uv take it in a requirements file, whatever is in its name."""
    return Path(path).as_uri()
