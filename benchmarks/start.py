"""What a training waits for at its start: the import, and `init()` until the first `log()` has returned."""

from __future__ import annotations

import json

from benchmarks.home import private_home, run_python
from benchmarks.report import Bar, Report, Result, main

ROUNDS = 9

IMPORT = """
import sys, time
t = time.perf_counter()
__import__(sys.argv[1])
print(time.perf_counter() - t)
"""

FIRST_LOG = """
import sys, time, json
tracker = __import__(sys.argv[1])
t = time.perf_counter()
run = tracker.init(project="bench", mode=sys.argv[2], config={"lr": 0.1})
run.log({"loss": 1.0})
t = time.perf_counter() - t
run.finish()
print(); print(json.dumps(t))
"""


def measure() -> Report:
    """Fresh processes in turns, the fastest of each: a busy machine only ever adds.

    A first one of each warms the file cache and the bytecode.
    """
    figures: dict[str, list[float]] = {}
    with private_home() as (folder, env):
        for turn in range(ROUNDS + 1):
            for name, code, arguments in (
                ("import kiseki", IMPORT, ["kiseki"]),
                ("import wandb", IMPORT, ["wandb"]),
                ("kiseki", FIRST_LOG, ["kiseki", "online"]),
                ("kiseki offline", FIRST_LOG, ["kiseki", "offline"]),
                ("wandb", FIRST_LOG, ["wandb", "offline"]),
            ):
                seconds = json.loads(run_python(code, folder, env, *arguments).splitlines()[-1])
                if turn:
                    figures.setdefault(name, []).append(seconds * 1000)
    ms = {name: min(values) for name, values in figures.items()}
    first = "init() to first log() returned"
    return Report(
        "start",
        [
            Result("import kiseki", "ms", ms["import kiseki"], "import wandb", ms["import wandb"],
                   Bar("<=", 1 / 5)),
            Result(first, "ms", ms["kiseki"], "wandb offline", ms["wandb"], Bar("<=", 1 / 20)),
            Result(f"{first}, offline", "ms", ms["kiseki offline"], "wandb offline", ms["wandb"],
                   Bar("<=", 1 / 20)),
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main(measure())
