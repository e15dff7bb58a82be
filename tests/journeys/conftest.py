"""Fixtures of the journeys: a laptop, and a server's home on the same machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.journeys.world import Home, homes


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Home]:
    """The home of the user who trains."""
    with homes(tmp_path, "laptop") as (home,):
        yield home


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Home]:
    """Another user's home: a server in it never sees the laptop's folders, only what is sent to it."""
    with homes(tmp_path, "cloud") as (home,):
        yield home
