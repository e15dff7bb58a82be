"""How long a logged value takes until it is drawn on the page: real training, server and Chromium."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page
from tests.journeys.browser import enter, open_page
from tests.journeys.world import Home, Server, homes

from benchmarks.report import Report, limit, main, median

VALUES = 40

# Logs a value whenever it is told to, and says when `log()` was called.
TRAINING = """
import sys, time
import kiseki
run = kiseki.init(project="bench", id="drawn")
run.log({"loss": 1.0}); run.log({"loss": 0.9})
print("ready", flush=True)
for line in sys.stdin:
    t = time.time()
    run.log({"loss": 1 / (2 + int(line))})
    print(t, flush=True)
run.finish()
"""

# Resolves with the page's clock once the panel says that it has drawn x.
DRAWN = """
(x) => new Promise((resolve) => {
  const look = () => {
    const panel = document.querySelector('[data-metric="loss"]');
    if (panel && Number(panel.dataset.lastX) >= x) resolve(Date.now());
    else requestAnimationFrame(look);
  };
  look();
})
"""


def measure() -> Report:
    """The same page over a run followed in place and over one whose sidecar sends it."""
    with (
        tempfile.TemporaryDirectory(prefix="kiseki-bench-") as folder,
        homes(Path(folder), "a", "b") as (
            laptop,
            cloud,
        ),
    ):
        local = _delays_ms(laptop, laptop.server())
        far = cloud.server()
        laptop.uploads_to(far)
        sent = _delays_ms(laptop, far)
    what = "log() → drawn on the page, p50"
    return Report(
        "drawn",
        [
            limit(f"{what}, own `kiseki up`", "ms", median(local), 1000, f"slowest {max(local):.0f} ms"),
            limit(f"{what}, sent to a server", "ms", median(sent), 1000, f"slowest {max(sent):.0f} ms"),
        ],
    )


def _delays_ms(home: Home, server: Server) -> list[float]:
    """Milliseconds from before `log()` until the page says that the chart shows the value."""
    with open_page() as page:
        process = subprocess.Popen(
            [sys.executable, "-c", TRAINING], cwd=home.work, env=home.env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            return _watch(page, server, process)
        finally:
            process.communicate()


def _watch(page: Page, server: Server, process: subprocess.Popen[str]) -> list[float]:
    assert process.stdin is not None
    assert process.stdout is not None
    while process.stdout.readline().strip() != "ready":
        if process.poll() is not None:
            raise RuntimeError(f"the training ended with {process.returncode}")
    while (run := server.run("drawn")) is None:
        time.sleep(0.05)
    enter(page, server.url, server.key)
    page.goto(f"{server.url}/{run['entity']}/bench")
    page.evaluate(DRAWN, 1)
    delays = []
    for n in range(VALUES):
        time.sleep(random.uniform(0.1, 0.7))
        process.stdin.write(f"{n}\n")
        process.stdin.flush()
        drawn_ms = page.evaluate(DRAWN, n + 2)
        while not (line := process.stdout.readline().strip()).replace(".", "").isdigit():
            pass
        delays.append(drawn_ms - float(line) * 1000)
    return delays


if __name__ == "__main__":
    main(measure())
