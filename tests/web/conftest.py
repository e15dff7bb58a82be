"""Fixtures of the web app's journeys: a server with real runs, a browser, and pages that are signed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.journeys.browser import CHROMIUM
from tests.journeys.world import Home, Server, homes
from tests.web.stage import LANGUAGE, Stage, launch, log_twelve_runs


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all journeys; each page has a context of its own."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no {CHROMIUM}: sudo apt-get install -y chromium")
    expect.set_options(timeout=20_000)  # As long as a page's own waits: a condition, not a bound on speed.
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server with a project of twelve ended runs, for tests that only look."""
    with homes(tmp_path_factory.mktemp("web"), "twelve") as (home,):
        server = home.server()
        runs = log_twelve_runs(home)
        yield Stage(home, server, runs)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home of this test alone, for tests that train or end servers."""
    with homes(tmp_path, "home") as (made,):
        yield made


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """`open_page(server, path="/", signed_in=True, width=1440, height=900, **context)` → an opened page.

    A script error on the page fails the test.
    """
    opened: list[Page] = []
    errors: list[str] = []

    def open_(
        server: Server,
        path: str = "/",
        *,
        signed_in: bool = True,
        width: int = 1440,
        height: int = 900,
        **context: object,
    ) -> Page:
        options = {"locale": LANGUAGE, "viewport": {"width": width, "height": height}, **context}
        page = browser.new_context(**options).new_page()  # type: ignore[arg-type]
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        opened.append(page)
        if signed_in:
            answer = page.context.request.post(f"{server.url}/api/v1/session", data={"key": server.key})
            assert answer.status == 204, answer.text()
        page.goto(server.url + path)
        return page

    yield open_
    for page in opened:
        page.context.close()
    assert errors == []
