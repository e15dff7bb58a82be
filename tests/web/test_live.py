"""A page beside a run that goes on: points arrive by themselves and move nothing; servers come and go."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect
from tests.journeys.world import Home, await_true
from tests.web.conftest import OpenPage
from tests.web.stage import (
    LiveTraining,
    await_drawn,
    drawn_to,
    log_twelve_runs,
    names,
    panel,
    point_in,
    project_path,
)

pytestmark = pytest.mark.browser


@pytest.fixture
def training(home: Home) -> Iterator[LiveTraining]:
    """A run that logs when it is told; its home has a server already."""
    home.server()
    started = LiveTraining(home)
    yield started
    started.kill()


def test_points_states_and_new_metrics_appear_without_reloading(
    home: Home, training: LiveTraining, open_page: OpenPage
) -> None:
    training.log(3)
    page = open_page(home.servers[0], project_path(home.servers[0]))
    await_drawn(page, "train/loss", 2)
    page.evaluate("window.notReloaded = true")
    for step in range(3, 6):
        training.log()
        await_drawn(page, "train/loss", step)
    training.log(extra="val/new")
    await_drawn(page, "val/new", 6)
    training.finish()
    expect(page.get_by_role("img", name="finished")).to_be_visible()
    assert page.evaluate("window.notReloaded")


def test_an_incoming_row_moves_no_scroll_hover_zoom_or_selection(home: Home, open_page: OpenPage) -> None:
    server = home.server()
    log_twelve_runs(home)
    page = open_page(server, f"{project_path(server)}?range=0..150", height=320)
    await_drawn(page, "train/loss", 100)
    grid = page.get_by_role("grid")
    grid.focus()
    for _ in range(8):
        page.keyboard.press("j")
    grid.evaluate("element => element.scrollTo(0, 84)")
    page.locator("[data-scroller]").evaluate("element => element.scrollTo(0, 290)")
    await_drawn(page, "train/loss", 100)
    x, y = point_in(page, "train/loss", 0.5, 0.3)
    page.mouse.move(x - 2, y)
    page.mouse.move(x, y)
    box = panel(page, "train/loss").locator(".box")
    expect(box).to_be_visible()
    before = (box.inner_text(), page.locator("[aria-selected=true] a").inner_text())
    top = _first_name_in_view(page)
    training = LiveTraining(home)
    try:
        training.log(30)
        await_true(lambda: "13 runs" in page.inner_text("main"), what="the new run in the count")
        assert _first_name_in_view(page) == top
        assert page.locator("[data-scroller]").evaluate("element => element.scrollTop") == 290
        assert page.locator("[aria-selected=true] a").inner_text() == before[1]
        expect(box).to_be_visible()
        assert "range=0..150" in page.url
        # Until its name has come too, the new run goes by its id.
        grid.evaluate("element => element.scrollTo(0, 0)")
        await_true(lambda: names(page)[0] == "live-run", what="the new run at its place")
    finally:
        training.kill()


def _first_name_in_view(page: object) -> str:
    name: str = page.get_by_role("grid").evaluate(  # type: ignore[attr-defined]
        """grid => {
          const top = grid.getBoundingClientRect().top + 42;
          const rows = [...grid.querySelectorAll("[role=row]:has(a)")];
          return rows.find(row => row.getBoundingClientRect().bottom > top).querySelector("a").textContent;
        }"""
    )
    return name


def test_the_page_says_that_the_server_is_away_and_goes_on_by_itself(
    home: Home, training: LiveTraining, open_page: OpenPage
) -> None:
    server = home.servers[0]
    training.log(3)
    page = open_page(server, project_path(server))
    await_drawn(page, "train/loss", 2)
    server.kill()
    expect(page.get_by_text("This server is not reachable.")).to_be_visible()
    assert drawn_to(page, "train/loss") >= 2
    assert names(page) == ["live-run"]
    training.log(20)
    server.start()
    await_drawn(page, "train/loss", 22)
    expect(page.get_by_text("This server is not reachable.")).to_have_count(0)


def test_a_tab_that_is_opened_while_the_server_is_away_comes_with_it(
    home: Home, training: LiveTraining, open_page: OpenPage
) -> None:
    server = home.servers[0]
    training.log(3)
    page = open_page(server, f"{project_path(server)}/runs/live")
    expect(page.get_by_role("heading", name="Config")).to_be_visible()
    server.kill()
    page.get_by_role("tab", name="Files").click()
    expect(page.get_by_role("heading", name="Files could not be loaded")).to_be_visible()
    server.start()
    expect(page.get_by_label("Search files")).to_be_visible()


def test_two_tabs_share_one_event_stream(home: Home, training: LiveTraining, open_page: OpenPage) -> None:
    training.log(3)
    server = home.servers[0]
    first = open_page(server, project_path(server))
    second = first.context.new_page()
    streams: list[str] = []
    for page in (first, second):
        page.on(
            "request", lambda request: streams.append(request.url) if "/api/v1/live" in request.url else None
        )
    second.goto(first.url)
    for page in (first, second):
        await_drawn(page, "train/loss", 2)
    training.log(3)
    for page in (first, second):
        await_drawn(page, "train/loss", 5)
    # The stream belongs to the shared worker: no page has asked for one.
    assert streams == []


def test_a_browser_without_shared_workers_is_live_too(
    home: Home, training: LiveTraining, open_page: OpenPage
) -> None:
    training.log(3)
    server = home.servers[0]
    page = open_page(server)
    page.add_init_script("delete window.SharedWorker")
    page.goto(server.url + project_path(server))
    await_drawn(page, "train/loss", 2)
    training.log(3)
    await_drawn(page, "train/loss", 5)


def test_a_hidden_tab_asks_for_nothing_and_catches_up_when_shown(
    home: Home, training: LiveTraining, open_page: OpenPage
) -> None:
    training.log(3)
    server = home.servers[0]
    page = open_page(server, project_path(server))
    await_drawn(page, "train/loss", 2)
    _set_hidden(page, True)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    training.log(10)
    await_true(lambda: (server.run("live") or {}).get("last_step") == 12, what="the rows on the server")
    assert drawn_to(page, "train/loss") <= 12
    _set_hidden(page, False)
    await_drawn(page, "train/loss", 12)


def _set_hidden(page: object, hidden: bool) -> None:
    """Tell the page that its tab is hidden; headless Chromium itself never hides one."""
    page.evaluate(  # type: ignore[attr-defined]
        """hidden => {
          Object.defineProperty(document, "hidden", { configurable: true, value: hidden });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )
