"""What the keys of the system stream measure, for every key that the sidecar writes and wandb's others."""

from __future__ import annotations

import pytest

from kiseki.records.measures import measure_of


@pytest.mark.parametrize(
    ("key", "device", "quantity", "part", "unit"),
    [
        ("cpu", "cpu", "cpu", "", "%"),
        ("cpu.cpu_percent", "cpu", "cpu.cpu_percent", "", "%"),
        ("cpu.12.cpu_percent", "cpu", "cpu.*.cpu_percent", "12", "%"),
        ("memory_percent", "memory", "memory_percent", "", "%"),
        ("proc.memory.availableMB", "memory", "proc.memory.availableMB", "", "MB"),
        ("swap.used_percent", "memory", "swap.used_percent", "", "%"),
        ("proc.memory.rssMB", "process", "proc.memory.rssMB", "", "MB"),
        ("proc.memory.percent", "process", "proc.memory.percent", "", "%"),
        ("proc.cpu.threads", "process", "proc.cpu.threads", "", ""),
        ("proc.cpu.throttledPercent", "process", "proc.cpu.throttledPercent", "", "%"),
        ("proc.openFiles", "process", "proc.openFiles", "", ""),
        ("disk./.usagePercent", "disk", "disk.*.usagePercent", "/", "%"),
        ("disk.\\.usagePercent", "disk", "disk.*.usagePercent", "/", "%"),
        ("disk./mnt/my.data.usageGB", "disk", "disk.*.usageGB", "/mnt/my.data", "GB"),
        ("disk.nvme0n1.in", "disk", "disk.*.in", "nvme0n1", "MB"),
        ("disk.in", "disk", "disk.in", "", "MB"),
        ("network.sent", "network", "network.sent", "", "B"),
        ("network.recvBps", "network", "network.recvBps", "", "B/s"),
        ("network.tcpRetransmits", "network", "network.tcpRetransmits", "", ""),
        ("gpu.0.gpu", "gpu.0", "gpu.*.gpu", "", "%"),
        ("gpu.10.memoryAllocatedBytes", "gpu.10", "gpu.*.memoryAllocatedBytes", "", "B"),
        ("gpu.0.temp", "gpu.0", "gpu.*.temp", "", "°C"),
        ("gpu.0.powerWatts", "gpu.0", "gpu.*.powerWatts", "", "W"),
        ("gpu.0.energyJoules", "gpu.0", "gpu.*.energyJoules", "", "J"),
        ("gpu.0.smClock", "gpu.0", "gpu.*.smClock", "", "MHz"),
        ("gpu.0.pcieTxBytes", "gpu.0", "gpu.*.pcieTxBytes", "", "B/s"),
        ("gpu.0.throttleReasons", "gpu.0", "gpu.*.throttleReasons", "", "bits"),
        ("gpu.process.3.memoryUsedBytes", "gpu.3", "gpu.process.*.memoryUsedBytes", "", "B"),
        ("tpu.1.tensorcoreUtilization", "tpu.1", "tpu.*.tensorcoreUtilization", "", "%"),
        ("something.new", "other", "something.new", "", ""),
    ],
)
def test_each_key_names_its_device_quantity_part_and_unit(
    key: str, device: str, quantity: str, part: str, unit: str
) -> None:
    assert measure_of(f"system.{key}") == (device, f"system.{quantity}", part, unit)
