"""The instance inside another process: `Api()` and the command line read local runs without a server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kiseki.app.errors import CannotServe, StoreTaken
from kiseki.app.instance import Instance, create_instance
from kiseki.system.owner import OwnerLock, read_owner
from kiseki.system.paths import store_dir as user_store_dir

DATABASE: Final = "store.db"
"""Name of the embedded store's database in its folder."""

_PAUSE_S: Final = 0.02


@contextmanager
def embedded(store_dir: Path | None = None, *, wait_s: float = 30.0) -> Iterator[Instance]:
    """Own the store in `store_dir` (None: the user's own) for one block, with the local runs caught up.

    Raises StoreTaken at once where a server owns it (its `url` answers instead), and after `wait_s`
    seconds where another such block does not end.
    """
    folder = store_dir or user_store_dir()
    lock = own_store(folder, wait_s=wait_s)
    try:
        instance = create_instance(store_url(folder), local_roots=True, in_process=True)
        try:
            if instance.follower is not None:
                instance.follower.catch_up()
            yield instance
        finally:
            instance.close()
    finally:
        lock.release()


def own_store(folder: Path, *, wait_s: float) -> OwnerLock:
    """Take the owner's lock of a store; raises StoreTaken as `embedded` does, CannotServe in a bad folder."""
    try:
        return _wait_for_lock(OwnerLock(folder), folder, wait_s)
    except OSError as error:
        why = error.strerror or str(error)
        raise CannotServe(f"no store can be kept in {folder}: {why}; name another folder") from error


def _wait_for_lock(lock: OwnerLock, folder: Path, wait_s: float) -> OwnerLock:
    deadline = time.monotonic() + wait_s
    while not lock.acquire():
        owner = read_owner(folder)
        if owner is not None and owner.url:
            raise StoreTaken(
                f"the store {folder} is served at {owner.url} already; use that server", owner.url
            )
        if time.monotonic() > deadline:
            holder = f"process {owner.pid}" if owner is not None and owner.pid else "another process"
            raise StoreTaken(f"the store {folder} is in use by {holder}; try again once it has ended", "")
        # A call in another process holds it, for the length of that call.
        time.sleep(_PAUSE_S)
    return lock


def store_url(folder: Path) -> str:
    """Return the URL of the embedded store in `folder`."""
    return f"sqlite:///{(folder / DATABASE).absolute()}"
