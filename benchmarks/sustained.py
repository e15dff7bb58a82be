"""Rows a second in one breath, ten keys, offline, `init()` and `finish()` included, beside JSON lines."""

from __future__ import annotations

import json

from benchmarks.home import private_home, run_python
from benchmarks.report import Bar, Report, Result, main

ROWS = 100_000
ROUNDS = 5

LOG = """
import json, sys, time
from benchmarks.rows import rows_of_ten
count = int(sys.argv[2])
rows = rows_of_ten(count)
tracker = None if sys.argv[1] == "json" else __import__(sys.argv[1])
t = time.perf_counter()
if tracker is None:
    with open("rows.jsonl", "w") as out:
        for row in rows:
            out.write(json.dumps(row) + "\\n")
else:
    run = tracker.init(project="bench", mode="offline")
    for row in rows:
        run.log(row)
    run.finish()
t = time.perf_counter() - t
print(); print(json.dumps(count / t))
"""


def measure() -> Report:
    """Ours and the floor in turns, the fastest of each; wandb once, with fewer rows, for orientation."""
    ours, lines = [], []
    with private_home() as (folder, env):
        for _ in range(ROUNDS):
            ours.append(json.loads(run_python(LOG, folder, env, "kiseki", str(ROWS)).splitlines()[-1]))
            lines.append(json.loads(run_python(LOG, folder, env, "json", str(ROWS)).splitlines()[-1]))
        wandb = json.loads(run_python(LOG, folder, env, "wandb", str(ROWS // 5)).splitlines()[-1])
    what = "sustained rows, 10 keys, offline"
    note = "JSON lines are written through a buffered file and closed: a kill loses what is in the buffer"
    return Report(
        "sustained",
        [
            Result(what, "rows/s", max(ours), "JSON lines", max(lines), Bar(">=", 1.5), note),
            Result(what, "rows/s", max(ours), "wandb offline", wandb),
        ],
    )


if __name__ == "__main__":
    main(measure())
