"""The page of projects: empty, waiting for the first run, and full."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from tests.journeys.world import Home
from tests.web.conftest import OpenPage
from tests.web.stage import Stage, await_drawn

pytestmark = pytest.mark.browser


def test_the_lines_of_the_empty_page_make_a_run_and_the_page_opens_it(
    home: Home, open_page: OpenPage
) -> None:
    server = home.server()
    page = open_page(server, permissions=["clipboard-read", "clipboard-write"])
    expect(page.get_by_text("No runs yet")).to_be_visible()
    expect(page.get_by_text("Waiting for the first run")).to_be_visible()
    lines = page.locator("pre").inner_text()
    assert len(lines.splitlines()) == 5
    assert server.url in lines
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == lines
    home.python(lines)
    page.wait_for_url(re.compile(r"/first-steps/runs/\w+\?tab=charts"))
    await_drawn(page, "loss", 199)


def test_projects_are_listed_with_runs_and_last_activity(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server)
    row = page.get_by_role("row").filter(has_text="pedestrians")
    expect(row.get_by_role("cell").nth(0)).to_have_text("12")
    expect(row.get_by_role("cell").nth(2)).to_have_text(re.compile("now|min|m ago"))
    row.get_by_role("link").click()
    page.wait_for_url("**/pedestrians")
    page.go_back()
    expect(row).to_be_visible()


def test_an_address_without_a_page_says_so(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, "/nobody/nothing")
    expect(page.get_by_text("There is no project nobody/nothing here")).to_be_visible()
    page = open_page(twelve.server, f"{twelve.project}/runs/none")
    expect(page.get_by_text("There is no run none here")).to_be_visible()
    expect(page.get_by_text("It appears once its data reach this server")).to_be_visible()
    page = open_page(twelve.server, "/a/b/c/d/e")
    expect(page.get_by_text("There is no page at this address")).to_be_visible()
    page.get_by_role("link", name="All projects").click()
    expect(page.get_by_role("heading", name="Projects")).to_be_visible()
