"""How fast a run's files get to a server on this machine: many small ones, and one large one."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.journeys.world import Home, homes

from benchmarks.report import Report, Result, limit, main
from kiseki.records.recorded_files import read_recorded

SMALL = 3000
SMALL_BYTES = 1000
LARGE_BYTES = 256 * 1024 * 1024
ROUNDS = 3
IDLE_FILES = 10_000
IDLE_S = 30.0

# Writes its files, then says how long `finish` took until the server had all of them.
TRAINING = """
import os, sys, time
import kiseki
run = kiseki.init(project="bench", settings=dict(save_code=False, disable_git=True, x_disable_stats=True))
run.log({"loss": 1.0})
for number in range(int(sys.argv[1])):
    with open(f"{run.dir}/{number}.bin", "wb") as file:
        for _ in range(max(1, int(sys.argv[2]) // 1_048_576)):
            file.write(os.urandom(min(int(sys.argv[2]), 1_048_576)))
t = time.perf_counter()
run.finish()
print("\\n%.6f" % (time.perf_counter() - t))
"""

# Leaves files alone until its input ends.
IDLE = """
import sys
import kiseki
run = kiseki.init(project="bench", settings=dict(save_code=False, disable_git=True, x_disable_stats=True))
for number in range(int(sys.argv[1])):
    open(f"{run.dir}/{number}", "w").close()
print("ready", flush=True)
sys.stdin.read()
"""


def measure() -> Report:
    """The wait in `finish`, beside hashing the same bytes and writing them whole to the same disk once."""
    with tempfile.TemporaryDirectory(prefix="kiseki-bench-") as folder:
        small, large = [], []
        with homes(Path(folder), "laptop", "cloud") as (laptop, cloud):
            laptop.uploads_to(cloud.server())
            laptop.env |= {"KISEKI_FINISH_TIMEOUT": "300", "KISEKI_SILENT": "true"}
            for _ in range(ROUNDS):
                small.append(_seconds_of_finish(laptop, SMALL, SMALL_BYTES))
                large.append(_seconds_of_finish(laptop, 1, LARGE_BYTES))
        floor_small = min(_floor(Path(folder), SMALL, SMALL_BYTES) for _ in range(ROUNDS))
        floor_large = min(_floor(Path(folder), 1, LARGE_BYTES) for _ in range(ROUNDS))
        with homes(Path(folder), "idle") as (idle,):
            share = _share_of_idle(idle)
    megabytes = LARGE_BYTES / 1e6
    return Report(
        "files",
        [
            Result(
                f"{SMALL:,} files of 1 kB until finish() returned", "files/s", SMALL / min(small),
                "SHA-256, write and fsync of each", SMALL / floor_small,
            ),
            Result(
                "one file of 268 MB until finish() returned", "MB/s", megabytes / min(large),
                "SHA-256, write and fsync of it", megabytes / floor_large,
            ),
            limit(f"sidecar with {IDLE_FILES:,} files at rest in run.dir", "% of a core", share, 1.0),
        ],
    )  # fmt: skip


def _seconds_of_finish(home: Home, files: int, size: int) -> float:
    code = TRAINING.replace("sys.argv[1]", f'"{files}"').replace("sys.argv[2]", f'"{size}"')
    return float(home.python(code).stdout.split()[-1])


def _floor(folder: Path, files: int, size: int) -> float:
    data = os.urandom(min(size, 1_048_576)) * max(1, size // 1_048_576)
    start = time.perf_counter()
    for number in range(files):
        hashlib.sha256(data).digest()
        with open(folder / f"floor-{number}", "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    return time.perf_counter() - start


def _share_of_idle(home: Home) -> float:
    """Processor time of the sidecar in percent, once it has recorded all files."""
    process = subprocess.Popen(
        [sys.executable, "-c", IDLE, str(IDLE_FILES)], cwd=home.work, env=home.env, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout is not None and process.stdin is not None
        while process.stdout.readline() != "ready\n":
            if process.poll() is not None:
                raise RuntimeError(f"the training ended with {process.returncode}")
        (folder,) = home.run_folders()
        while len(read_recorded(folder)) < IDLE_FILES:
            time.sleep(1)
        (sidecar,) = home.sidecars()
        before = _processor_seconds(sidecar)
        time.sleep(IDLE_S)
        return 100 * (_processor_seconds(sidecar) - before) / IDLE_S
    finally:
        process.kill()
        process.wait()


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main(measure())
