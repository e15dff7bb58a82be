"""The limits and events of this process's control group, versions 2 and 1 (kernel: admin-guide/cgroup-v2)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kiseki.sidecar.sampling.reading import Reading, Watched


class MemoryLimit(NamedTuple):
    """How much may be used, and is, in bytes; what the kernel could drop at once is not counted as used."""

    limit: int
    used: int


class Cgroup:
    """The group of this process, which is that of its trainings too: equals share a sidecar.

    A limit of any group above counts as well. Whatever cannot be read is taken as no limit.
    """

    def __init__(
        self, membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
    ) -> None:
        """`root` is where the groups are mounted."""
        self._memory_v1 = False
        self._cpu_v1 = False
        self._memory: list[Path] = []
        self._cpu: list[Path] = []
        try:
            lines = membership.read_text().splitlines()
        except OSError:
            return
        for line in lines:
            _, _, rest = line.partition(":")
            controllers, _, group = rest.partition(":")
            names = controllers.split(",")
            if controllers == "" and (root / "cgroup.controllers").exists():
                self._memory = self._memory or _chain(root, group)
                self._cpu = self._cpu or _chain(root, group)
            if "memory" in names:
                self._memory, self._memory_v1 = _chain(root / "memory", group), True
            if "cpu" in names:
                mounted = next((root / name for name in (controllers, "cpu") if (root / name).is_dir()), root)
                self._cpu, self._cpu_v1 = _chain(mounted, group), True

    def memory(self) -> MemoryLimit | None:
        """Return the narrowest memory limit, and what is used below it; None where there is none."""
        limit, used, stale = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            if self._memory_v1
            else ("memory.max", "memory.current", "inactive_file")
        )
        found: MemoryLimit | None = None
        for folder in self._memory:
            most, now = _number(folder / limit), _number(folder / used)
            # Version 1 says "no limit" with the largest multiple of a page that fits.
            if most is None or now is None or most >= 2**62 or most <= 0:
                continue
            if found is None or most < found.limit:
                droppable = _fields(folder / "memory.stat").get(stale, 0)
                found = MemoryLimit(most, max(0, now - droppable))
        return found

    def cpus(self) -> float | None:
        """Return how many processors' time the group may use, None where that is not limited."""
        found = []
        for folder in self._cpu:
            if self._cpu_v1:
                quota = _number(folder / "cpu.cfs_quota_us")
                period = _number(folder / "cpu.cfs_period_us")
            else:
                quota, period = _two_numbers(folder / "cpu.max")
            if quota is not None and period and quota > 0:
                found.append(quota / period)
        return min(found, default=None)

    def throttling(self) -> tuple[int, int] | None:
        """Return how many periods the nearest limited group had, and in how many it had to wait."""
        for folder in self._cpu:
            fields = _fields(folder / "cpu.stat")
            if fields.get("nr_periods"):
                return fields["nr_periods"], fields.get("nr_throttled", 0)
        return None

    def out_of_memory_kills(self) -> int | None:
        """Return how many processes of the group were ended because memory ran out; None if nobody counts."""
        name = "memory.oom_control" if self._memory_v1 else "memory.events"
        return _fields(self._memory[0] / name).get("oom_kill") if self._memory else None


class CgroupEvents:
    """What the limits do to the run."""

    def __init__(self, cgroup: Cgroup) -> None:
        self._cgroup = cgroup
        self._before = cgroup.throttling()

    def facts(self) -> dict[str, Any]:
        """The limits, and which kind of container this is."""
        found: dict[str, Any] = {}
        memory, cpus = self._cgroup.memory(), self._cgroup.cpus()
        limits = {"cpus": cpus, "memory_bytes": None if memory is None else memory.limit}
        if cpus is not None or memory is not None:
            found["cgroup"] = {name: value for name, value in limits.items() if value is not None}
        container = container_kind()
        if container is not None:
            found["container"] = container
        return found

    def read(self, watched: Sequence[Watched]) -> Reading:
        """Percent of its periods in which the group had to wait for a processor; kills for lack of memory."""
        values, totals = {}, {}
        throttling = self._cgroup.throttling()
        if throttling is not None:
            before = self._before or (0, 0)
            periods = throttling[0] - before[0]
            if periods > 0:
                values["proc.cpu.throttledPercent"] = 100.0 * (throttling[1] - before[1]) / periods
            self._before = throttling
        kills = self._cgroup.out_of_memory_kills()
        if kills is not None:
            totals["proc.memory.oomKills"] = float(kills)
        return Reading(values, totals)


def container_kind(root: Path = Path("/")) -> str | None:
    """Name the kind of container that this process runs in, None where it seems to be in none."""
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return "kubernetes"
    if (root / ".dockerenv").exists():
        return "docker"
    if (root / "run/.containerenv").exists():
        return "podman"
    if "APPTAINER_CONTAINER" in os.environ or "SINGULARITY_CONTAINER" in os.environ:
        return "apptainer"
    return os.environ.get("container") or None  # noqa: SIM112 - set by systemd-nspawn, LXC and others.


def _chain(mounted: Path, group: str) -> list[Path]:
    """The folders of a group and of all above it, the group's own first.

    Inside a container the path may be one of the host's, while the mount shows the container's group as root.
    """
    inside = mounted / group.strip("/")
    if not inside.is_dir():
        inside = mounted
    chain = [inside, *inside.parents]
    return chain[: chain.index(mounted) + 1]


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max" too
        return None


def _two_numbers(path: Path) -> tuple[int | None, int | None]:
    try:
        first, second = path.read_text().split()
        return int(first), int(second)
    except (OSError, ValueError):
        return None, None


def _fields(path: Path) -> dict[str, int]:
    found = {}
    try:
        for line in path.read_text().splitlines():
            name, _, value = line.partition(" ")
            if value.strip().isdigit():
                found[name] = int(value)
    except OSError:
        pass
    return found
