"""`log()` of ten floats as its caller feels it, in a live run, beside `json.dumps` + `write()` and wandb."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.home import private_home, run_python
from benchmarks.report import Bar, Report, Result, main, median

ROUNDS = 5
"""Processes of each kind, taken in turns."""

# Blocks of ours and of the floor alternate in one process, so that what disturbs one disturbs the other.
OURS = """
import json, os, random, sys, time
import kiseki
from benchmarks.rows import rows_of_ten, p50
run = kiseki.init(project="bench", mode=sys.argv[1])
out = os.open("floor.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
clock = time.perf_counter_ns
hot, floor, cold, cold_floor = [], [], [], []
for block in range(20):
    rows = rows_of_ten(500)
    for row in rows:
        t = clock(); run.log(row); hot.append(clock() - t)
    for row in rows:
        t = clock(); os.write(out, (json.dumps(row) + "\\n").encode()); floor.append(clock() - t)
for row in rows_of_ten(400):
    time.sleep(0.001)
    t = clock(); run.log(row); cold.append(clock() - t)
    time.sleep(0.001)
    t = clock(); os.write(out, (json.dumps(row) + "\\n").encode()); cold_floor.append(clock() - t)
run.finish()
print(json.dumps([p50(x) for x in (hot, floor, cold, cold_floor)]))
"""

WANDB = """
import json, time
import wandb
from benchmarks.rows import rows_of_ten, p50
run = wandb.init(project="bench", mode="offline")
clock = time.perf_counter_ns
hot, cold = [], []
for row in rows_of_ten(4000):
    t = clock(); run.log(row); hot.append(clock() - t)
for row in rows_of_ten(400):
    time.sleep(0.001)
    t = clock(); run.log(row); cold.append(clock() - t)
run.finish()
print(json.dumps([p50(hot), p50(cold)]))
"""


def measure() -> Report:
    """Run all processes in turns and compare their medians."""
    ours, peers = [], []
    with private_home() as (folder, env):
        for _ in range(ROUNDS):
            ours.append(_run(OURS, folder, env, "online"))
            peers.append(_run(WANDB, folder, env))
    hot, floor, cold, cold_floor = (median(list(x)) for x in zip(*ours, strict=True))
    wandb_hot, wandb_cold = (median(list(x)) for x in zip(*peers, strict=True))
    what = "log() of 10 floats, p50"
    return Report(
        "log_call",
        [
            Result(what, "µs", hot, "json.dumps + write()", floor, Bar("<=", 1.0)),
            Result(what, "µs", hot, "wandb offline", wandb_hot, Bar("<=", 1 / 15)),
            Result(f"{what}, once a ms", "µs", cold, "json.dumps + write()", cold_floor),
            Result(f"{what}, once a ms", "µs", cold, "wandb offline", wandb_cold),
        ],
    )


def _run(code: str, folder: Path, env: dict[str, str], *arguments: str) -> list[float]:
    answer: list[float] = json.loads(run_python(code, folder, env, *arguments).splitlines()[-1])
    return answer


if __name__ == "__main__":
    main(measure())
