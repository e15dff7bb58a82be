"""Charts: drawn honestly, hovered together, zoomed together, and asked for no more than is on the screen."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect
from tests.journeys.world import await_true
from tests.web.conftest import OpenPage
from tests.web.stage import Stage, await_drawn, panel, point_in

pytestmark = pytest.mark.browser


def series_requests(page: Page) -> list[dict[str, Any]]:
    """Collects the bodies of the page's questions for series from now on."""
    bodies: list[dict[str, Any]] = []

    def note(request: Request) -> None:
        if request.url.endswith("/api/v1/series"):
            bodies.append(json.loads(request.post_data or "{}"))

    page.on("request", note)
    return bodies


def test_one_question_for_all_visible_charts_and_none_for_the_others(
    twelve: Stage, open_page: OpenPage
) -> None:
    page = open_page(twelve.server, "/", height=420)
    asked = series_requests(page)
    page.goto(twelve.server.url + twelve.project)
    await_drawn(page, "train/loss")
    assert len(asked) == 1
    assert len(asked[0]["runs"]) == 12
    assert "train/loss" in asked[0]["keys"]
    assert "odd/single" not in asked[0]["keys"]
    page.locator("[data-scroller]").evaluate("element => element.scrollTo(0, element.scrollHeight)")
    await_drawn(page, "odd/single", 7)


def test_metrics_stand_in_sections_and_strings_make_no_chart(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, twelve.project)
    await_drawn(page, "train/loss")
    headings = page.locator("[data-scroller] h2")
    assert [text.split() for text in headings.all_inner_texts()] == [
        ["metrics", "1"], ["train", "2"], ["val", "1"], ["odd", "2"],
    ]  # fmt: skip
    assert page.locator('[data-metric="phase"]').count() == 0
    headings.nth(1).get_by_role("button").click()
    expect(panel(page, "train/loss")).to_have_count(0)
    page.reload()
    await_drawn(page, "const")
    expect(panel(page, "train/loss")).to_have_count(0)
    page.get_by_label("Search charts").fill("^val|const")
    expect(page.locator("[data-metric]")).to_have_count(2)


def test_hovering_shows_one_line_in_all_charts_and_the_values_beside_the_pointer(
    twelve: Stage, open_page: OpenPage
) -> None:
    page = open_page(twelve.server, f"{twelve.project}?only=run00,run11")
    await_drawn(page, "train/loss", 1999)
    x, y = point_in(page, "train/loss", 0.05, 0.5)
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y)
    box = panel(page, "train/loss").locator(".box")
    expect(box).to_be_visible()
    expect(box).to_contain_text("run-11")
    expect(box).to_contain_text(re.compile(r"step \d+"))
    for metric in ("train/acc", "val/loss"):
        assert panel(page, metric).locator(".u-cursor-x").bounding_box() is not None
    place = box.bounding_box()
    assert place is not None
    assert not (
        place["x"] <= x <= place["x"] + place["width"] and place["y"] <= y <= place["y"] + place["height"]
    )
    # Far out only the long run has values, each bucket the mean of several points.
    x, y = point_in(page, "train/loss", 0.7, 0.9)
    page.mouse.move(x, y)
    expect(box).to_contain_text(re.compile(r"step \d+ – \d+"))
    expect(box).to_contain_text(re.compile(r"mean of \d+ points"))
    expect(box).not_to_contain_text("run-11")
    row = page.get_by_role("row").filter(has_text="run-00")
    expect(row).to_have_class(re.compile("lit"))
    page.mouse.move(5, 5)
    expect(box).to_have_count(0)


def test_hovering_a_run_of_the_list_dims_all_other_lines(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, twelve.project)
    await_drawn(page, "train/loss")
    page.get_by_role("row").filter(has_text="run-07").hover()
    base = panel(page, "train/loss").locator("canvas.lines").first
    expect(base).to_have_css("opacity", "0.25")
    page.mouse.move(5, 5)
    expect(base).to_have_css("opacity", "1")


def test_dragging_zooms_all_charts_and_refetches_the_range(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, f"{twelve.project}?only=run00")
    await_drawn(page, "train/loss", 1999)
    x, y = point_in(page, "train/loss", 0.25)
    page.mouse.move(x, y)
    page.mouse.down()
    x, y = point_in(page, "train/loss", 0.5)
    page.mouse.move(x, y, steps=4)
    with page.expect_request(lambda request: _asks_for_a_range(request)) as asking:
        page.mouse.up()
    asked = json.loads(asking.value.post_data or "")
    low, high = asked["min"], asked["max"]
    assert 450 < low < 550 < 950 < high < 1050
    assert {"train/loss", "train/acc", "const"} <= set(asked["keys"])
    for metric in ("train/loss", "train/acc"):
        await_true(
            lambda metric=metric: float(panel(page, metric).get_attribute("data-last-x") or 0) <= high,  # type: ignore[misc]
            what=f"the range of {metric}",
        )
    assert "range=" in page.url
    expect(page.get_by_role("button", name="Show the whole range")).to_be_visible()
    page.reload()
    await_drawn(page, "train/loss", 900)
    assert float(panel(page, "train/loss").get_attribute("data-last-x") or 0) <= high
    x, y = point_in(page, "train/loss", 0.5)
    page.mouse.dblclick(x, y)
    await_drawn(page, "train/loss", 1999)
    assert "range=" not in page.url


