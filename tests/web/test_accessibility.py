"""WCAG 2.2 AA as far as axe can see it, on every page and in both themes."""

from __future__ import annotations

from typing import Literal

import pytest
from tests.web.conftest import OpenPage
from tests.web.stage import Stage, await_drawn, axe_complaints

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "place",
    ["projects", "workspace", "table", "overview", "charts", "settings", "project-settings", "sign-in"],
)
def test_axe_finds_nothing(
    twelve: Stage, open_page: OpenPage, place: str, theme: Literal["light", "dark"]
) -> None:
    path = {
        "workspace": f"{twelve.project}?only=run00,run11",
        "table": f"{twelve.project}?view=runs",
        "overview": f"{twelve.project}/runs/run03",
        "charts": f"{twelve.project}/runs/run11?tab=charts",
        "settings": "/settings",
        "project-settings": f"{twelve.project}?view=settings",
    }.get(place, "/")
    page = open_page(twelve.server, path, signed_in=place != "sign-in", color_scheme=theme)
    if place in ("workspace", "charts"):
        await_drawn(page, "train/loss")
    awaited = {
        "projects": "pedestrians",
        "table": "run-11",
        "overview": "arch",
        "settings": "API keys",
        "project-settings": "Console",
        "sign-in": "API key",
    }
    page.get_by_text(awaited.get(place, "train")).first.wait_for()
    assert axe_complaints(page) == []
