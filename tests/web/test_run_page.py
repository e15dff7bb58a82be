"""A run's own page."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from tests.journeys.world import await_true
from tests.web.conftest import OpenPage
from tests.web.stage import Stage, await_drawn

pytestmark = pytest.mark.browser


def test_overview_shows_what_was_said_and_what_was_recorded(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, f"{twelve.project}/runs/run03")
    expect(page.get_by_role("heading", name="run-03")).to_be_visible()
    expect(page.get_by_text("finished").first).to_be_visible()
    expect(page.get_by_text("tweak baseline", exact=True)).to_be_visible()
    config = page.locator("section").filter(has=page.get_by_role("heading", name="Config"))
    expect(config.get_by_title("0.025", exact=True)).to_have_text("0.025")
    expect(config.get_by_title("123456789")).to_have_text("123456789")
    expect(config).to_contain_text("[0.9, 0.999]")
    config.get_by_role("button", name="optimizer").click()
    expect(config).not_to_contain_text("[0.9, 0.999]")
    config.get_by_label("Search in Config").fill("adam")
    expect(config.locator(".leaf")).to_have_text(["name"])
    summary = page.locator("section").filter(has=page.get_by_role("heading", name="Summary"))
    expect(summary).to_contain_text("NaN")
    expect(summary).to_contain_text("val/loss")
    recorded = page.locator("dl")
    expect(page.get_by_text("No code was recorded that it could bring back.")).to_be_visible()
    for word in ("host", "command", "Python", "user", "created", "ended", "runtime"):
        expect(recorded.get_by_text(word, exact=True)).to_be_visible()


def test_charts_of_one_run_are_the_same_charts(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, f"{twelve.project}/runs/run11")
    page.get_by_role("tab", name="Charts").click()
    await_drawn(page, "train/loss", 199)
    expect(page).to_have_url(re.compile("tab=charts"))
    assert page.locator('[data-metric="phase"]').count() == 0
    page.get_by_role("tab", name="Charts").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name="Overview")).to_be_focused()
    expect(page.get_by_role("heading", name="Config")).to_be_visible()


def test_a_failed_run_says_so_with_its_exit_code(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, f"{twelve.project}/runs/run05")
    recorded = page.locator("dl").first
    expect(recorded).to_contain_text("failed")
    await_true(lambda: "exit code" in recorded.inner_text(), what="the exit code")
    expect(page.get_by_text("exit code").locator("xpath=following-sibling::dd[1]")).to_have_text("1")
