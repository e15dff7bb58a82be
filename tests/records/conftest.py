"""Fixtures of the run file's tests: headers and writers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kiseki.records import Header, RecordWriter


def make_header(writer: str = "waaaaaaaaaaaaaaa", **fields: Any) -> Header:
    """A training's header; a lane of its own where none is named."""
    known = {
        "run_uid": "0123456789abcdef" * 2,
        "entity": "ada",
        "project": "engines",
        "run_id": "r1",
        "role": "train",
        "lane": writer,
        "host": "analytical",
        "pid": 4242,
        "sdk": "0.1.0",
    }
    return Header(writer=writer, **{**known, **fields})


@pytest.fixture
def header() -> Callable[..., Header]:
    """`header(writer="waaa…", **fields)`."""
    return make_header


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """An empty run directory."""
    path = tmp_path / "run"
    path.mkdir()
    return path


@pytest.fixture
def new_writer(run_dir: Path) -> Callable[..., RecordWriter]:
    """`new_writer(writer="waaa…", on_trouble=None, **header_fields)` in `run_dir`."""

    def create(writer: str = "waaaaaaaaaaaaaaa", on_trouble: Any = None, **fields: Any) -> RecordWriter:
        path = run_dir / f"{writer}.kiseki"
        return RecordWriter.create(path, make_header(writer, **fields), on_trouble=on_trouble)

    return create
