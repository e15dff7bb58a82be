"""Each run's processes and all that they started: processor time, memory, threads, open files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import psutil

from kiseki.sidecar.sampling.cgroup import Cgroup
from kiseki.sidecar.sampling.reading import Rates, Reading, Watched
from kiseki.system.process import ProcessId, is_alive

_MIB: Final = 2**20
_PROC: Final = Path("/proc")
_REMEMBERED: Final = 256


class Processes:
    """The process trees of the runs."""

    def __init__(self, cgroup: Cgroup) -> None:
        self._cgroup = cgroup
        self._rates: dict[str, Rates] = {}
        self._known: dict[int, psutil.Process] = {}

    def facts(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def read(self, watched: Sequence[Watched]) -> Reading:
        """A run's sums over its processes; a run whose processes are gone has none."""
        roots = {run: [p for p in processes if is_alive(p)] for run, processes in watched}
        if not any(roots.values()):
            return Reading()
        children = _children()
        machine = psutil.virtual_memory().total
        limited = self._cgroup.memory()
        memory = min(machine, limited.limit) if limited is not None else machine
        trees, runs = {}, {}
        for run, alive in roots.items():
            trees[run] = frozenset(_descend(alive, children))
            if trees[run]:
                runs[run] = self._sum_up(run, trees[run], self._may_use(alive), memory)
        everyone = frozenset().union(*trees.values())
        self._known = {pid: process for pid, process in self._known.items() if pid in everyone}
        for run in list(self._rates)[:-_REMEMBERED]:
            if run not in runs:
                del self._rates[run]
        return Reading(runs=runs, trees=trees)

    def _sum_up(self, run: str, tree: Iterable[int], cpus: float, memory: int) -> dict[str, float]:
        seconds = 0.0
        resident = threads = files = processes = 0
        readable = True
        for pid in tree:
            try:
                process = self._process(pid)
                with process.oneshot():
                    # What has ended is in its parent's sum, so that the total never goes back.
                    seconds += sum(process.cpu_times()[:4])
                    resident += process.memory_info().rss
                    threads += process.num_threads()
                    processes += 1
            except psutil.Error:
                continue
            try:
                files += _open_files(process)
            except psutil.Error:
                readable = False
        if not processes:
            return {}
        found = {
            "proc.cpu.threads": float(threads),
            "proc.memory.rssMB": resident / _MIB,
            "proc.memory.percent": 100.0 * resident / memory,
            "proc.processes": float(processes),
        }
        if readable:
            found["proc.openFiles"] = float(files)
        rate = self._rates.setdefault(run, Rates()).since({"cpu": seconds}).get("cpu")
        if rate is not None:
            found["proc.cpu.percent"] = 100.0 * rate
            found["cpu"] = 100.0 * rate / cpus
        return found

    def _process(self, pid: int) -> psutil.Process:
        known = self._known.get(pid)
        if known is None or not known.is_running():
            known = self._known[pid] = psutil.Process(pid)
        return known

    def _may_use(self, alive: Sequence[ProcessId]) -> float:
        """How many processors a run may use: those that it is bound to, as far as its cgroup grants time."""
        bound = os.cpu_count() or 1
        if hasattr(os, "sched_getaffinity"):
            try:
                bound = len(set().union(*(os.sched_getaffinity(process.pid) for process in alive)))
            except OSError:
                pass
        granted = self._cgroup.cpus()
        return bound if granted is None else min(float(bound), granted)


def _open_files(process: psutil.Process) -> int:
    if sys.platform == "win32":
        return process.num_handles()
    return process.num_fds()


def _descend(roots: Iterable[ProcessId], children: dict[int, list[int]]) -> set[int]:
    found: set[int] = set()
    own = os.getpid()  # Where the training is the first process of a container, this one is its child.
    waiting = [process.pid for process in roots]
    while waiting:
        pid = waiting.pop()
        if pid not in found and pid != own:
            found.add(pid)
            waiting.extend(children.get(pid, ()))
    return found


def _children() -> dict[int, list[int]]:
    """Every process's children. On Linux from one short file each: a host may have thousands."""
    found: dict[int, list[int]] = {}
    for pid in psutil.pids():
        parent = _parent(pid)
        if parent is not None:
            found.setdefault(parent, []).append(pid)
    return found


def _parent(pid: int) -> int | None:
    try:
        if not psutil.LINUX:
            return int(psutil.Process(pid).ppid())
        with open(_PROC / str(pid) / "stat", "rb", buffering=0) as file:
            stat = file.read(512)
        # The name between the parentheses may itself hold spaces and parentheses.
        return int(stat[stat.rfind(b")") + 2 :].split(None, 2)[1])
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
