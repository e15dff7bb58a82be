"""What surrounds every page: sign-in, theme, language, narrow screens, the base path, the keyboard."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from tests.journeys.world import Home
from tests.web.conftest import OpenPage
from tests.web.stage import Stage, await_drawn, log_twelve_runs, panel

pytestmark = pytest.mark.browser


def test_without_a_session_the_page_asks_for_a_key(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, twelve.project, signed_in=False)
    field = page.get_by_label("API key")
    expect(field).to_be_focused()
    field.fill("kk_" + "0" * 40)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not known here")
    field.fill(twelve.server.key)
    page.keyboard.press("Enter")
    await_drawn(page, "train/loss")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    page.reload()
    expect(page.get_by_label("API key")).to_be_visible()


def test_the_theme_follows_the_system_until_it_is_chosen(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, color_scheme="dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Switch to light").click()
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark != light
    page.reload()
    expect(page.get_by_role("button", name="Switch to dark")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light


def test_the_language_is_switched_in_place_and_kept(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, twelve.project)
    await_drawn(page, "train/loss")
    page.get_by_role("button", name="日本語で表示").click()
    expect(page.get_by_label("実行を絞り込む")).to_be_visible()
    expect(page.get_by_text("実行 12 件")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "ja"
    page.reload()
    expect(page.get_by_label("実行を絞り込む")).to_be_visible()


def test_a_japanese_browser_gets_japanese(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, locale="ja-JP")
    expect(page.get_by_role("heading", name="プロジェクト")).to_be_visible()


def test_a_phone_has_a_bar_at_the_bottom_and_one_chart_a_row(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, twelve.project, width=390, height=844)
    await_drawn(page, "train/loss")
    first, second = (panel(page, key).bounding_box() for key in ("train/acc", "train/loss"))
    assert first is not None
    assert second is not None
    assert first["x"] == second["x"]
    assert first["width"] > 330
    bar = page.get_by_role("navigation", name="Go to")
    box = bar.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] == 844
    bar.get_by_role("link", name="Runs").click()
    expect(page.get_by_role("row").filter(has_text="run-11")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.get_by_role("link", name="run-11").click()
    expect(page.get_by_role("heading", name="Config")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_everything_works_below_a_base_path(home: Home, open_page: OpenPage) -> None:
    server = home.server("--base-path", "/lab/kiseki")
    entity = log_twelve_runs(home) and server.runs()[0]["entity"]
    base = "" if server.url.endswith("/lab/kiseki") else "/lab/kiseki"
    page = open_page(server, f"{base}/{entity}/pedestrians")
    await_drawn(page, "train/loss")
    page.get_by_role("link", name="run-11").click()
    expect(page).to_have_url(re.compile(r"/lab/kiseki/\w+/pedestrians/runs/run11$"))
    page.get_by_role("link", name="Projects").click()
    expect(page.get_by_role("heading", name="Projects")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Projects")).to_be_visible()


def test_every_control_of_the_workspace_is_reached_by_tab(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, twelve.project)
    await_drawn(page, "train/loss")
    seen: set[str] = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate(
                "(element => element.getAttribute('aria-label') || element.textContent.trim())"
                "(document.activeElement)"
            )
        )
    for name in (
        "Filter runs",
        "Runs",
        "Width of the list",
        "Search charts (regex)",
        "name",
        "Hide all in the charts",
    ):
        assert name in seen, (name, seen)
    assert any(name.startswith("Show as table") for name in seen)


def test_nothing_jumps_while_the_page_fills(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server)
    page.add_init_script(
        "window.shift = 0; new PerformanceObserver(list => { for (const entry of list.getEntries())"
        " window.shift += entry.value; }).observe({ type: 'layout-shift', buffered: true });"
    )
    page.goto(twelve.server.url + twelve.project)
    await_drawn(page, "train/loss")
    assert page.evaluate("window.shift") < 0.02


def test_the_first_chart_needs_little_javascript(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, twelve.project)
    await_drawn(page, "train/loss")
    size = page.evaluate(
        "performance.getEntriesByType('resource').filter(entry => entry.name.endsWith('.js'))"
        ".reduce((sum, entry) => sum + entry.encodedBodySize, 0)"
    )
    assert 0 < size <= 150_000
