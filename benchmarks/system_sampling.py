"""What sampling the machine every ten seconds costs: processor time, memory, and bytes stored."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.home import private_home, sidecars_of
from benchmarks.report import Bar, Report, Result, limit, main

SETTLING_S = 15.0
WINDOW_S = 60.0
INTERVAL_S = 10.0

# Several runs of one process share a sidecar as those of twenty processes do.
KISEKI = """
import sys, kiseki
count, interval = int(sys.argv[1]), float(sys.argv[2])
settings = {"x_stats_sampling_interval": interval} if interval else {"x_disable_stats": True}
runs = [
    kiseki.init(project="bench", mode="offline", settings=settings, reinit="create_new")
    for _ in range(count)
]
print("measure me", flush=True)
sys.stdin.read()
for run in runs:
    run.finish()
"""
WANDB = """
import sys, wandb
settings = wandb.Settings(x_stats_sampling_interval=float(sys.argv[2]))
run = wandb.init(project="bench", mode="offline", settings=settings)
print("measure me", flush=True)
sys.stdin.read()
run.finish()
"""


class _Idle:
    """A training that does nothing, and what stands beside it."""

    def __init__(self, stack: ExitStack, code: str, count: int, interval: float) -> None:
        self.folder, env = stack.enter_context(private_home())
        arguments = [sys.executable, "-c", code, str(count), str(interval)]
        self.process = subprocess.Popen(
            arguments, cwd=self.folder, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        stack.callback(self._end)
        assert self.process.stdout is not None
        if "measure me" not in self.process.stdout.read(len("measure me\n")):
            raise RuntimeError(f"the training ended with {self.process.wait()} before it was measured")

    def beside(self) -> list[int]:
        return [*_descendants(self.process.pid), *sidecars_of(self.folder)]

    def seconds(self) -> float:
        """Processor time of all that stands beside."""
        return sum(_seconds(pid) for pid in self.beside())

    def unique(self) -> float:
        """Memory in MB that all that stands beside has for itself."""
        return sum(_unique(pid) for pid in self.beside())

    def stored(self) -> int:
        """Bytes of the files that records go to."""
        names = (*self.folder.rglob("*.kiseki"), *self.folder.rglob("*.wandb"))
        return sum(path.stat().st_size for path in names if path.is_file())

    def _end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measure() -> Report:
    """One window in which all stand side by side, idle but for what samples them."""
    with ExitStack() as stack:
        trainings = {
            "off": _Idle(stack, KISEKI, 1, 0),
            "1 run": _Idle(stack, KISEKI, 1, INTERVAL_S),
            "20 runs": _Idle(stack, KISEKI, 20, INTERVAL_S),
            "wandb": _Idle(stack, WANDB, 1, INTERVAL_S),
        }
        time.sleep(SETTLING_S)
        before = {name: (training.seconds(), training.stored()) for name, training in trainings.items()}
        began = time.monotonic()
        time.sleep(WINDOW_S)
        elapsed = time.monotonic() - began
        percent, hourly, unique = {}, {}, {}
        for name, training in trainings.items():
            seconds, stored = before[name]
            percent[name] = 100 * (training.seconds() - seconds) / elapsed
            hourly[name] = (training.stored() - stored) / elapsed * 3600 / 1e3
            unique[name] = training.unique()
    service = "wandb offline's service, 1 run"
    return Report(
        "system_sampling",
        [
            Result("processor, 1 run", "% of a core", percent["1 run"], service, percent["wandb"]),
            Result("processor, 20 runs", "% of a core", percent["20 runs"], service, percent["wandb"]),
            Result("processor, 1 run", "% of a core", percent["1 run"], "not sampling", percent["off"]),
            limit("memory of its own (USS), 1 run", "MB", unique["1 run"], 25),
            limit("memory of its own (USS), 20 runs", "MB", unique["20 runs"], 25),
            Result(
                "memory of its own (USS), 1 run",
                "MB",
                unique["1 run"],
                service,
                unique["wandb"],
                Bar("<=", 0.5),
                f"{unique['off']:.1f} MB where nothing is sampled",
            ),
            Result("stored an hour, 1 run", "kB", hourly["1 run"], service, hourly["wandb"], Bar("<=", 1.0)),
            Result("stored an hour, each of 20 runs", "kB", hourly["20 runs"] / 20, service, hourly["wandb"]),
        ],
    )


def _descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *_descendants(int(child))]
    return found


def _seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _unique(pid: int) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(size) for size in re.findall(r"^Private_\w+: +(\d+)", text, re.MULTILINE)) * 1024 / 1e6


if __name__ == "__main__":
    main(measure())
