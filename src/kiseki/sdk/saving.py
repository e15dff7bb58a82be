"""`run.save`: links and copies of a script's files in the run's own folder, where the sidecar takes them.

What is expanded, where it lands and which errors there are is wandb 0.31's: tests/sdk/test_saving.py.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Final

from kiseki.records.layout import AT_END
from kiseki.sdk.terminal import warn_once

POLICIES: Final = ("live", "now", "end")

_CLONE: Final = (
    0x40049409  # FICLONE of linux/fs.h: a copy that shares its blocks until one of the two changes
)


def save_files(
    files: Path,
    run_dir: Path | None,
    glob_str: str | bytes | os.PathLike[str],
    base_path: str | os.PathLike[str] | None,
    policy: str,
    expand: bool,
) -> list[str]:
    """Put what fits `glob_str` into the folder `files`; returns the paths there, sorted.

    See `Run.save`. `run_dir` is None where nothing is kept. Raises ValueError as wandb does; a file that
    cannot be linked or copied is one warning.
    """
    if isinstance(glob_str, bytes):
        glob_str = glob_str.decode("utf-8")
    if isinstance(glob_str, str) and glob_str.startswith(("gs://", "s3://")):
        warn_once(("save", "cloud"), f"save: {glob_str:.100} is not on this machine and is not saved")
        return []
    pattern = PurePath(os.path.abspath(glob_str))
    if base_path is not None:
        base = PurePath(os.path.abspath(base_path))
    else:
        base = pattern.parent.parent if os.path.isabs(glob_str) else PurePath(os.path.abspath("."))
    if policy not in POLICIES:
        raise ValueError('Only "live", "end" and "now" policies are currently supported.')
    relative = _below(pattern, base)
    found, there = _expanded(base, relative, files) if expand else _literal(base, relative, files)
    targets = set(there)
    for source in found:
        target = files / Path(*source.parts[len(base.parts) :])
        if _is_placed(source, target, files, run_dir, policy):
            targets.add(target)
    return sorted(str(target) for target in targets)


def _below(pattern: PurePath, base: PurePath) -> PurePath:
    """The pattern relative to its base; refused in wandb's words where it does not lie below."""
    if not str(pattern).startswith(str(base)):
        raise ValueError("Glob may not walk above the base path")
    if pattern == base:
        raise ValueError("Glob cannot be the same as the base path")
    relative = pattern.relative_to(base)
    if relative.parts[0] == "*":
        raise ValueError("Glob may not start with '*' relative to the base path")
    return relative


def _expanded(base: PurePath, relative: PurePath, files: Path) -> tuple[list[Path], list[Path]]:
    """What fits the pattern on this machine, and what fits it in the run's folder already."""
    import glob

    found = [Path(path).absolute() for path in sorted(glob.glob(str(base / relative)))]
    if not found and os.path.lexists(base / relative):
        warn_once(
            ("save", "literal"),
            f"save: nothing fits the pattern {str(relative)!r}, but a file is called that: use glob=False",
        )
    return found, sorted(files.glob(str(relative)))


def _literal(base: PurePath, relative: PurePath, files: Path) -> tuple[list[Path], list[Path]]:
    there = [files / relative] if os.path.lexists(files / relative) else []
    return ([Path(base / relative)] if os.path.lexists(base / relative) else []), there


def _is_placed(source: Path, target: Path, files: Path, run_dir: Path | None, policy: str) -> bool:
    """Link or copy one source; False, with one warning, where that cannot be."""
    try:
        _place(source, target, files, run_dir, policy)
    except OSError as error:
        what = error.strerror or str(error)
        warn_once(("save", str(target)), f"save: {source} is not saved: {what}")
        return False
    return True


def _place(source: Path, target: Path, files: Path, run_dir: Path | None, policy: str) -> None:
    """Link or copy one source, a folder file by file; raises OSError."""
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        for file in _files_below(source, run_dir):
            _is_placed(file, target / file.relative_to(source), files, run_dir, policy)
        return
    if run_dir is not None:
        _mark(run_dir / AT_END / target.relative_to(files), policy)
    with contextlib.suppress(OSError):
        if target.exists() and source.samefile(target):
            return
    target.parent.mkdir(parents=True, exist_ok=True)
    if policy == "now":
        _copy(source, target, run_dir or files)
        return
    with contextlib.suppress(FileNotFoundError):
        target.unlink()
    try:
        target.symlink_to(source)
        return
    except (OSError, NotImplementedError):  # Some file systems and systems have no links of this kind.
        pass
    try:
        os.link(source, target)
    except OSError:
        warn_once(("save", "copy"), f"save: no links below {files}: what is saved is copied, as it is now")
        _copy(source, target, run_dir or files)


def _files_below(folder: Path, run_dir: Path | None) -> Iterator[Path]:
    """The files of a folder, without those of the run itself."""
    for place, folders, names in os.walk(folder):
        if run_dir is not None:
            folders[:] = [name for name in folders if os.path.join(place, name) != str(run_dir)]
        yield from (Path(place, name) for name in sorted(names))


def _mark(mark: Path, policy: str) -> None:
    """Have the sidecar wait for the end with a file, or no longer."""
    if policy == "end":
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    else:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            mark.unlink()


def _copy(source: Path, target: Path, staging: Path) -> None:
    """Copy a file whole, by a rename: nobody sees half of it."""
    import shutil

    if not source.is_file():  # A pipe would be read for ever.
        raise OSError("it is no file")
    partial = staging / f".saving-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        if not _clone(source, partial):
            shutil.copyfile(source, partial)
        shutil.copystat(source, partial)
        os.replace(partial, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()


def _clone(source: Path, copy: Path) -> bool:
    """Make a copy that costs nothing, where the file system can."""
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    with open(source, "rb") as original, open(copy, "wb") as empty:
        try:
            fcntl.ioctl(empty.fileno(), _CLONE, original.fileno())
        except OSError:
            return False
    return True
