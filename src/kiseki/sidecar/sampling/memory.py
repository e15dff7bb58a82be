"""The memory that the run may use: the machine's, or its cgroup's where that has less."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psutil

from kiseki.sidecar.sampling.cgroup import Cgroup
from kiseki.sidecar.sampling.reading import Reading, Watched

MIB = 2**20


class Memory:
    """Used and free memory."""

    def __init__(self, cgroup: Cgroup) -> None:
        self._cgroup = cgroup

    def facts(self) -> dict[str, Any]:
        """Nothing: the machine's memory stands beside its processors, the limit with the cgroup."""
        return {}

    def read(self, watched: Sequence[Watched]) -> Reading:
        """Percent that is used, MB that are free, percent of the swap."""
        machine = psutil.virtual_memory()
        percent, free = float(machine.percent), machine.available
        limited = self._cgroup.memory()
        if limited is not None and limited.limit < machine.total:
            percent = 100.0 * limited.used / limited.limit
            free = min(free, max(0, limited.limit - limited.used))
        values = {"memory_percent": percent, "proc.memory.availableMB": free / MIB}
        swap = psutil.swap_memory()
        if swap.total:
            values["swap.used_percent"] = float(swap.percent)
        return Reading(values)
