"""AMD's GPUs through the files of the kernel's driver (kernel: gpu/amdgpu/thermal, driver-misc)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from kiseki.sidecar.sampling.reading import Reading, Watched

_VENDOR: Final = "0x1002"
_NVIDIA: Final = Path("/proc/driver/nvidia/gpus")
_CARD: Final = re.compile(r"card\d+")


def open_amd(cards: Path = Path("/sys/class/drm"), nvidia: Path = _NVIDIA) -> Amd | None:
    """Find the GPUs below `cards`; None where there is none. NVIDIA's, listed in `nvidia`, come first."""
    try:
        names = sorted((entry.name for entry in cards.iterdir() if _CARD.fullmatch(entry.name)), key=_number)
    except OSError:
        return None
    found = [cards / name / "device" for name in names if _text(cards / name / "device/vendor") == _VENDOR]
    try:
        first = len(list(nvidia.iterdir()))
    except OSError:
        first = 0
    return Amd({first + index: device for index, device in enumerate(found)}) if found else None


class Amd:
    """All AMD GPUs of this machine."""

    def __init__(self, devices: dict[int, Path]) -> None:
        """`devices`: by number, the folder of the device."""
        self._devices = devices

    def facts(self) -> dict[str, Any]:
        """The GPUs."""
        gpus = []
        for device in self._devices.values():
            found = {
                "name": _text(device / "product_name") or f"AMD {_text(device / 'device') or 'GPU'}",
                "memory_bytes": _integer(device / "mem_info_vram_total"),
                "uuid": _text(device / "unique_id"),
                "vendor": "amd",
            }
            gpus.append({name: value for name, value in found.items() if value})
        return {"gpus": gpus}

    def read(self, watched: Sequence[Watched]) -> Reading:
        """What each GPU's driver tells."""
        values: dict[str, float] = {}
        for number, device in self._devices.items():
            for name, value in _measure(device).items():
                values[f"gpu.{number}.{name}"] = value
        return Reading(values)


def _measure(device: Path) -> dict[str, float]:
    sensors = next(iter(sorted((device / "hwmon").glob("hwmon*"))), device / "hwmon")
    used, total = _integer(device / "mem_info_vram_used"), _integer(device / "mem_info_vram_total")
    power = _integer(sensors / "power1_average")
    if power is None:
        power = _integer(sensors / "power1_input")
    limit = _integer(sensors / "power1_cap")
    found: dict[str, float | None] = {
        "gpu": _integer(device / "gpu_busy_percent"),
        "memory": _integer(device / "mem_busy_percent"),
        "memoryAllocatedBytes": used,
        "memoryAllocated": 100.0 * used / total if used is not None and total else None,
        "temp": _scaled(sensors / "temp1_input", 1e3),
        "powerWatts": None if power is None else power / 1e6,
        "enforcedPowerLimitWatts": None if limit is None else limit / 1e6,
        "powerPercent": 100.0 * power / limit if power is not None and limit else None,
        "graphicsClock": _scaled(sensors / "freq1_input", 1e6),
        "memoryClock": _scaled(sensors / "freq2_input", 1e6),
    }
    fan, fastest = _integer(sensors / "pwm1"), _integer(sensors / "pwm1_max")
    if fan is not None:
        found["fanSpeed"] = 100.0 * fan / (fastest or 255)
    return {name: float(value) for name, value in found.items() if value is not None}


def _number(name: str) -> int:
    return int(name.removeprefix("card"))


def _scaled(path: Path, unit: float) -> float | None:
    found = _integer(path)
    return None if found is None else found / unit


def _integer(path: Path) -> int | None:
    text = _text(path)
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
