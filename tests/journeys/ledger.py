"""A training's own account of what `log()` has returned, in shared memory that outlives a `kill -9`."""

from __future__ import annotations

import mmap
from enum import IntEnum
from pathlib import Path

_RUN_ID = slice(64, 192)
_SIZE = 4096


class Phase(IntEnum):
    """Where the training is; a killer waits for one and then strikes."""

    NEW = 0
    IMPORTED = 1
    INIT = 2
    LOGGING = 3
    FORK = 4
    FORKED = 5
    FINISH = 6
    FINISHED = 7


class Ledger:
    """Five counters and the run's id in a file mapped by the training and by the test."""

    def __init__(self, path: Path) -> None:
        with path.open("a+b") as file:
            file.truncate(_SIZE)
            self._map = mmap.mmap(file.fileno(), _SIZE)

    @property
    def phase(self) -> Phase:
        """The last phase that the training has entered."""
        return Phase(self._get(0))

    @phase.setter
    def phase(self, value: Phase) -> None:
        self._set(0, value)

    @property
    def logged(self) -> int:
        """Rows of the first process whose `log()` has returned."""
        return self._get(1)

    @logged.setter
    def logged(self, value: int) -> None:
        self._set(1, value)

    @property
    def child_logged(self) -> int:
        """Rows of the forked child whose `log()` has returned."""
        return self._get(2)

    @child_logged.setter
    def child_logged(self, value: int) -> None:
        self._set(2, value)

    @property
    def goal(self) -> int:
        """Rows after which the training finishes; the test lowers it to end a training."""
        return self._get(3)

    @goal.setter
    def goal(self, value: int) -> None:
        self._set(3, value)

    @property
    def child(self) -> int:
        """The forked child's pid, 0 while there is none."""
        return self._get(4)

    @child.setter
    def child(self, value: int) -> None:
        self._set(4, value)

    @property
    def run_id(self) -> str:
        """The run's id, "" until `init` has returned."""
        return self._map[_RUN_ID].rstrip(b"\0").decode()

    @run_id.setter
    def run_id(self, value: str) -> None:
        self._map[_RUN_ID] = value.encode().ljust(_RUN_ID.stop - _RUN_ID.start, b"\0")

    def close(self) -> None:
        """Unmap; the file stays."""
        self._map.close()

    def _get(self, field: int) -> int:
        return int.from_bytes(self._map[field * 8 : field * 8 + 8], "little")

    def _set(self, field: int, value: int) -> None:
        self._map[field * 8 : field * 8 + 8] = value.to_bytes(8, "little")
