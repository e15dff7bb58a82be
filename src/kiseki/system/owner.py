"""The one process that may write a store: who it is, and where it answers."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import NamedTuple

from kiseki.system.locks import FileLock, is_locked

_READ_ATTEMPTS = 20
_READ_PAUSE_S = 0.005


class Owner(NamedTuple):
    """The holder of a store's lock; `url` is "" where it answers nobody (a call in progress)."""

    url: str
    pid: int
    key: str
    server_id: str


class OwnerLock:
    """The lock `owner.lock` of the store in `store_dir`, which is made where it is missing."""

    def __init__(self, store_dir: Path) -> None:
        store_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = FileLock(store_dir / "owner.lock")

    def acquire(self, blocking: bool = False) -> bool:
        """Become the owner; False where another process is."""
        if not self._lock.acquire(blocking):
            return False
        self.publish(Owner("", os.getpid(), "", ""))
        return True

    def publish(self, owner: Owner) -> None:
        """Tell this user's other processes where the owner answers."""
        self._lock.write(json.dumps(owner._asdict()) + "\n")

    def release(self) -> None:
        """Let another process own the store."""
        if self._lock.held:
            self._lock.write("")
        self._lock.release()


def read_owner(store_dir: Path) -> Owner | None:
    """The process that owns the store in `store_dir` now, None where nobody does."""
    path = store_dir / "owner.lock"
    for _ in range(_READ_ATTEMPTS):
        if not is_locked(path):
            return None
        try:
            data = json.loads(path.read_text())
            return Owner(str(data["url"]), int(data["pid"]), str(data["key"]), str(data["server_id"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):  # caught between lock and text
            time.sleep(_READ_PAUSE_S)
    return Owner("", 0, "", "")
