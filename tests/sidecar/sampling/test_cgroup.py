"""Limits of control groups, from trees of files as the kernel lays them out; and from the real one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiseki.sidecar.sampling.cgroup import Cgroup, CgroupEvents, MemoryLimit, container_kind

GIB = 2**30


def _lay_out(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _cgroup(tmp_path: Path, membership: str, files: dict[str, str]) -> Cgroup:
    _lay_out(tmp_path, {"self": membership} | {f"fs/{name}": text for name, text in files.items()})
    return Cgroup(tmp_path / "self", tmp_path / "fs")


def test_version_2_takes_the_narrowest_limit_on_the_way_up(tmp_path: Path) -> None:
    cgroup = _cgroup(
        tmp_path,
        "0::/slurm/job 7\n",
        {
            "cgroup.controllers": "cpu memory\n",
            "slurm/memory.max": f"{4 * GIB}\n",
            "slurm/memory.current": f"{3 * GIB}\n",
            "slurm/memory.stat": f"anon 5\ninactive_file {GIB}\n",
            "slurm/cpu.max": "150000 100000\n",
            "slurm/job 7/memory.max": "max\n",
            "slurm/job 7/memory.current": "100\n",
            "slurm/job 7/memory.events": "low 0\noom 3\noom_kill 2\n",
            "slurm/job 7/cpu.max": "max 100000\n",
        },
    )
    assert cgroup.memory() == MemoryLimit(4 * GIB, 2 * GIB)
    assert cgroup.cpus() == 1.5
    assert cgroup.out_of_memory_kills() == 2
    assert CgroupEvents(cgroup).facts()["cgroup"] == {"cpus": 1.5, "memory_bytes": 4 * GIB}


def test_version_1_has_its_own_names(tmp_path: Path) -> None:
    cgroup = _cgroup(
        tmp_path,
        "9:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n",
        {
            "memory/docker/abc/memory.limit_in_bytes": f"{2 * GIB}\n",
            "memory/docker/abc/memory.usage_in_bytes": f"{GIB}\n",
            "memory/docker/abc/memory.stat": f"total_inactive_file {GIB // 2}\n",
            "memory/docker/abc/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
            "memory/memory.limit_in_bytes": "9223372036854771712\n",
            "memory/memory.usage_in_bytes": "5\n",
            "cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "50000\n",
            "cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
        },
    )
    assert cgroup.memory() == MemoryLimit(2 * GIB, GIB // 2)
    assert cgroup.cpus() == 0.5
    assert cgroup.out_of_memory_kills() == 1


def test_a_path_of_the_host_is_the_root_inside_a_container(tmp_path: Path) -> None:
    files = {"memory/memory.limit_in_bytes": "1000\n", "memory/memory.usage_in_bytes": "10\n"}
    cgroup = _cgroup(tmp_path, "9:memory:/docker/of-the-host\n", files)
    assert cgroup.memory() == MemoryLimit(1000, 10)


def test_no_limit_is_none(tmp_path: Path) -> None:
    files = {"cgroup.controllers": "", "a/memory.max": "max", "a/memory.current": "5", "a/cpu.max": "max 1"}
    cgroup = _cgroup(tmp_path, "0::/a\n", files)
    assert (cgroup.memory(), cgroup.cpus(), cgroup.throttling()) == (None, None, None)
    unreadable = Cgroup(tmp_path / "nothing", tmp_path / "nowhere")
    assert (unreadable.memory(), unreadable.cpus(), unreadable.out_of_memory_kills()) == (None, None, None)


def test_throttling_is_told_for_the_time_since_the_last_look(tmp_path: Path) -> None:
    def stat(periods: int, waited: int) -> str:
        return f"usage_usec 1\nnr_periods {periods}\nnr_throttled {waited}\n"

    cgroup = _cgroup(tmp_path, "0::/a\n", {"cgroup.controllers": "", "a/cpu.stat": stat(100, 50)})
    events = CgroupEvents(cgroup)
    (tmp_path / "fs/a/cpu.stat").write_text(stat(140, 60))
    assert events.read(()).values == {"proc.cpu.throttledPercent": 25.0}
    assert events.read(()).values == {}


def test_the_kind_of_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBERNETES_SERVICE_HOST", "APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "container"):
        monkeypatch.delenv(name, raising=False)
    assert container_kind(tmp_path) is None
    _lay_out(tmp_path, {"run/.containerenv": ""})
    assert container_kind(tmp_path) == "podman"
    _lay_out(tmp_path, {".dockerenv": ""})
    assert container_kind(tmp_path) == "docker"
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert container_kind(tmp_path) == "kubernetes"


@pytest.fixture
def limited_group() -> Iterator[Path]:
    """A real control group with 512 MB and half a processor's memory controller, version 1 or 2."""
    root = Path("/sys/fs/cgroup")
    v2 = (root / "cgroup.controllers").exists()
    group = (root if v2 else root / "memory") / f"kiseki-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error.strerror}")
    try:
        try:
            (group / ("memory.max" if v2 else "memory.limit_in_bytes")).write_text(str(512 * 2**20))
        except OSError as error:
            pytest.skip(f"no memory limit can be set here: {error.strerror}")
        yield group
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()


def test_a_real_limit_is_found_by_a_process_inside(limited_group: Path) -> None:
    script = (
        "import pathlib, os, sys\n"
        "(pathlib.Path(sys.argv[1]) / 'cgroup.procs').write_text(str(os.getpid()))\n"
        "from kiseki.sidecar.sampling.cgroup import Cgroup\n"
        "held = bytearray(100 * 2**20)\n"
        "print(*Cgroup().memory())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(limited_group)], capture_output=True, text=True, check=True
    )
    limit, used = map(int, done.stdout.split())
    assert limit == 512 * 2**20
    assert 100 * 2**20 <= used < 300 * 2**20
