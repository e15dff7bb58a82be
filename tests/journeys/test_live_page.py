"""The page in a real Chromium while a training goes on: points appear by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Page
from tests.journeys.browser import CHROMIUM, enter, open_page
from tests.journeys.world import Home, await_true

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


@pytest.fixture
def page() -> Iterator[Page]:
    """An empty page of a real browser."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no {CHROMIUM}: sudo apt-get install -y chromium")
    with open_page() as opened:
        yield opened


def test_points_of_a_live_run_appear_without_reloading(laptop: Home, page: Page) -> None:
    server = laptop.server()
    training = laptop.train(pause=0.05)
    training.await_rows(3)
    run_id = training.ledger.run_id
    run = await_true(lambda: server.run(run_id), what="the run on the server")
    enter(page, server.url, server.key)
    page.goto(f"{server.url}/{run['entity']}/journey")
    page.evaluate("window.notReloaded = true")
    await_true(lambda: _drawn(page) >= 3, what="the first points on the page")
    for _ in range(3):
        await_true(partial(_drew_beyond, page, _drawn(page)), what="another point on the page")
    assert page.evaluate("window.notReloaded")
    training.kill()
    crashed = page.get_by_role("img", name="crashed", exact=True)
    await_true(lambda: crashed.count() > 0, what="the page to show the run as crashed")


def test_page_follows_a_run_through_the_death_of_the_server(laptop: Home, cloud: Home, page: Page) -> None:
    server = cloud.server()
    laptop.uploads_to(server)
    training = laptop.train(pause=0.05)
    training.await_rows(3)
    run_id = training.ledger.run_id
    run = await_true(lambda: server.run(run_id), what="the run on the server")
    enter(page, server.url, server.key)
    page.goto(f"{server.url}/{run['entity']}/journey/runs/{run_id}?tab=charts")
    await_true(lambda: _drawn(page) >= 3, what="the first points on the page")
    server.kill()
    behind = training.ledger.logged
    training.await_rows(behind + 40)
    server.start()
    await_true(lambda: _drawn(page) > behind + 40, seconds=60.0, what="the page to go on by itself")


def _drawn(page: Page) -> float:
    """The largest step that the chart of the metric `i` has drawn, -1 before the first."""
    found = page.query_selector('[data-metric="i"]')
    return float((found.get_attribute("data-last-x") if found else None) or -1)


def _drew_beyond(page: Page, x: float) -> bool:
    return _drawn(page) > x
