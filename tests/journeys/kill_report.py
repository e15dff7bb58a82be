"""The dated report of a long kill loop: docs/reports/kill-YYYY-MM-DD.md, one section for each victim."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from pathlib import Path

from tests.journeys.account import Tally
from tests.journeys.world import ROOT

REPORTS = ROOT / "docs" / "reports"


def write_report(tally: Tally, folder: Path = REPORTS) -> Path:
    """Write the section of `tally` into today's report, instead of an earlier one of the same victim."""
    path = folder / f"kill-{datetime.date.today().isoformat()}.md"
    folder.mkdir(parents=True, exist_ok=True)
    parts = path.read_text().split("\n## ") if path.exists() else [_head()]
    kept = [part for part in parts if not part.startswith(f"{tally.name}\n")]
    path.write_text("\n## ".join([*kept, _section(tally)]))
    return path


def _head() -> str:
    system = f"{platform.system()} {platform.release()}"
    return (
        f"# Random kills, {datetime.date.today().isoformat()}\n\n"
        "`./dev test-long` kills real processes with SIGKILL at random moments, aimed also at start, fork,\n"
        "finish and sealing. After each kill the training's own ledger (rows whose `log()` had returned) is\n"
        "compared with the run's files, and the files with what the server serves once it has caught up.\n\n"
        f"{system}, {os.cpu_count()} cores, Python {platform.python_version()}.\n"
    )


def _section(tally: Tally) -> str:
    aims = ", ".join(f"{aim} {count}" for aim, count in sorted(tally.aims.items()))
    lines = [
        f"{tally.name}\n",
        "| kills | rows | lost | double | out of order | other faults | seed | commit |",
        "|---|---|---|---|---|---|---|---|",
        f"| {tally.kills} | {tally.rows:,} | {tally.lost} | {tally.doubled} | {tally.disordered} "
        f"| {len(tally.faults)} | {tally.seed} | {_commit()} |\n",
        f"Aimed at: {aims}.\n",
    ]
    return "\n".join([*lines, *(f"- {fault}" for fault in tally.faults), *([""] if tally.faults else [])])


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
