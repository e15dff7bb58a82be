"""AMD's GPUs from files as the kernel lays them out, Apple's from what `ioreg` prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiseki.sidecar.sampling.amd import open_amd
from kiseki.sidecar.sampling.apple import open_apple


def _card(cards: Path, name: str, vendor: str, **files: str) -> None:
    device = cards / name / "device"
    (device / "hwmon/hwmon3").mkdir(parents=True)
    (device / "vendor").write_text(vendor)
    for path, text in files.items():
        (device / path.replace("__", "/")).write_text(text)


def test_amd_gpus_are_read_from_the_drivers_files(tmp_path: Path) -> None:
    cards = tmp_path / "drm"
    _card(cards, "card0", "0x8086\n")
    _card(
        cards,
        "card1",
        "0x1002\n",
        product_name="AMD Instinct MI300X\n",
        unique_id="abc123\n",
        gpu_busy_percent="87\n",
        mem_busy_percent="12\n",
        mem_info_vram_total=f"{64 * 2**30}\n",
        mem_info_vram_used=f"{16 * 2**30}\n",
        hwmon__hwmon3__temp1_input="55000\n",
        hwmon__hwmon3__power1_average="250000000\n",
        hwmon__hwmon3__power1_cap="500000000\n",
        hwmon__hwmon3__freq1_input="1700000000\n",
        hwmon__hwmon3__pwm1="51\n",
    )
    _card(cards, "card10", "0x1002\n", gpu_busy_percent="not supported\n", device="0x744c\n")
    (cards / "card1-DP-1").mkdir()
    nvidia = tmp_path / "nvidia"
    (nvidia / "0000:01:00.0").mkdir(parents=True)
    source = open_amd(cards, nvidia)
    assert source is not None
    assert source.read(()).values == {
        "gpu.1.gpu": 87.0,
        "gpu.1.memory": 12.0,
        "gpu.1.memoryAllocatedBytes": 16.0 * 2**30,
        "gpu.1.memoryAllocated": 25.0,
        "gpu.1.temp": 55.0,
        "gpu.1.powerWatts": 250.0,
        "gpu.1.enforcedPowerLimitWatts": 500.0,
        "gpu.1.powerPercent": 50.0,
        "gpu.1.graphicsClock": 1700.0,
        "gpu.1.fanSpeed": 20.0,
    }
    assert source.facts() == {
        "gpus": [
            {
                "name": "AMD Instinct MI300X",
                "memory_bytes": 64 * 2**30,
                "uuid": "abc123",
                "vendor": "amd",
            },
            {"name": "AMD 0x744c", "vendor": "amd"},
        ]
    }


def test_a_machine_without_amd_gpus_has_no_such_source(tmp_path: Path) -> None:
    assert open_amd(tmp_path / "nothing") is None
    _card(tmp_path, "card0", "0x10de\n")
    assert open_amd(tmp_path) is None


_STATISTICS = (
    '"In use system memory (driver)"=0,"Alloc system memory"=5046501376,"Tiler Utilization %"=12,'
    '"Renderer Utilization %"=30,"Device Utilization %"=34,"In use system memory"=2147483648'
)
_IOREG = f"""\
+-o AGXAcceleratorG13X  <class AGXAcceleratorG13X, id 0x100000343, registered, matched, active>
    {{
      "model" = "Apple M1 Max"
      "PerformanceStatistics" = {{{_STATISTICS}}}
    }}
"""


def test_apples_gpu_is_read_from_the_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "ioreg"
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{_IOREG}END\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    source = open_apple()
    assert source is not None
    assert source.facts() == {"gpus": [{"name": "Apple M1 Max", "vendor": "apple"}]}
    assert source.read(()).values == {"gpu.0.gpu": 34.0, "gpu.0.memoryAllocatedBytes": 2.0 * 2**30}
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert open_apple() is None