def _asks_for_a_range(request: Request) -> bool:
    return request.url.endswith("/series") and json.loads(request.post_data or "{}")["min"] is not None


def test_keys_read_values_and_zoom(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, f"{twelve.project}?only=run00")
    await_drawn(page, "train/loss", 1999)
    panel(page, "train/loss").get_by_role("application").focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    box = panel(page, "train/loss").locator(".box")
    expect(box).to_contain_text("run-00")
    page.keyboard.press("+")
    expect(page).to_have_url(re.compile(r"range=\d+\.\.\d+"))
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("range="))


def test_the_x_axis_can_be_time(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, f"{twelve.project}?only=run00")
    await_drawn(page, "train/loss", 1999)
    page.get_by_label("x axis").select_option("relative time")
    await_true(
        lambda: 0 < float(panel(page, "train/loss").get_attribute("data-last-x") or 0) < 60,
        what="seconds since the start",
    )
    page.get_by_label("x axis").select_option("wall time")
    await_drawn(page, "train/loss", 1.7e9)
    assert "x=_timestamp" in page.url


def test_gaps_infinities_and_single_points_are_drawn_as_such(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, f"{twelve.project}?only=run11&range=0..200")
    for metric in ("odd/gap", "odd/single"):
        panel_ = page.locator(".slot").last
        panel_.scroll_into_view_if_needed()
        await_drawn(page, metric)
    gap = panel(page, "odd/gap")
    assert _inked_columns(page, "odd/gap", 55, 95) == 0
    assert _inked_columns(page, "odd/gap", 5, 45) > 20
    # One step is about one pixel wide.
    await_true(
        lambda: any(_read(page, "odd/gap", (150 + pixel / 2) / 200, "∞") for pixel in range(-4, 5)),
        what="the infinity at step 150",
    )
    x, y = point_in(page, "odd/gap", 0.375)
    page.mouse.move(x, y)
    expect(gap.locator(".box")).to_contain_text("NaN")
    page.mouse.move(5, 5)
    assert _inked_columns(page, "odd/single", 0, 200) in range(4, 14)


def _read(page: Page, metric: str, share: float, text: str) -> bool:
    x, y = point_in(page, metric, share)
    page.mouse.move(x, y)
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return text in panel(page, metric).locator(".box").inner_text()


def _inked_columns(page: Page, metric: str, low: float, high: float) -> int:
    """How many pixel columns between two steps of 0–200 hold ink."""
    count: int = panel(page, metric).locator("canvas.lines").first.evaluate(
        """(canvas, [low, high]) => {
          const { width, height } = canvas;
          const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
          let inked = 0;
          for (let x = Math.ceil(low / 200 * width); x < Math.floor(high / 200 * width); x++) {
            let ink = false;
            for (let y = 0; y < height && !ink; y++) ink = data[(y * width + x) * 4 + 3] > 40;
            if (ink) inked++;
          }
          return inked;
        }""",
        [low, high],
    )  # fmt: skip
    return count


def test_a_chart_can_be_read_as_a_table(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, f"{twelve.project}?only=run00,run11")
    await_drawn(page, "train/loss", 1999)
    expect(page.get_by_role("figure", name="train/loss: 2 lines, values from")).to_be_visible()
    panel(page, "train/loss").get_by_role("button", name="Show as table").focus()
    page.keyboard.press("Enter")
    table = panel(page, "train/loss").get_by_role("table")
    row = table.get_by_role("row").filter(has_text="run-11")
    assert row.get_by_role("cell").all_inner_texts()[1:] == ["0.4353", "12", "199", "200"]
    page.keyboard.press("Enter")
    expect(panel(page, "train/loss").locator(".u-over")).to_be_visible()


def test_a_zoom_deeper_than_numbers_reach_still_draws(twelve: Stage, open_page: OpenPage) -> None:
    page = open_page(twelve.server, f"{twelve.project}?only=run00&range=100..100.000000001")
    await_drawn(page, "train/loss", 100)
    page.goto(f"{twelve.server.url}{twelve.project}?only=run00&range=-1e308..1e308")
    await_drawn(page, "train/loss", 1999)


@pytest.mark.parametrize("width", [1440, 1000, 390])
def test_names_at_the_ends_leave_the_plot_its_share(twelve: Stage, open_page: OpenPage, width: int) -> None:
    page = open_page(twelve.server, f"{twelve.project}?only=run00,run01", width=width)
    await_drawn(page, "train/loss", 1999)
    whole = panel(page, "train/loss").bounding_box()
    plot = panel(page, "train/loss").locator(".u-over").bounding_box()
    assert whole is not None
    assert plot is not None
    assert plot["width"] >= 0.6 * whole["width"] - 2
