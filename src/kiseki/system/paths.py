"""Where Kiseki's own files lie on this machine, and which folders of this user hold runs."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from kiseki.system.files import write_atomically


def data_home() -> Path:
    """Folder for what must be kept: `$KISEKI_DATA_HOME`, else `kiseki` under `$XDG_DATA_HOME`."""
    return _home("KISEKI_DATA_HOME", "XDG_DATA_HOME", ".local/share")


def config_home() -> Path:
    """Folder for settings and credentials: `$KISEKI_CONFIG_HOME`, else under `$XDG_CONFIG_HOME`."""
    return _home("KISEKI_CONFIG_HOME", "XDG_CONFIG_HOME", ".config")


def cache_home() -> Path:
    """Folder for what may be lost: `$KISEKI_CACHE_HOME`, else under `$XDG_CACHE_HOME`."""
    return _home("KISEKI_CACHE_HOME", "XDG_CACHE_HOME", ".cache")


def roots_dir() -> Path:
    """Folder that lists the folders in which this user's runs lie."""
    return data_home() / "roots"


def store_dir() -> Path:
    """Folder of this user's embedded store."""
    return data_home() / "store"


def servers_dir() -> Path:
    """Folder of the key files that this user's running servers write."""
    return data_home() / "servers"


def record_root(folder: Path) -> None:
    """Remember once that `folder` (an existing `…/kiseki`) holds runs of this user.

    Raises OSError where the data folder cannot be written.
    """
    text = os.path.realpath(folder)
    entry = roots_dir() / hashlib.sha256(os.fsencode(text)).hexdigest()[:16]
    if not entry.exists():
        entry.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(entry, text + "\n")


def local_roots() -> list[Path]:
    """Every folder that `record_root` remembered, sorted, whether it still exists or not."""
    found = set()
    try:
        names = os.listdir(roots_dir())
    except OSError:
        return []
    for name in names:
        if name.endswith(".tmp"):
            continue
        try:
            text = (roots_dir() / name).read_text().removesuffix("\n")
        except (OSError, UnicodeDecodeError):
            continue
        if os.path.isabs(text):
            found.add(Path(text))
    return sorted(found)


def spool_dir(lock_name: str) -> Path:
    """Folder through which trainings and their sidecar meet; made on first use, mode 0700.

    It lies in `$XDG_RUNTIME_DIR` where that is private to this user, else in the cache folder,
    else (a home that cannot be written) in a private folder of `$TMPDIR`.
    Raises OSError where none of these can be made private.
    """
    error: OSError | None = None
    for parts in _spool_candidates():
        try:
            return _private_folder(Path(parts[0]), *parts[1:], lock_name)
        except OSError as failure:
            error = error or failure
    raise error or OSError("no folder for the sidecar's spool: set XDG_RUNTIME_DIR or HOME")


def _home(own_variable: str, xdg_variable: str, fallback: str) -> Path:
    own = os.environ.get(own_variable)
    if own:
        return Path(os.path.abspath(os.path.expanduser(own)))
    xdg = os.environ.get(xdg_variable)
    if xdg and os.path.isabs(xdg):
        return Path(xdg, "kiseki")
    return Path(os.path.abspath(os.path.expanduser(f"~/{fallback}/kiseki")))


def _spool_candidates() -> list[tuple[str, ...]]:
    candidates: list[tuple[str, ...]] = []
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isabs(runtime) and _is_private(runtime):
        candidates.append((runtime, "kiseki"))
    candidates.append((str(cache_home()), "spool"))
    candidates.append((os.environ.get("TMPDIR") or "/tmp", f"kiseki-{_user_id()}", "spool"))
    return candidates


def _private_folder(base: Path, *parts: str) -> Path:
    base.mkdir(parents=True, exist_ok=True)
    folder = base
    for part in parts:
        folder = folder / part
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            if not _is_private(folder):
                raise PermissionError(
                    f"{folder} is not a folder of yours alone: remove it or run chmod 700 on it"
                ) from None
    return folder


def _is_private(folder: str | Path) -> bool:
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    if not stat.S_ISDIR(found.st_mode):
        return False
    if os.name == "nt":
        return True
    return found.st_uid == _user_id() and found.st_mode & 0o077 == 0


def _user_id() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0
