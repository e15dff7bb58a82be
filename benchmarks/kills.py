"""Random `kill -9` of training, sidecar, server and all of them: rows lost, double and out of order."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.journeys.kill_loops import LOOPS, seed_of_today

from benchmarks.report import Report, limit, main

KILLS = 10


def measure() -> Report:
    """Ten kills of each; `./dev test-long` makes two hundred and writes docs/reports/kill-DATE.md."""
    seed, results = seed_of_today(), []
    for what, loop in LOOPS.items():
        with tempfile.TemporaryDirectory(prefix="kiseki-kill-") as folder:
            tally = loop(Path(folder), KILLS, seed)
        wrong = tally.lost + tally.doubled + tally.disordered + len(tally.faults)
        note = f"{tally.lost} lost, {tally.doubled} double, {tally.disordered} out of order of {tally.rows:,}"
        note += "".join(f"; {fault}" for fault in tally.faults)
        results.append(limit(f"{tally.kills} kills of: {what}", "rows wrong", wrong, 0, note))
    return Report("kills", results)


if __name__ == "__main__":
    main(measure())
