"""The Settings page: what runs record by themselves, on the server and in one project; keys; this browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.journeys.world import Home
from tests.web.conftest import OpenPage
from tests.web.stage import Stage

pytestmark = pytest.mark.browser


def _row(page: Page, name: str) -> Locator:
    return page.locator(f'[data-setting="{name}"]')


def test_a_project_inherits_what_its_server_says_and_may_say_otherwise(
    home: Home, open_page: OpenPage
) -> None:
    server = home.server()
    page = open_page(server, "/settings")
    expect(page.get_by_role("heading", name="Settings of this server")).to_be_visible()
    console = _row(page, "console")
    expect(console).to_contain_text("Record what a run prints")
    expect(console.get_by_role("radio", name="On")).to_be_checked()
    console.get_by_text("Off", exact=True).click()
    expect(console.get_by_role("status")).to_have_text("Saved")

    page.goto(f"{server.url}/me/detector?view=settings")
    expect(page.get_by_role("heading", name="Settings of detector")).to_be_visible()
    console = _row(page, "console")
    expect(console.get_by_label("From the server: Off")).to_be_checked()
    expect(_row(page, "git").get_by_label("Default (On)")).to_be_checked()
    console.get_by_label("From the server: Off").focus()
    page.keyboard.press("ArrowRight")
    expect(console.get_by_role("radio", name="On", exact=True)).to_be_checked()
    expect(console.get_by_role("status")).to_have_text("Saved")
    page.reload()
    expect(_row(page, "console").get_by_role("radio", name="On", exact=True)).to_be_checked()
    _row(page, "git").get_by_text("Off", exact=True).click()
    expect(_row(page, "diff")).to_contain_text("Nothing is kept while Git is off.")


def test_an_interval_out_of_range_is_refused_in_words(home: Home, open_page: OpenPage) -> None:
    server = home.server()
    page = open_page(server, "/me/detector?view=settings")
    row = _row(page, "system_interval")
    expect(row.get_by_label("Default (10 s)")).to_be_checked()
    row.get_by_text("Every", exact=True).click()
    field = row.get_by_label("Seconds between two measurements")
    expect(field).to_have_value("10")
    field.fill("0.2")
    page.keyboard.press("Enter")
    expect(row.get_by_role("alert")).to_contain_text("1 to 3,600 seconds")
    expect(field).to_have_value("0.2")
    field.fill("30")
    page.keyboard.press("Enter")
    expect(row.get_by_role("status")).to_have_text("Saved")
    expect(row.get_by_role("alert")).to_be_empty()
    page.reload()
    expect(field).to_have_value("30")
    row.get_by_text("Off", exact=True).click()
    expect(field).to_have_count(0)


def test_a_change_that_does_not_reach_the_server_says_so_and_is_not_shown(
    home: Home, open_page: OpenPage
) -> None:
    server = home.server()
    page = open_page(server, "/settings")
    row = _row(page, "save_code")
    expect(row.get_by_role("radio", name="On")).to_be_checked()
    server.kill()
    row.get_by_text("Off", exact=True).click()
    expect(row.get_by_role("alert")).to_contain_text("not reachable")
    expect(row.get_by_role("radio", name="On")).to_be_checked()
    server.start()
    expect(row.get_by_role("alert")).to_be_empty()


def test_a_key_is_made_shown_once_and_revoked(home: Home, open_page: OpenPage) -> None:
    page = open_page(home.server(), "/settings")
    keys = page.locator("section").filter(has=page.get_by_role("heading", name="API keys"))
    expect(keys).to_contain_text("No keys yet")
    keys.get_by_label("What the key is for").fill("cluster")
    keys.get_by_role("button", name="Create a key").click()
    expect(keys.locator(".created code")).to_have_text(re.compile("kk_[0-9a-f]{40}"))
    expect(keys.get_by_role("listitem")).to_contain_text("never used")
    page.reload()
    expect(keys.get_by_role("listitem")).to_contain_text("cluster")
    expect(keys).not_to_contain_text("kk_")
    keys.get_by_role("button", name="Revoke the key cluster").click()
    keys.get_by_role("button", name="Revoke for good").click()
    expect(keys).to_contain_text("1 revoked key")


def test_the_gear_leads_there_and_the_page_says_which_server_this_is(
    twelve: Stage, open_page: OpenPage
) -> None:
    page = open_page(twelve.server, f"{twelve.project}?filter=run-03")
    page.get_by_role("link", name="Settings").click()
    expect(page.get_by_role("heading", name="Settings of pedestrians")).to_be_visible()
    page.get_by_role("link", name="Workspace").click()
    expect(page).to_have_url(re.compile("filter=run-03"))
    page.get_by_role("link", name="kiseki").click()
    page.get_by_role("link", name="Settings").click()
    facts = page.locator("section").filter(has=page.get_by_role("heading", name="Server", exact=True))
    expect(facts).to_contain_text(twelve.server.url)
    expect(facts).to_contain_text("store.db")


def test_language_and_theme_are_chosen_there(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, "/settings")
    page.get_by_role("radio", name="Dark").check(force=True)
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.get_by_role("radio", name="日本語").check(force=True)
    expect(page.get_by_role("heading", name="このサーバーの設定")).to_be_visible()
    expect(_row(page, "console")).to_contain_text("コンソール")
