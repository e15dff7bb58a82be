"""NVIDIA's GPUs through NVML (docs.nvidia.com/deploy/nvml-api), by the `nvidia-ml-py` package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import pynvml

from kiseki.sidecar.sampling.reading import Rates, Reading, Watched

_KIB: Final = 1024
_WATTS: Final = 1000.0
_ALL_LINKS: Final = 0xFFFFFFFF
_LASTING: Final = (pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)


def open_nvidia() -> Nvidia | None:
    """Initialise NVML; None where there is no NVIDIA driver, or it has no GPU for us."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        # Not the same as a driver that does not work, which is worth a line in the log.
        if error.value in (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED):
            return None
        raise
    devices = [_Device(number) for number in range(pynvml.nvmlDeviceGetCount())]
    return Nvidia(devices) if devices else None


class Nvidia:
    """All GPUs of this machine."""

    def __init__(self, devices: Sequence[_Device]) -> None:
        self._devices = devices
        self._rates = Rates()

    def facts(self) -> dict[str, Any]:
        """The GPUs, and the versions of the driver and of the CUDA that it brings."""
        cuda = _ask(pynvml.nvmlSystemGetCudaDriverVersion)
        driver = _ask(pynvml.nvmlSystemGetDriverVersion)
        versions = {
            "version": f"{cuda // 1000}.{cuda % 1000 // 10}" if cuda else None,
            "driver": driver,
        }
        return {
            "gpus": [device.facts() for device in self._devices],
            "cuda": {name: value for name, value in versions.items() if value},
        }

    def read(self, watched: Sequence[Watched]) -> Reading:
        """Every metric that a GPU has; one that fails lacks that metric, or all, in this sample."""
        values: dict[str, float] = {}
        totals: dict[str, float] = {}
        counted: dict[str, float] = {}
        gpu_memory = {}
        failed: list[Exception] = []
        for device in self._devices:
            try:
                device.read(values, totals, counted)
                gpu_memory[device.number] = device.memory_by_process()
            except pynvml.NVMLError as error:
                failed.append(error)
        values |= self._rates.since(counted)
        if failed and not values:
            raise failed[0]
        return Reading(values, totals, gpu_memory=gpu_memory)


class _Device:
    """One GPU, and which of the questions it does not know."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._handle = pynvml.nvmlDeviceGetHandleByIndex(number)
        self._unknown: set[str] = set()

    def facts(self) -> dict[str, Any]:
        memory = _ask(pynvml.nvmlDeviceGetMemoryInfo, self._handle)
        found = {
            "name": _ask(pynvml.nvmlDeviceGetName, self._handle),
            "memory_bytes": None if memory is None else int(memory.total),
            "uuid": _ask(pynvml.nvmlDeviceGetUUID, self._handle),
            "vendor": "nvidia",
        }
        return {name: value for name, value in found.items() if value is not None}

    def read(self, values: dict[str, float], totals: dict[str, float], counted: dict[str, float]) -> None:
        """Add this GPU's values, totals since the driver's start, and totals that are told as rates."""
        key = f"gpu.{self.number}"

        def put(name: str, value: float | None, unit: float = 1.0) -> None:
            if value is not None:
                values[f"{key}.{name}"] = value / unit

        rates = self._try("utilization", pynvml.nvmlDeviceGetUtilizationRates)
        if rates is not None:
            put("gpu", rates.gpu)
            put("memory", rates.memory)
        memory = self._try("memory", pynvml.nvmlDeviceGetMemoryInfo)
        if memory is not None and memory.total:
            put("memoryAllocated", 100.0 * memory.used / memory.total)
            put("memoryAllocatedBytes", memory.used)
        put("temp", self._try("temp", pynvml.nvmlDeviceGetTemperature, pynvml.NVML_TEMPERATURE_GPU))
        power = self._try("power", pynvml.nvmlDeviceGetPowerUsage)
        limit = self._try("limit", pynvml.nvmlDeviceGetEnforcedPowerLimit)
        put("powerWatts", power, _WATTS)
        put("enforcedPowerLimitWatts", limit, _WATTS)
        if power is not None and limit:
            put("powerPercent", 100.0 * power / limit)
        for name, clock in (
            ("smClock", pynvml.NVML_CLOCK_SM),
            ("memoryClock", pynvml.NVML_CLOCK_MEM),
            ("graphicsClock", pynvml.NVML_CLOCK_GRAPHICS),
        ):
            put(name, self._try(name, pynvml.nvmlDeviceGetClockInfo, clock))
        put("fanSpeed", self._try("fan", pynvml.nvmlDeviceGetFanSpeed))
        encoder = self._try("encoder", pynvml.nvmlDeviceGetEncoderUtilization)
        put("encoderUtilization", None if encoder is None else encoder[0])
        for name, kind in (
            ("correctedMemoryErrors", pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED),
            ("uncorrectedMemoryErrors", pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED),
        ):
            put(name, self._try(name, pynvml.nvmlDeviceGetTotalEccErrors, kind, pynvml.NVML_VOLATILE_ECC))
        put("throttleReasons", self._try("throttle", pynvml.nvmlDeviceGetCurrentClocksThrottleReasons))
        for name, direction in (
            ("pcieTxBytes", pynvml.NVML_PCIE_UTIL_TX_BYTES),
            ("pcieRxBytes", pynvml.NVML_PCIE_UTIL_RX_BYTES),
        ):
            put(name, self._try(name, pynvml.nvmlDeviceGetPcieThroughput, direction), 1 / _KIB)
        energy = self._try("energy", pynvml.nvmlDeviceGetTotalEnergyConsumption)
        if energy is not None:
            totals[f"{key}.energyJoules"] = energy / 1000.0
        for name, field in (
            ("nvlinkTxBytes", pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX),
            ("nvlinkRxBytes", pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX),
        ):
            sent = self._try(name, _field, field)
            if sent is not None:
                counted[f"{key}.{name}"] = float(sent * _KIB)

    def memory_by_process(self) -> dict[int, int]:
        """Bytes of this GPU's memory by pid; empty where the driver does not tell."""
        found: dict[int, int] = {}
        for kind in ("Compute", "Graphics"):
            processes = None
            for version in (3, 2):  # A driver older than 510 has the second only.
                name = f"nvmlDeviceGet{kind}RunningProcesses_v{version}"
                if processes is None and hasattr(pynvml, name):
                    processes = self._try(name, getattr(pynvml, name))
            for process in processes or ():
                # One that does both is in both lists with the same number.
                found[process.pid] = max(found.get(process.pid, 0), process.usedGpuMemory or 0)
        return found

    def _try(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """The answer; None, and never asked again, where this GPU does not know. Raises NVMLError."""
        if name in self._unknown:
            return None
        try:
            return function(self._handle, *arguments)
        except pynvml.NVMLError as error:
            if error.value in _LASTING:
                self._unknown.add(name)
                return None
            if error.value in (pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_UNINITIALIZED):
                raise
            return None


def _field(handle: Any, field: int) -> int:
    """A field over all NVLinks of a GPU, in KiB; raises NVMLError where it has none."""
    (found,) = pynvml.nvmlDeviceGetFieldValues(handle, [(field, _ALL_LINKS)])
    if found.nvmlReturn != pynvml.NVML_SUCCESS:
        raise pynvml.NVMLError(found.nvmlReturn)
    return int(found.value.ullVal)


def _ask(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except pynvml.NVMLError:
        return None
