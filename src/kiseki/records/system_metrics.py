"""Every system metric that a sidecar records: the table of docs/system-metrics.md; a test compares them.

Names are those of wandb 0.31 where it has the metric; what it lacks is named in the same manner.
"""

from __future__ import annotations

import functools
import re
from typing import Final, NamedTuple


class Metric(NamedTuple):
    """One row of the table; `<N>`, `<PATH>` and `<DEVICE>` stand for what differs from host to host."""

    key: str
    unit: str
    title: str
    source: str


METRICS: Final[tuple[Metric, ...]] = (
    Metric("system.cpu", "%", "Processor time of the run, of what it may use", "processes"),
    Metric("system.proc.cpu.percent", "%", "Processor time of the run, of one processor", "processes"),
    Metric("system.proc.cpu.threads", "", "Threads of the run", "processes"),
    Metric("system.proc.processes", "", "Processes of the run", "processes"),
    Metric("system.proc.openFiles", "", "Open files of the run", "processes"),
    Metric("system.proc.memory.rssMB", "MB", "Memory of the run", "processes"),
    Metric("system.proc.memory.percent", "%", "Memory of the run, of what it may use", "processes"),
    Metric("system.proc.memory.availableMB", "MB", "Memory available", "memory"),
    Metric("system.memory_percent", "%", "Memory in use", "memory"),
    Metric("system.swap.used_percent", "%", "Swap in use", "memory"),
    Metric("system.proc.memory.oomKills", "", "Processes ended for lack of memory", "cgroup"),
    Metric("system.proc.cpu.throttledPercent", "%", "Periods in which processor time ran out", "cgroup"),
    Metric("system.cpu.cpu_percent", "%", "Processors of the machine", "cpu"),
    Metric("system.cpu.<N>.cpu_percent", "%", "Processor <N>", "cpu"),
    Metric("system.disk.<PATH>.usagePercent", "%", "Disk in use at <PATH>", "disk"),
    Metric("system.disk.<PATH>.usageGB", "GB", "Disk used at <PATH>", "disk"),
    Metric("system.disk.<DEVICE>.in", "MB", "Read from disk <DEVICE>", "disk"),
    Metric("system.disk.<DEVICE>.out", "MB", "Written to disk <DEVICE>", "disk"),
    Metric("system.network.sent", "B", "Sent to the network", "network"),
    Metric("system.network.recv", "B", "Received from the network", "network"),
    Metric("system.network.sentBps", "B/s", "Sent to the network a second", "network"),
    Metric("system.network.recvBps", "B/s", "Received from the network a second", "network"),
    Metric("system.network.tcpRetransmits", "", "TCP segments sent again", "network"),
    Metric("system.gpu.<N>.gpu", "%", "GPU <N> utilisation", "NVIDIA, AMD, Apple"),
    Metric("system.gpu.<N>.memory", "%", "GPU <N> time accessing memory", "NVIDIA, AMD"),
    Metric("system.gpu.<N>.memoryAllocated", "%", "GPU <N> memory in use", "NVIDIA, AMD"),
    Metric("system.gpu.<N>.memoryAllocatedBytes", "B", "GPU <N> memory used", "NVIDIA, AMD, Apple"),
    Metric("system.gpu.<N>.temp", "°C", "GPU <N> temperature", "NVIDIA, AMD"),
    Metric("system.gpu.<N>.powerWatts", "W", "GPU <N> power", "NVIDIA, AMD"),
    Metric("system.gpu.<N>.powerPercent", "%", "GPU <N> power, of its limit", "NVIDIA, AMD"),
    Metric("system.gpu.<N>.enforcedPowerLimitWatts", "W", "GPU <N> power limit", "NVIDIA, AMD"),
    Metric("system.gpu.<N>.energyJoules", "J", "GPU <N> energy", "NVIDIA"),
    Metric("system.gpu.<N>.smClock", "MHz", "GPU <N> clock of the multiprocessors", "NVIDIA"),
    Metric("system.gpu.<N>.graphicsClock", "MHz", "GPU <N> graphics clock", "NVIDIA, AMD"),
    Metric("system.gpu.<N>.memoryClock", "MHz", "GPU <N> memory clock", "NVIDIA, AMD"),
    Metric("system.gpu.<N>.fanSpeed", "%", "GPU <N> fan", "NVIDIA, AMD"),
    Metric("system.gpu.<N>.encoderUtilization", "%", "GPU <N> video encoder", "NVIDIA"),
    Metric("system.gpu.<N>.pcieTxBytes", "B/s", "GPU <N> sent over PCIe a second", "NVIDIA"),
    Metric("system.gpu.<N>.pcieRxBytes", "B/s", "GPU <N> received over PCIe a second", "NVIDIA"),
    Metric("system.gpu.<N>.nvlinkTxBytes", "B/s", "GPU <N> sent over NVLink a second", "NVIDIA"),
    Metric("system.gpu.<N>.nvlinkRxBytes", "B/s", "GPU <N> received over NVLink a second", "NVIDIA"),
    Metric("system.gpu.<N>.throttleReasons", "bits", "GPU <N> reasons for lower clocks", "NVIDIA"),
    Metric("system.gpu.<N>.correctedMemoryErrors", "", "GPU <N> corrected memory errors", "NVIDIA"),
    Metric("system.gpu.<N>.uncorrectedMemoryErrors", "", "GPU <N> uncorrected memory errors", "NVIDIA"),
    Metric("system.gpu.process.<N>.memoryUsedBytes", "B", "GPU <N> memory used by the run", "NVIDIA"),
    Metric("system.gpu.process.<N>.gpu", "%", "GPU <N> of the run, utilisation", "NVIDIA"),
    Metric("system.gpu.process.<N>.memory", "%", "GPU <N> of the run, time accessing memory", "NVIDIA"),
    Metric("system.gpu.process.<N>.memoryAllocated", "%", "GPU <N> of the run, memory in use", "NVIDIA"),
    Metric("system.gpu.process.<N>.memoryAllocatedBytes", "B", "GPU <N> of the run, memory used", "NVIDIA"),
    Metric("system.gpu.process.<N>.temp", "°C", "GPU <N> of the run, temperature", "NVIDIA"),
    Metric("system.gpu.process.<N>.powerWatts", "W", "GPU <N> of the run, power", "NVIDIA"),
    Metric("system.gpu.process.<N>.powerPercent", "%", "GPU <N> of the run, power, of its limit", "NVIDIA"),
    Metric("system.gpu.process.<N>.enforcedPowerLimitWatts", "W", "GPU <N> of the run, limit", "NVIDIA"),
)
"""Every metric, in the order in which people look for them."""

_PLACE: Final = {"<N>": r"(?P<N>\d+)", "<PATH>": r"(?P<PATH>/.*)", "<DEVICE>": r"(?P<DEVICE>[^/]+)"}


def describe(key: str) -> Metric | None:
    """The row of a metric with its placeholders filled in; None for a key that is no system metric.

    >>> describe("system.gpu.3.temp").title
    'GPU 3 temperature'
    """
    for pattern, metric in _patterns():
        found = pattern.fullmatch(key)
        if found is not None:
            title = metric.title
            for name, value in found.groupdict().items():
                title = title.replace(f"<{name}>", value)
            return metric._replace(key=key, title=title)
    return None


@functools.cache
def _patterns() -> list[tuple[re.Pattern[str], Metric]]:
    found = []
    for metric in METRICS:
        pattern = re.escape(metric.key)
        for place, matching in _PLACE.items():
            pattern = pattern.replace(re.escape(place), matching)
        found.append((re.compile(pattern), metric))
    return found
