"""The lock files that an environment came from, found from the working folder and the environment upwards."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from kiseki.sidecar.provenance.placing import placed
from kiseki.system.secrets import mask_addresses, mask_tokens

LOCK_FILES: Final = (
    "uv.lock", "poetry.lock", "Pipfile.lock", "pdm.lock", "pixi.lock", "pylock.toml", "conda-lock.yml",
    "environment.yml", "environment.yaml",
)  # fmt: skip
MAX_BYTES: Final = 16 * 1024 * 1024
_MAX_PARENTS: Final = 12


def find_locks(starts: list[str], top: str) -> list[Path]:
    """The nearest lock file of each kind, looked for from `starts` upwards to `top` or the user's home."""
    stops = {os.path.realpath(folder) for folder in (top, os.path.expanduser("~")) if folder}
    found: dict[str, Path] = {}
    for start in starts:
        folder = Path(os.path.realpath(start)) if start else None
        for parent in [] if folder is None else [folder, *folder.parents][:_MAX_PARENTS]:
            for name in LOCK_FILES:
                if name not in found and (parent / name).is_file():
                    found[name] = parent / name
            if str(parent) in stops:
                break
    return [found[name] for name in LOCK_FILES if name in found]


def copy_locks(locks: list[Path], files: Path) -> tuple[list[str], str]:
    """Copy them into `files`; the names of those that are there now, and a note or ""."""
    copied, notes = [], []
    for lock in locks:
        try:
            if lock.stat().st_size > MAX_BYTES:
                notes.append(f"{lock.name} is larger than {MAX_BYTES // 2**20} MB")
                continue
            with placed(files, lock.name) as partial:
                if _copy(lock, partial):
                    notes.append(f"credentials in {lock.name} are masked")
        except OSError as error:
            notes.append(f"{lock.name}: {error.strerror or error}")
            continue
        copied.append(lock.name)
    return copied, "; ".join(notes)


def _copy(lock: Path, target: Path) -> bool:
    """Copy a lock file without the credentials in its addresses; whether there were any."""
    data = lock.read_bytes()
    text = data.decode("utf-8", "surrogateescape")
    public = re.sub(r"(://[^\s/]+)/t/[^\s/]+/", r"\1/", mask_tokens(mask_addresses(text)))  # /t/: conda's
    target.write_bytes(public.encode("utf-8", "surrogateescape") if public != text else data)
    return public != text
