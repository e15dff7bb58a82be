"""Memory that tracking adds: the training's PSS over a bare one, and all its processes together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.home import private_home, relays_of, sidecars_of
from benchmarks.report import Report, Result, limit, main, median

ROUNDS = 3
ROWS = 5_000

# Announces itself once it has logged for a while, then waits for its standard input to close.
TRAINING = """
import sys, time
from benchmarks.rows import rows_of_ten
rows = rows_of_ten(int(sys.argv[2]))
run = None if sys.argv[1] == "bare" else __import__(sys.argv[1]).init(project="bench", mode=sys.argv[3])
for i, row in enumerate(rows):
    if run is not None:
        run.log(row)
    if i % 100 == 0:
        time.sleep(0.02)
print("measure me", flush=True)
sys.stdin.read()
if run is not None:
    run.finish()
"""


def measure() -> Report:
    """Bare, ours and wandb in turns; PSS shares what several processes map, as the page tables do."""
    bare: list[float] = []
    ours: list[float] = []
    sidecar: list[float] = []
    wandb: list[float] = []
    service: list[float] = []
    for _ in range(ROUNDS):
        bare.append(_weigh("bare", "-")[0])
        for training, beside, mine, other in (
            (*_weigh("kiseki", "online"), ours, sidecar),
            (*_weigh("wandb", "offline"), wandb, service),
        ):
            mine.append(training)
            other.append(beside)
    floor = median(bare)
    added, both = median(ours) - floor, median(ours) + median(sidecar) - floor
    theirs = median(wandb) + median(service) - floor
    return Report(
        "memory",
        [
            limit("PSS added to the training", "MB", added, 15, f"bare Python {floor:.1f} MB"),
            limit("training + sidecar + relay, PSS over bare Python", "MB", both, 45),
            Result("training + sidecar + relay, PSS over bare Python", "MB", both, "wandb offline", theirs),
        ],
    )


def _weigh(tracker: str, mode: str) -> tuple[float, float]:
    """PSS in MB of a training and of all processes it brought along."""
    with private_home() as (folder, env):
        process = subprocess.Popen(
            [sys.executable, "-c", TRAINING, tracker, str(ROWS), mode],
            cwd=folder, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdin is not None
        for line in process.stdout:
            if line.strip() == "measure me":
                break
        else:
            raise RuntimeError(f"the {tracker} training ended with {process.wait()} before it was measured")
        beside = [*_children(process.pid), *sidecars_of(folder), *relays_of(folder)]
        answer = _pss(process.pid), sum(_pss(pid) for pid in beside)
        process.stdin.close()
        process.wait()
        return answer


def _children(pid: int) -> list[int]:
    """All descendants of `pid`."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *_children(int(child))]
    return found


def _pss(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"/proc/{pid}/smaps_rollup has no Pss (uid {os.getuid()})")


if __name__ == "__main__":
    main(measure())
