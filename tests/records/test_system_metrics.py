"""The table of system metrics: the page and the code say the same, and names are wandb's."""

from __future__ import annotations

import re
from pathlib import Path

from kiseki.records.system_metrics import METRICS, Metric, describe

_PAGE = Path(__file__).parents[2] / "docs/system-metrics.md"


def test_the_page_lists_every_metric_as_the_code_does() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (.*?) ?\| (.*?) \| (.*?) \|$", _PAGE.read_text(), re.MULTILINE)
    assert [Metric(*row) for row in rows] == list(METRICS)


def test_a_key_of_any_host_is_described() -> None:
    filled = describe("system.disk./data/my runs.usageGB")
    assert filled is not None
    assert (filled.unit, filled.title) == ("GB", "Disk used at /data/my runs")
    assert describe("system.cpu.12.cpu_percent") == Metric(
        "system.cpu.12.cpu_percent", "%", "Processor 12", "cpu"
    )
    assert describe("system.gpu.process.0.temp") is not None
    assert describe("loss") is None
    assert describe("system.gpu.x.temp") is None
    assert all(describe(metric.key.replace("<N>", "0")) is not None for metric in METRICS[:10])
