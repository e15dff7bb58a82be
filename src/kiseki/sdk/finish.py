"""The wait at the end of a run: how far the upload is, for at most the bound, and what stayed unsent."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from kiseki.sdk.terminal import is_interactive, sync_command, warn, write

BOUND_S = 30.0
BOUND_IN_A_JOB_S = 600.0

_LOOK_S = 0.05
_SIDECAR_LOOK_S = 1.0
_BAR_WIDTH = 24


class Upload(NamedTuple):
    """How far the sidecar is with one writer, by its progress file."""

    offset: int
    size: int
    state: str
    error: str | None
    url: str | None


def finish_bound(asked: float | None) -> float:
    """Seconds that `finish` waits: as asked, else 30, or 600 where the sidecar dies with this process."""
    if asked is not None:
        return asked
    return BOUND_IN_A_JOB_S if dies_with_the_job() else BOUND_S


def dies_with_the_job() -> bool:
    """Whether the machine or container ends when this process does: PID 1, SLURM, Kubernetes."""
    return os.getpid() == 1 or bool(
        os.environ.get("SLURM_JOB_ID") or os.environ.get("KUBERNETES_SERVICE_HOST")
    )


def await_upload(
    progress: Path, size: int, bound: float, run_dir: Path, ensure_sidecar: Callable[[], None]
) -> bool:
    """Wait until all `size` bytes of a closed writer are sent; whether they are.

    Calls `ensure_sidecar` at once and every second, for the sidecar may die meanwhile. Returns early where it
    gave up, or on Ctrl-C. Says what stayed unsent, with the line to send it.
    """
    now = time.monotonic()
    deadline, next_look = now + bound, now
    upload = None
    drawn = False
    try:
        while True:
            upload = read_upload(progress)
            if upload is not None and is_complete(upload, size):
                break
            now = time.monotonic()
            if now >= next_look:
                ensure_sidecar()
                next_look = now + _SIDECAR_LOOK_S
            left = deadline - now
            if left <= 0 or (upload is not None and upload.state == "stopped"):
                break
            if is_interactive():
                write("\r" + _bar(upload, size, left))
                drawn = True
            time.sleep(min(_LOOK_S, left))
    except KeyboardInterrupt:
        pass
    if drawn:
        write("\r\033[K")
    if upload is not None and is_complete(upload, size):
        return True
    sent = 0 if upload is None else min(upload.offset, size)
    why = f" ({upload.error})" if upload is not None and upload.error else ""
    remedy = sync_command(run_dir)
    warn(f"{_bytes(size - sent)} of this run are not sent yet{why}; nothing is lost: {remedy}")
    return False


def read_upload(progress: Path) -> Upload | None:
    """What the progress file says, None where there is none yet."""
    try:
        data = json.loads(progress.read_bytes())
        return Upload(
            int(data["offset"]), int(data["size"]), str(data["state"]), data.get("error"), data.get("url")
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_complete(upload: Upload, size: int) -> bool:
    """Whether the server has all `size` bytes, or reads the file itself."""
    return upload.state == "following" or upload.offset >= size


def _bar(upload: Upload | None, size: int, left: float) -> str:
    sent = 0 if upload is None else min(upload.offset, size)
    filled = _BAR_WIDTH * sent // size if size else _BAR_WIDTH
    waiting = f" waiting: {upload.error:.60}" if upload is not None and upload.error else ""
    return (
        f"kiseki: sending [{'█' * filled}{'·' * (_BAR_WIDTH - filled)}] {_bytes(sent)} of {_bytes(size)}"
        f"{waiting}, at most {left:.0f} s more\033[K"
    )


def _bytes(count: int) -> str:
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1e3:.1f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"
