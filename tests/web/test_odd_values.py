"""Keys and values at the edges of what can be logged, shown without harm."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from tests.journeys.world import Home
from tests.web.conftest import OpenPage
from tests.web.stage import await_drawn, panel, project_path

pytestmark = pytest.mark.browser

_ODD = """
import kiseki, math
config = {"": 1, "a,b": 2, "<i>": "<img src=x onerror=alert(1)>", "e.m": {"😀": [1, None]}}
run = kiseki.init(
    project="pedestrians", id="a,b", name="<b>odd</b> & 日本", notes="<script>alert(1)</script>",
    config=config | {"long": "x" * 3000},
)
for i in range(30):
    row = {"huge": 1.7e308 * (-1) ** i, "tiny": 5e-324 * i, "flag": i % 2 == 0}
    run.log(row | {"big": 2**62 + i, "close": 2.0**60 + 300 * i})
    row = {"😀/🎉": i, "k" * 3000: i, "<b>": i, "a,b": i}
    run.log(row | {"all_nan": math.nan, "sometimes": None if i % 2 else i, "never": None})
run.finish()
"""


def test_odd_keys_and_values_are_shown_as_they_are(home: Home, open_page: OpenPage) -> None:
    server = home.server()
    home.python(_ODD)
    path = project_path(server)
    page = open_page(server, path, height=2400)
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    for metric in ("huge", "tiny", "<b>", "a,b", "big", "close", "flag", "sometimes", "😀/🎉"):
        await_drawn(page, metric)
    expect(panel(page, "all_nan").get_by_text("Only NaN or infinite values")).to_be_visible()
    expect(panel(page, "never")).to_have_count(0)
    expect(page.get_by_role("link", name="<b>odd</b> & 日本")).to_be_visible()
    page.get_by_role("button", name="Show <b>odd</b> & 日本 in the charts").click()
    expect(panel(page, "flag").get_by_text("No shown run has logged")).to_be_visible()
    page.reload()
    expect(panel(page, "flag").get_by_text("No shown run has logged")).to_be_visible()
    page.goto(f"{server.url}{path}/runs/a%2Cb")
    expect(page.get_by_role("heading", name="<b>odd</b> & 日本")).to_be_visible()
    config = page.locator("section").filter(has=page.get_by_role("heading", name="Config"))
    expect(config).to_contain_text("<img src=x onerror=alert(1)>")
    expect(config).to_contain_text("[1, None]")
    expect(config.get_by_text("x" * 2000)).to_have_count(0)
    config.get_by_role("button", name="show all 3,000 characters").click()
    expect(config.get_by_text("x" * 3000)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert dialogs == []


_SWEEP = """
import kiseki
for seed in (1, 2):
    run = kiseki.init(project="pedestrians", name=f"resnet50-imagenet-augmented-cosine-seed{seed}")
    run.log({"loss": seed})
    run.finish()
"""


def test_long_names_keep_the_end_that_tells_them_apart(home: Home, open_page: OpenPage) -> None:
    server = home.server()
    home.python(_SWEEP)
    page = open_page(server, project_path(server))
    for seed in (1, 2):
        name = f"resnet50-imagenet-augmented-cosine-seed{seed}"
        link = page.get_by_role("link", name=name, exact=True)
        expect(link).to_have_text(name)
        row, end = link.bounding_box(), link.get_by_text(f"e-seed{seed}").bounding_box()
        assert row is not None
        assert end is not None
        assert end["x"] + end["width"] <= row["x"] + row["width"] + 1
