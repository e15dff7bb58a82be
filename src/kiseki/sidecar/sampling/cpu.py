"""The processors: how busy each is and all together, and what they are."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psutil

from kiseki.sidecar.sampling.reading import Rates, Reading, Watched

_CPUINFO: Final = Path("/proc/cpuinfo")


class Cpu:
    """Busy share of every logical processor of the machine."""

    def __init__(self) -> None:
        self._rates = Rates()

    def facts(self) -> dict[str, Any]:
        """Model and number of the machine's processors, and its memory."""
        found: dict[str, Any] = {
            "model": _model(),
            "count": psutil.cpu_count(logical=False),
            "count_logical": psutil.cpu_count(),
            "ram_bytes": psutil.virtual_memory().total,
        }
        return {"cpu": {name: value for name, value in found.items() if value}}

    def read(self, watched: Sequence[Watched]) -> Reading:
        """`cpu.N.cpu_percent` of each, and `cpu.cpu_percent`, their mean."""
        totals = {str(number): _busy(times) for number, times in enumerate(psutil.cpu_times(percpu=True))}
        busy = {number: min(100.0, 100.0 * rate) for number, rate in self._rates.since(totals).items()}
        if not busy:
            return Reading()
        values = {f"cpu.{number}.cpu_percent": percent for number, percent in busy.items()}
        values["cpu.cpu_percent"] = sum(busy.values()) / len(busy)
        return Reading(values)


def _busy(times: Any) -> float:
    """Seconds that a processor worked; guests' time is part of the user's already."""
    idle = times.idle + getattr(times, "iowait", 0.0)
    return float(sum(times[:8]) - idle)


def _model() -> str:
    try:
        with _CPUINFO.open() as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() in ("model name", "Model", "cpu model"):
                    return value.strip()
    except OSError:
        pass
    return platform.processor() or (os.uname().machine if hasattr(os, "uname") else "")
