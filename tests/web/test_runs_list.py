"""The list of runs beside the charts and the wide table: filter, sort, eyes, keyboard, address."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from tests.journeys.world import await_true
from tests.web.conftest import OpenPage
from tests.web.stage import Stage, await_drawn, names, panel

pytestmark = pytest.mark.browser
ALL = [f"run-{i:02}" for i in range(12)]


def test_newest_first_with_states_and_values(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, f"{twelve.project}?view=runs")
    expect(page.get_by_text("12 runs")).to_be_visible()
    assert names(page) == ALL[::-1]
    failed = page.get_by_role("row").filter(has_text="run-05")
    expect(failed).to_contain_text("failed")
    expect(page.get_by_role("row").filter(has_text="run-03")).to_contain_text("tweak baseline")
    expect(page.get_by_role("row").filter(has_text="run-04")).to_contain_text("paper1")
    lr = page.get_by_role("row").filter(has_text="run-02").get_by_title("0.03333333333333333", exact=True)
    expect(lr).to_have_text("0.03333")


def test_any_column_sorts_and_the_address_keeps_the_order(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, f"{twelve.project}?view=runs")
    page.get_by_role("columnheader", name="lr", exact=True).get_by_role("button").click()
    await_true(lambda: names(page) == ALL, what="largest lr first")
    page.get_by_role("columnheader", name="lr", exact=True).get_by_role("button").click()
    await_true(lambda: names(page) == ALL[::-1], what="smallest lr first")
    assert "sort=config.lr" in page.url
    page.get_by_role("columnheader", name="name").get_by_role("button", name="name").click()
    await_true(lambda: names(page) == ALL, what="by name")
    page.reload()
    await_true(lambda: names(page) == ALL, what="by name after a reload")
    assert page.get_by_role("columnheader", name="name").get_attribute("aria-sort") == "ascending"


def test_the_filter_narrows_list_and_charts(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, twelve.project)
    await_drawn(page, "train/loss")
    page.get_by_label("Filter runs").fill("paper1")
    await_true(lambda: names(page) == ["run-08", "run-04", "run-00"], what="the runs with the tag")
    await_true(
        lambda: (
            sorted(panel(page, "train/loss").locator(".labels span").all_inner_texts())
            == ["run-00", "run-04", "run-08"]
        ),
        what="the names at the ends of three lines",
    )
    assert "filter=paper1" in page.url
    page.get_by_label("Filter runs").fill("no such run")
    expect(page.get_by_text("No run matches “no such run”")).to_be_visible()
    page.get_by_role("button", name="Clear").first.click()
    await_true(lambda: names(page) == ALL[::-1], what="all runs again")


def test_eyes_hide_lines_and_are_kept_in_the_address(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, f"{twelve.project}?filter=paper1")
    labels = panel(page, "train/loss").locator(".labels span")
    expect(labels).to_have_count(3)
    page.get_by_role("button", name="Show run-04 in the charts").click()
    expect(labels).to_have_count(2)
    assert "hidden=run04" in page.url
    page.reload()
    expect(labels).to_have_count(2)
    page.get_by_role("button", name="Show run-08 in the charts").click(modifiers=["Alt"])
    expect(labels).to_have_count(1)
    assert "only=run08" in page.url
    page.get_by_role("button", name="Show all in the charts").click()
    expect(labels).to_have_count(3)
    page.get_by_role("button", name="Hide all in the charts").click()
    expect(panel(page, "train/loss").get_by_text("No shown run has logged this metric.")).to_be_visible()


def test_keys_move_toggle_and_open(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, twelve.project)
    await_drawn(page, "train/loss")
    page.get_by_role("grid").focus()
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("j")
    page.keyboard.press("k")
    chosen = page.locator("[role=row][aria-selected=true]")
    expect(chosen).to_contain_text("run-10")
    page.keyboard.press("x")
    expect(page).to_have_url(re.compile("hidden=run10"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/run10")
    expect(page.get_by_role("heading", name="run-10")).to_be_visible()


def test_back_restores_the_scroll_of_list_and_charts(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, twelve.project, height=320)
    await_drawn(page, "train/loss")
    page.locator("[data-scroller]").evaluate("element => element.scrollTo(0, 333)")
    page.get_by_role("grid").evaluate("element => element.scrollTo(0, 90)")
    page.locator(".row a").nth(5).click()
    page.wait_for_url("**/runs/*")
    page.go_back()
    await_true(
        lambda: page.locator("[data-scroller]").evaluate("element => element.scrollTop") == 333,
        what="the charts where they were",
    )
    await_true(
        lambda: page.get_by_role("grid").evaluate("element => element.scrollTop") == 90,
        what="the list where it was",
    )


def test_the_list_is_resized_by_pointer_and_by_key(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, twelve.project)
    handle = page.get_by_role("separator")
    before = int(handle.get_attribute("aria-valuenow") or 0)
    handle.focus()
    page.keyboard.press("ArrowRight")
    expect(handle).to_have_attribute("aria-valuenow", str(before + 16))
    box = handle.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 3, 400)
    page.mouse.down()
    page.mouse.move(2000, 400)
    page.mouse.up()
    expect(handle).to_have_attribute("aria-valuenow", "700")
    page.reload()
    expect(handle).to_have_attribute("aria-valuenow", "700")
