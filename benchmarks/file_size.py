"""Bytes a row of ten floats takes in the run file, beside wandb's `.wandb` file and JSON lines."""

from __future__ import annotations

from pathlib import Path

from benchmarks.home import private_home, run_python
from benchmarks.report import Report, Result, limit, main

ROWS = 20_000

LOG = """
import json, sys
from benchmarks.rows import rows_of_ten
rows = rows_of_ten(int(sys.argv[2]))
if sys.argv[1] == "json":
    with open("rows.jsonl", "w") as out:
        out.writelines(json.dumps(row) + "\\n" for row in rows)
else:
    run = __import__(sys.argv[1]).init(project="bench", mode="offline")
    for row in rows:
        run.log(row)
    run.finish()
"""


def measure() -> Report:
    """Log the same kind of rows three times and weigh the files; random floats, which no text shortens."""
    with private_home() as (folder, env):
        for tracker in ("kiseki", "wandb", "json"):
            run_python(LOG, folder, env, tracker, str(ROWS))
        ours = _bytes(folder, "kiseki/run-*/*.kiseki")
        wandb = _bytes(folder, "wandb/offline-run-*/*.wandb")
        lines = _bytes(folder, "rows.jsonl")
    what = "bytes per row of 10 floats"
    return Report(
        "file_size",
        [
            limit(what, "B", ours, 115),
            Result(what, "B", ours, "wandb's .wandb file", wandb),
            Result(what, "B", ours, "JSON lines", lines),
        ],
    )


def _bytes(folder: Path, pattern: str) -> float:
    return sum(path.stat().st_size for path in folder.glob(pattern)) / ROWS


if __name__ == "__main__":
    main(measure())
