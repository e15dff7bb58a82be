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
RECORDS_BOUND_S = 60.0

_LOOK_S = 0.05
_SIDECAR_LOOK_S = 1.0
_NO_SIDECAR_S = 3.0
_BAR_WIDTH = 24


class Upload(NamedTuple):
    """How far the sidecar is with one writer and its run's files, by its progress file."""

    offset: int
    size: int
    state: str
    error: str | None
    url: str | None
    files_left: int
    files_bytes_left: int
    files_error: str | None
    closed: bool

    def sent(self, size: int) -> int:
        """How many of the writer's `size` bytes are sent."""
        return min(self.offset, size)


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
    """Wait until all of a run is sent: the `size` bytes of its closed writer, its files; whether it is.

    Calls `ensure_sidecar` at once and every second, for the sidecar may die meanwhile. Returns early where it
    gave up, or on Ctrl-C. Says what stayed unsent, with the line to send it.
    """
    now = time.monotonic()
    deadline, next_look = now + bound, now
    upload = None
    drawn = False
    bar = _Bar(size)
    try:
        while True:
            upload = read_upload(progress)
            if upload is not None and is_complete(upload):
                break
            now = time.monotonic()
            if now >= next_look:
                ensure_sidecar()
                next_look = now + _SIDECAR_LOOK_S
            left = deadline - now
            if left <= 0 or (upload is not None and upload.state == "stopped"):
                break
            if is_interactive():
                write("\r" + bar.line(upload, left))
                drawn = True
            time.sleep(min(_LOOK_S, left))
    except KeyboardInterrupt:
        pass
    if drawn:
        write("\r\033[K")
    if upload is not None and is_complete(upload):
        if upload.files_error is not None:
            warn(f"not all files of this run are sent: {upload.files_error}; {sync_command(run_dir)}")
        return True
    error = None if upload is None else upload.error or upload.files_error
    why = f" ({error})" if error else ""
    warn(f"{_unsent(upload, size)} not sent yet{why}; nothing is lost: {sync_command(run_dir)}")
    return False


def await_records(
    progress: Path, bound: float, ensure_sidecar: Callable[[], None], has_sidecar: Callable[[], bool]
) -> None:
    """Wait until the sidecar has recorded a run that nobody sends: its files, and what it measured.

    For a sidecar that ends with this process: else nobody waits. What is left then is found by `kiseki sync`.
    """
    seen_at = time.monotonic()
    deadline = seen_at + min(bound, RECORDS_BOUND_S)
    ensure_sidecar()
    try:
        while (now := time.monotonic()) < deadline:
            if has_sidecar():
                seen_at = now
            elif now - seen_at > _NO_SIDECAR_S:
                return
            upload = read_upload(progress)
            if upload is not None and (upload.closed or upload.state == "stopped"):
                return
            # A sidecar that is through with the run removes the pointer, and its word of it when it leaves.
            if upload is None and not progress.with_suffix(".json").exists():
                return
            time.sleep(_LOOK_S)
    except KeyboardInterrupt:
        return


def read_upload(progress: Path) -> Upload | None:
    """What the progress file says, None where there is none yet."""
    try:
        data = json.loads(progress.read_bytes())
        return Upload(
            int(data["offset"]),
            int(data["size"]),
            str(data["state"]),
            data.get("error"),
            data.get("url"),
            int(data.get("files_left", 0)),
            int(data.get("files_bytes_left", 0)),
            data.get("files_error"),
            data.get("closed") is True,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_complete(upload: Upload) -> bool:
    """Whether the server has all of the run, or reads it in place, by what the sidecar records meanwhile."""
    return upload.closed or (upload.state == "following" and not dies_with_the_job())


class _Bar:
    """The line that shows what is sent of a writer, and of the files that were left when the wait began."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._files = 0
        self._files_size = 0

    def line(self, upload: Upload | None, left: float) -> str:
        """The line as it is now; `left` is how many more seconds are waited."""
        sent, files, waiting = 0, "", ""
        if upload is not None:
            self._files = max(self._files, upload.files_left)
            self._files_size = max(self._files_size, upload.files_bytes_left)
            sent = upload.sent(self._size) + self._files_size - upload.files_bytes_left
            error = upload.error or upload.files_error
            waiting = f" waiting: {error:.60}" if error else ""
            if upload.files_left:
                done = self._files - upload.files_left
                files = f", files: {done} of {self._files}, {_bytes(upload.files_bytes_left)} left"
        size = self._size + self._files_size
        filled = _BAR_WIDTH * sent // size if size else _BAR_WIDTH
        return (
            f"kiseki: sending [{'█' * filled}{'·' * (_BAR_WIDTH - filled)}] {_bytes(sent)} of {_bytes(size)}"
            f"{files}{waiting}, at most {left:.0f} s more\033[K"
        )


def _unsent(upload: Upload | None, size: int) -> str:
    """What the server lacks, as the beginning of a sentence."""
    unsent = size if upload is None else size - upload.sent(size)
    files = 0 if upload is None else upload.files_left
    parts = [f"{_bytes(unsent)} of this run"] if unsent or not files else []
    if upload is not None and files:
        what = "1 file" if files == 1 else f"{files} files"
        parts.append(f"{what} ({_bytes(upload.files_bytes_left)})")
    return f"{' and '.join(parts)} are"


def _bytes(count: int) -> str:
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1e3:.1f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"
