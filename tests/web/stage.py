"""The runs that the web app's journeys look at, logged by the real library, and words for what they see."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Locator, Page, Playwright
from tests.journeys.browser import CHROMIUM
from tests.journeys.world import ROOT, Home, Server, await_true

LANGUAGE = "en-US"
AXE = ROOT / "web/node_modules/axe-core/axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PROJECT = "pedestrians"
_FLAGS = (
    "--no-sandbox", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip

_TWELVE = """
import json, math, kiseki
ids = []
for i in range(12):
    run = kiseki.init(
        project="pedestrians", id=f"run{i:02}", name=f"run-{i:02}",
        notes="tweak baseline" if i == 3 else None, tags=["baseline", "paper1"] if i % 4 == 0 else [],
        config={"lr": 0.1 / (i + 1), "arch": "CNN" if i % 2 else "MLP", "infra": "AWS",
                "optimizer": {"name": "adam", "betas": [0.9, 0.999]}, "seed": 123456789},
    )
    for step in range(2000 if i == 0 else 200):
        row = {"train/loss": (i + 1) * math.exp(-step / 60), "const": 3.5}
        row["train/acc"] = 1 - math.exp(-step / (40 + i))
        if step % 20 == 0:
            row["val/loss"] = (i + 1.5) * math.exp(-step / 60)
        if i == 11:
            row["odd/gap"] = math.nan if 50 <= step < 100 else math.inf if step == 150 else float(step)
            row["phase"] = "warm"
            if step == 7:
                row["odd/single"] = 1.25
        run.log(row)
    run.summary["best"] = {"epoch": i, "none": math.nan}
    ids.append(run.id)
    run.finish(exit_code=1 if i == 5 else 0)
print(json.dumps(ids))
"""

_LIVE = """
import sys, time, kiseki
run = kiseki.init(project="pedestrians", id="live", name="live-run", config={"lr": 1.0})
print("started", flush=True)
for step, line in enumerate(sys.stdin):
    run.log({"train/loss": 1 / (step + 1), **({line.strip(): float(step)} if line.strip() else {})})
    print(step, flush=True)
run.finish()
"""


@dataclass
class Stage:
    """A server, the home whose runs it shows, and the ids of these runs."""

    home: Home
    server: Server
    runs: list[str]

    @property
    def project(self) -> str:
        """The path of the project's page."""
        return project_path(self.server)


def launch(playwright: Playwright) -> Browser:
    """Debian's Chromium."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))


def log_twelve_runs(home: Home) -> list[str]:
    """Log twelve runs to the home's running server; their ids, oldest first."""
    ids: list[str] = json.loads(home.python(_TWELVE).stdout.splitlines()[-1])
    server = home.servers[-1]
    await_true(
        lambda: sum(run["state"] in ("finished", "failed") for run in server.runs()) == len(ids),
        what="twelve ended runs on the server",
    )
    return ids


class LiveTraining:
    """A run that logs one row for each line that the test sends it."""

    def __init__(self, home: Home) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LIVE], cwd=home.work, env=home.env, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._answer()

    def log(self, rows: int = 1, extra: str = "") -> None:
        """Log this many rows, each also with the metric `extra`, and return when `log()` has."""
        assert self._process.stdin is not None
        for _ in range(rows):
            self._process.stdin.write(extra + "\n")
            self._answer()

    def finish(self) -> None:
        """Let it finish."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(timeout=60) == 0

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()

    def _answer(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), "the training ended early"


def axe_complaints(page: Page) -> list[str]:
    """What axe finds wrong on the page by WCAG 2.2 AA; skips the test where it is not installed."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci in web/")
    page.evaluate(AXE.read_text() + "; 0")
    found = page.evaluate("rules => axe.run({ runOnly: rules })", _RULES)
    return [
        f"{each['id']}: {node['html'][:120]} {node['any'][0]['message'] if node['any'] else ''}"
        for each in found["violations"]
        for node in each["nodes"][:3]
    ]


def project_path(server: Server) -> str:
    """The path of the project's page, once it is there."""
    entity = await_true(lambda: [run["entity"] for run in server.runs()], what="a run on the server")[0]
    return f"/{entity}/{PROJECT}"


def panel(page: Page, metric: str) -> Locator:
    """The chart of a metric."""
    return page.locator(f'[data-metric="{metric}"]')


def drawn_to(page: Page, metric: str) -> float:
    """The largest x that a chart has drawn, -1 before the first point."""
    found = panel(page, metric)
    if found.count() == 0:
        return -1
    value = found.first.get_attribute("data-last-x")
    return -1 if value is None else float(value)


def await_drawn(page: Page, metric: str, x: float = 0) -> None:
    """Wait until a chart has drawn a point at `x` or beyond."""
    await_true(lambda: drawn_to(page, metric) >= x, what=f"{metric} to be drawn to {x}")


def names(page: Page) -> list[str]:
    """The names of the runs that the list shows, from the top."""
    rows = page.get_by_role("grid").locator("[role=row]:has(a)")
    texts: list[list[str]] = rows.evaluate_all(
        "rows => rows.map(row => [row.getAttribute('aria-rowindex'), row.querySelector('a').textContent])"
    )
    return [name for _, name in sorted((int(index), name) for index, name in texts)]


def point_in(page: Page, metric: str, x: float, y: float = 0.5) -> tuple[float, float]:
    """Where on the screen a place of a chart's plot area is, given as shares of its width and height."""
    box = panel(page, metric).locator(".u-over").bounding_box()
    assert box is not None
    return box["x"] + x * box["width"], box["y"] + y * box["height"]
