"""What the keys of the system stream measure: which device, which quantity, which part of it, in which unit.

The keys are wandb's (`system.cpu`, `system.gpu.0.powerWatts`); one that is unknown is told by its parts.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from .system_metrics import describe


class Measure(NamedTuple):
    """What one key measures.

    `device` is `cpu`, `memory`, `disk`, `network`, `process`, `gpu.0`, … or `other`. Keys that differ only in
    their part (a core, a mount point) share the `quantity`, which is the key with `*` in the part's place.
    `unit` is "%", "B", "MB", "GB", "B/s", "MB/s", "W", "J", "°C", "MHz", "s", "bits" or "" for a count; MB
    and GB are powers of 1024, as wandb counts them.
    """

    device: str
    quantity: str
    part: str
    unit: str


_PREFIX: Final = "system."
_PARTED: Final = (
    (re.compile(r"cpu\.(\d+)\.(.+)"), "cpu", "cpu.*.{}"),
    (re.compile(r"disk\.(.+)\.([A-Za-z_]+)"), "disk", "disk.*.{}"),
    (re.compile(r"network\.(.+)\.([A-Za-z_]+)"), "network", "network.*.{}"),
)
_GPU: Final = re.compile(r"(gpu|tpu|npu|ipu|hpu)\.(?:process\.)?(\d+)\.")
_DEVICES: Final = {
    "cpu": "cpu",
    "memory": "memory",
    "memory_percent": "memory",
    "swap": "memory",
    "disk": "disk",
    "network": "network",
    "proc": "process",
}
# What wandb names after the process and is the machine's.
_ELSEWHERE: Final = {"system.proc.memory.availableMB": "memory"}
# Units of what the sidecar does not record and other tools of the same names do.
_LAST: Final = (
    (re.compile(r"(?i)(percent|utilization|dutycycle|usagepercent)$"), "%"),
    (re.compile(r"(?i)(bps|bytes_?per_?second)$"), "B/s"),
    (re.compile(r"(?i)mbps$"), "MB/s"),
    (re.compile(r"(?i)bytes$"), "B"),
    (re.compile(r"GB$"), "GB"),
    (re.compile(r"MB$"), "MB"),
    (re.compile(r"(?i)watts$"), "W"),
    (re.compile(r"(?i)(clock|mhz)$"), "MHz"),
    (re.compile(r"(?i)temp(erature)?$"), "°C"),
    (re.compile(r"(?i)seconds$"), "s"),
    (re.compile(r"^(gpu|memory|memoryAllocated|fanSpeed|in_use)$"), "%"),
    (re.compile(r"^(in|out|used|total|available)$"), "MB"),
)


@lru_cache(maxsize=4096)
def measure_of(key: str) -> Measure:
    """What a key of the system stream measures.

    >>> measure_of("system.cpu.3.cpu_percent")
    Measure(device='cpu', quantity='system.cpu.*.cpu_percent', part='3', unit='%')
    >>> measure_of("system.gpu.0.powerWatts")
    Measure(device='gpu.0', quantity='system.gpu.*.powerWatts', part='', unit='W')
    """
    unit = _unit_of(key)
    name = key.removeprefix(_PREFIX)
    gpu = _GPU.match(name)
    if gpu is not None:
        own = f"{name[: gpu.start(2)]}*{name[gpu.end(2) :]}"
        return Measure(f"{gpu[1]}.{gpu[2]}", _PREFIX + own, "", unit)
    for pattern, device, quantity in _PARTED:
        found = pattern.fullmatch(name)
        if found is not None:
            part = "/" if found[1] == "\\" else found[1]
            return Measure(device, _PREFIX + quantity.format(found[2]), part, unit)
    device = _ELSEWHERE.get(key) or _DEVICES.get(name.partition(".")[0], "other")
    return Measure(device, key, "", unit)


def _unit_of(key: str) -> str:
    metric = describe(key)
    if metric is not None:
        return metric.unit
    last = key.rpartition(".")[2]
    return next((unit for pattern, unit in _LAST if pattern.search(last)), "")
