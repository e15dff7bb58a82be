"""The current run of this process and every active one: the library's only global state."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NoReturn

from kiseki.sdk.errors import Error

if TYPE_CHECKING:
    from kiseki.sdk.run import Run

current: Run | None = None
"""The run that the module-level functions mean; None before `init` and after `finish`."""

active: list[Run] = []
"""Every run that has not finished, oldest first."""

begun = False
"""Whether this process ever had a run."""

lock = threading.RLock()
"""Held while a run begins or ends."""


def enter(run: Run, *, as_current: bool) -> None:
    """Note that a run has begun."""
    global current, begun
    active.append(run)
    begun = True
    if as_current:
        current = run


def leave(run: Run) -> None:
    """Note that a run has ended."""
    global current
    if run in active:
        active.remove(run)
    if current is run:
        current = None


class NotBegun:
    """What stands for `kiseki.config` and `kiseki.summary` while no run is active."""

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "_name", name)

    def _refuse(self) -> NoReturn:
        raise Error(
            f"no run is active: call kiseki.init() before kiseki.{object.__getattribute__(self, '_name')}"
        )

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        self._refuse()

    def __setattr__(self, key: str, value: Any) -> None:
        self._refuse()

    def __getitem__(self, key: str) -> Any:
        self._refuse()

    def __setitem__(self, key: str, value: Any) -> None:
        self._refuse()

    def __contains__(self, key: object) -> bool:
        self._refuse()
