"""Which sources this machine may have, and which of them share a thread."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

from kiseki.sidecar.sampling.cgroup import Cgroup, CgroupEvents
from kiseki.sidecar.sampling.guard import Guard
from kiseki.sidecar.sampling.reading import Source

# Each opener imports its module itself: what measures is loaded only where something is measured.


def make_guards(wake: Callable[[], None]) -> list[Guard]:
    """Start the threads that measure. `wake` is called from them when one has an answer."""
    cgroup = Cgroup()
    guards = [
        Guard(
            "host",
            [
                _cpu,
                lambda: _memory(cgroup),
                lambda: _processes(cgroup),
                lambda: CgroupEvents(cgroup),
                _network,
            ],
            wake,
        ),
        Guard("disk", [_disk], wake),  # A network file system may hang.
    ]
    if sys.platform == "darwin":
        guards.append(Guard("apple", [_apple], wake))
    else:
        guards += [Guard("nvidia", [_nvidia], wake), Guard("amd", [_amd], wake)]
    return guards


def _cpu() -> Source:
    from kiseki.sidecar.sampling.cpu import Cpu

    return Cpu()


def _memory(cgroup: Cgroup) -> Source:
    from kiseki.sidecar.sampling.memory import Memory

    return Memory(cgroup)


def _processes(cgroup: Cgroup) -> Source:
    from kiseki.sidecar.sampling.processes import Processes

    return Processes(cgroup)


def _network() -> Source:
    from kiseki.sidecar.sampling.network import Network

    return Network()


def _disk() -> Source:
    from kiseki.sidecar.sampling.disk import Disk

    return Disk()


def _nvidia() -> Source | None:
    try:
        ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
    except OSError:
        return None  # Without the driver's library its bindings are not worth their 3 MB.
    from kiseki.sidecar.sampling.nvidia import open_nvidia

    return open_nvidia()


def _amd() -> Source | None:
    from kiseki.sidecar.sampling.amd import open_amd

    return open_amd()


def _apple() -> Source | None:
    from kiseki.sidecar.sampling.apple import open_apple

    return open_apple()
