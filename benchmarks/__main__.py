"""Run all benchmarks, or those named, one process each, and write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys

from benchmarks.home import ROOT
from benchmarks.report import Report, from_output, markdown

SCRIPTS = {
    "log_call": "The caller's time in `log()`",
    "start": "Import, and `init()` to the first `log()` returned",
    "console": "Output that is recorded",
    "file_size": "Size of the run file",
    "sustained": "Sustained logging",
    "ingest": "Server ingest",
    "memory": "Memory",
    "system_sampling": "Sampling the machine every ten seconds",
    "files": "Files",
    "server_start": "Start of the server",
    "drawn": "From `log()` to the page",
    "kills": "Random kills",
}
PAGE = ROOT / "docs" / "benchmarks.md"


def main() -> int:
    """Returns 1 if a script failed or a bar was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SCRIPTS)}; none = all")
    names = parser.parse_args().names or list(SCRIPTS)
    unknown = [name for name in names if name not in SCRIPTS]
    if unknown:
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(SCRIPTS)}")
    reports = {name: report for name in names if (report := _run(name)) is not None}
    if len(names) == len(SCRIPTS):
        PAGE.write_text(_page(reports))
        print(f"wrote {PAGE.relative_to(ROOT)}")
    kept = all(result.met for report in reports.values() for result in report.results)
    return 0 if kept and len(reports) == len(names) else 1


def _run(name: str) -> Report | None:
    """The script's report, with its output shown as it comes; None where it gave none."""
    print(f"\n── {name}: {SCRIPTS[name]}", flush=True)
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, end="", flush=True)
    try:
        return from_output(done.stdout)
    except ValueError as error:
        print(f"{name} failed with {done.returncode}: {error}", file=sys.stderr, flush=True)
        return None


def _page(reports: dict[str, Report]) -> str:
    lines = [
        "# Benchmarks",
        "",
        "Written by `python -m benchmarks`. Floors and peers are measured in the same run; the ratio (ours",
        "to the other) is the bar, a time by itself is orientation.",
        "",
        f"{datetime.date.today().isoformat()}, commit {_commit()}; {_machine()}; "
        f"wandb {importlib.metadata.version('wandb')}.",
        "",
    ]
    for name, title in SCRIPTS.items():
        body = markdown(reports[name]) if name in reports else "It gave no figures in this run."
        lines += [f"## {title}", "", f"`benchmarks/{name}.py`", "", body, ""]
    return "\n".join(lines)


def _machine() -> str:
    model = platform.processor() or platform.machine()
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{model}, {os.cpu_count()} cores (load {load}), Python {platform.python_version()}"


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
