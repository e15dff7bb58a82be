"""Which project and entity a run belongs to when nobody says: the git repository's name, and the OS user."""

from __future__ import annotations

import os
import sys
from pathlib import Path

UNCATEGORIZED = "uncategorized"
FORBIDDEN = frozenset("/\\#?%:")
MAX_NAME = 128
# Their pages would lie where a server keeps its interface and its app.
RESERVED_ENTITIES = frozenset({"api", "assets"})


def default_project() -> str:
    """The repository's name, with `-subdirectory` where the script lies in one, else `uncategorized`.

    Git is not run: `.git` is looked for from the script's folder (else the current one) upwards.
    """
    folder = _script_folder()
    for parent in (folder, *folder.parents):
        git = parent / ".git"
        if git.exists():
            name = _remote_name(git) or parent.name
            inside = "-".join(folder.relative_to(parent).parts)
            return _allowed(f"{name}-{inside}" if inside else name) or UNCATEGORIZED
    return UNCATEGORIZED


def default_entity() -> str:
    """The OS user's name."""
    name = _allowed(user_name())
    return f"user-{name}" if name in RESERVED_ENTITIES else name or "user"


def user_name() -> str:
    """Login name of the user, from the environment as `getpass` reads it, else from the system."""
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        name = os.environ.get(variable)
        if name:
            return name
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError, AttributeError):
        return f"uid-{os.getuid()}" if hasattr(os, "getuid") else "user"


def check_name(argument: str, name: str) -> None:
    """Raise ValueError where `name` cannot be a project, an entity or a run's id."""
    if not name or name in (".", ".."):
        raise ValueError(f'{argument} may not be "{name}"; give it a name or leave it out')
    if argument == "entity" and name in RESERVED_ENTITIES:
        raise ValueError(f'entity may not be "{name}": a server needs that address itself; use another name')
    wrong = next((character for character in name if character in FORBIDDEN or ord(character) < 32), None)
    if wrong is not None:
        parts = name.split("/")
        hint = "use letters, digits, - and _"
        if argument == "project" and len(parts) == 2 and all(parts):
            hint = f'use entity="{parts[0]}", project="{parts[1]}"'
        raise ValueError(f'{argument} "{name}" may not contain "{wrong}"; {hint}')
    if len(name.encode("utf-8", "replace")) > MAX_NAME:
        raise ValueError(f'{argument} "{name[:20]}…" is longer than {MAX_NAME} bytes; shorten it')


def _script_folder() -> Path:
    script = sys.argv[0] if sys.argv else ""
    if script and os.path.isfile(script):
        folder = Path(os.path.abspath(script)).parent
        # A notebook's kernel, pytest or another installed program says nothing about the project.
        if not any(folder.is_relative_to(prefix) for prefix in (sys.prefix, sys.base_prefix)):
            return folder
    try:
        return Path(os.getcwd())
    except OSError:  # it has been removed
        return Path("/")


def _remote_name(git: Path) -> str:
    """The last part of the remote `origin`'s address, "" where there is none."""
    try:
        if git.is_file():  # a work tree or submodule: "gitdir: …", whose commondir holds the config
            git = (git.parent / git.read_text().removeprefix("gitdir:").strip()).resolve()
            common = git / "commondir"
            if common.exists():
                git = (git / common.read_text().strip()).resolve()
        lines = (git / "config").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    section = ""
    for line in map(str.strip, lines):
        if line.startswith("["):
            section = line
        elif section == '[remote "origin"]' and line.partition("=")[0].strip() == "url":
            address = line.partition("=")[2].strip().rstrip("/").removesuffix(".git")
            return address.replace(":", "/").rpartition("/")[2]
    return ""


def _allowed(name: str) -> str:
    kept = "".join("-" if character in FORBIDDEN or ord(character) < 32 else character for character in name)
    return kept.encode("utf-8", "replace")[:MAX_NAME].decode("utf-8", "ignore").strip(". ")
