"""Debian's Chromium as the journeys and benchmarks drive it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
_FLAGS = [
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def open_page() -> Iterator[Page]:
    """An empty page of 1440×900, closed with its browser."""
    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        try:
            yield browser.new_page(viewport={"width": 1440, "height": 900})
        finally:
            browser.close()


def enter(page: Page, url: str, key: str) -> None:
    """Give the page the session that a pasted key gives."""
    answer = page.context.request.post(f"{url}/api/v1/session", data={"key": key})
    assert answer.status == 204, f"the session was answered with {answer.status}: {answer.text()}"
