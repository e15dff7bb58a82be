"""The disks: how full they are where the runs lie, and what each device reads and writes."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psutil

from kiseki.sidecar.sampling.reading import Reading, Watched

_MIB: Final = 2**20
_GIB: Final = 2**30
_BLOCK_DEVICES: Final = Path("/sys/class/block")
_IN_MEMORY: Final = ("loop", "ram", "zram", "fd", "sr")


class Disk:
    """Usage of `/` and of the file system of each run; traffic of whole devices."""

    def facts(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def read(self, watched: Sequence[Watched]) -> Reading:
        """`disk.PATH.usagePercent` and `.usageGB`, `disk.DEVICE.in` and `.out` in MB."""
        runs = {}
        for run, _ in watched:
            mount = _mount_of(run)
            if mount != "/":
                runs[run] = _usage(mount)
        return Reading(_usage("/"), _traffic(), runs)


def _usage(path: str) -> dict[str, float]:
    try:
        found = psutil.disk_usage(path)
    except OSError:
        return {}
    return {
        f"disk.{path}.usagePercent": float(found.percent),
        f"disk.{path}.usageGB": found.used / _GIB,
    }


def _traffic() -> dict[str, float]:
    totals = {}
    try:
        devices = psutil.disk_io_counters(perdisk=True) or {}
    except (OSError, RuntimeError):  # Some containers show no devices.
        devices = {}
    for device, counters in devices.items():
        if _is_whole(device) and counters.read_bytes + counters.write_bytes > 0:
            totals[f"disk.{device}.in"] = counters.read_bytes / _MIB
            totals[f"disk.{device}.out"] = counters.write_bytes / _MIB
    return totals


@functools.lru_cache(maxsize=256)
def _mount_of(folder: str) -> str:
    path = os.path.realpath(folder)
    while path != "/" and not os.path.ismount(path):
        path = os.path.dirname(path)
    return path


def _is_whole(device: str) -> bool:
    """Whether this is a device and no part of one; what lies in memory is none."""
    return not device.startswith(_IN_MEMORY) and not (_BLOCK_DEVICES / device / "partition").exists()
