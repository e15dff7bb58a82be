"""Output while a run records it: a line that Python prints, and what a child writes, beside wandb."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.home import private_home, run_python
from benchmarks.report import Bar, Report, Result, main, median

ROUNDS = 3

# The output goes into a pipe that the benchmark reads, as that of a job does; the figure to a file.
LINES = """
import json, sys, time
tracker, mode, lines, answer = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
if tracker != "bare":
    run = __import__(tracker).init(project="bench", mode="offline", settings={"console": mode})
clock, text = time.perf_counter, "epoch 12 step 345 loss 0.12345 accuracy 0.98765 eta 1:23:45"
for _ in range(lines // 10):
    print(text)
t = clock()
for _ in range(lines):
    print(text)
t = clock() - t
open(answer, "w").write(json.dumps(t / lines * 1e6))
if tracker != "bare":
    run.finish()
"""

# A child that writes lines as fast as it can, in pieces of 8 kB as stdio does.
CHILD = """
import json, subprocess, sys, time
tracker, mode, size, answer = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
if tracker != "bare":
    run = __import__(tracker).init(project="bench", mode="offline", settings={"console": mode})
write = "import os\\nfor _ in range(%d): os.write(1, (b'x' * 63 + b'\\\\n') * 128)" % (size // 8192)
subprocess.run([sys.executable, "-c", "pass"])
t = time.perf_counter()
subprocess.run([sys.executable, "-c", write], check=True)
if tracker != "bare":
    run.finish()
t = time.perf_counter() - t
open(answer, "w").write(json.dumps(size / t / 1e6))
"""

LINE_COUNT = 5_000
CHILD_BYTES = 16 * 1024 * 1024


def measure() -> Report:
    """All processes in turns; medians."""
    figures: dict[str, list[float]] = {}
    with private_home() as (folder, env):
        for _ in range(ROUNDS):
            for name, code, tracker, mode, amount in (
                ("bare", LINES, "bare", "", LINE_COUNT),
                ("off", LINES, "kiseki", "off", LINE_COUNT),
                ("ours", LINES, "kiseki", "auto", LINE_COUNT),
                ("wandb", LINES, "wandb", "auto", LINE_COUNT),
                ("bare child", CHILD, "bare", "", CHILD_BYTES),
                ("our child", CHILD, "kiseki", "auto", CHILD_BYTES),
                ("wandb child", CHILD, "wandb", "redirect", CHILD_BYTES),
            ):
                answer = folder / "answer"
                run_python(code, folder, env, tracker, mode, str(amount), str(answer))
                figures.setdefault(name, []).append(json.loads(Path(answer).read_text()))
    found = {name: median(values) for name, values in figures.items()}
    line, child = "a printed line, into a pipe", "a child's output, until it is recorded"
    return Report(
        "console",
        [
            Result(line, "µs", found["ours"], "wandb offline", found["wandb"], Bar("<=", 1 / 3)),
            Result(line, "µs", found["ours"], "nothing recorded", found["bare"]),
            Result(f"{line}: with console=off", "µs", found["off"], "nothing recorded", found["bare"]),
            Result(child, "MB/s", found["our child"], "wandb redirect", found["wandb child"], Bar(">=", 1.0)),
            Result(child, "MB/s", found["our child"], "nothing recorded", found["bare child"]),
        ],
    )


if __name__ == "__main__":
    main(measure())
