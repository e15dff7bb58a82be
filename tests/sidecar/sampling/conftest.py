"""What sidecars measured as it lies on the disk, and a fake NVML at the C boundary."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kiseki.records.directory import history, read_run
from kiseki.records.kinds import SYSTEM_STREAM


class FakeNvml:
    """A `libnvidia-ml.so.1` with two GPUs, and the switch that says how it behaves at this moment."""

    def __init__(self, folder: Path) -> None:
        self._switch = folder / "behaviour"
        self._holder = folder / "holder"
        self.env = {
            "LD_LIBRARY_PATH": str(folder),
            "FAKE_NVML": str(self._switch),
            "FAKE_NVML_PID": str(self._holder),
        }

    def behave(self, how: str) -> None:
        """`ok`, `hang`, `lost` (GPU 1 is gone), `broken` or `none` (no driver)."""
        self._switch.write_text(how)

    def let_hold_memory(self, pid: int) -> None:
        """Let a process hold 3 GiB of GPU 0."""
        self._holder.write_text(str(pid))


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled library."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler here")
    library = tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1"
    source = Path(__file__).with_name("fake_nvml.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source], check=True)
    return library


@pytest.fixture
def nvml(nvml_library: Path, tmp_path: Path) -> FakeNvml:
    """The fake NVML for a sidecar that is started with its `env`."""
    folder = tmp_path / "nvml"
    folder.mkdir()
    (folder / nvml_library.name).symlink_to(nvml_library)
    return FakeNvml(folder)


@pytest.fixture(name="wait_until")
def _wait_until(wait_until: Callable[..., object]) -> Callable[..., object]:
    """The same with more patience: a sidecar is niced, and samples come a second apart."""
    return functools.partial(wait_until, seconds=60.0)


@pytest.fixture
def samples() -> Callable[[Path], list[dict[str, Any]]]:
    """`samples(run_dir)`: the rows that all sidecars of a run measured."""
    return lambda run_dir: list(history(run_dir, SYSTEM_STREAM))


@pytest.fixture
def facts() -> Callable[[Path], dict[str, Any]]:
    """`facts(run_dir)`: the run's environment record."""
    return lambda run_dir: read_run(run_dir).fold.environment
