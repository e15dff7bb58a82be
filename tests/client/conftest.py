"""Run files to send, the strict server to send them to, and a clock that tests move."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kiseki.records.kinds import Header, State
from kiseki.records.writer import RecordWriter


def load_neighbour(name: str) -> Any:
    """Import a module that lies beside this file (tests are no package)."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


protocol_server = load_neighbour("protocol_server")


@pytest.fixture
def server() -> Any:
    """A strict server in memory, not served yet."""
    return protocol_server.StrictServer()


@pytest.fixture
def serve() -> Callable[..., Any]:
    """`serve(server, port=0)`: a context that answers at the URL it yields."""
    found: Callable[..., Any] = protocol_server.serve
    return found


@pytest.fixture
def second_client() -> Any:
    """The client that was written from the page alone."""
    return load_neighbour("second_client")


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[..., RecordWriter]:
    """`write_run(rows, writer=, **header)` makes a file in `run-<run_id>/`, returns its open writer."""

    def write(
        rows: int = 10, *, writer: str = "waaaaaaaaaaaaaaa", finish: bool = True, **fields: Any
    ) -> RecordWriter:
        fields = {"run_uid": "0" * 31 + "1", "entity": "me", "project": "proj", "run_id": "r1", **fields}
        folder = tmp_path / f"run-{fields['run_id']}"
        folder.mkdir(exist_ok=True)
        header = Header(writer=writer, role=fields.pop("role", "train"), lane=writer, **fields)
        records = RecordWriter.create(folder / f"{writer}.kiseki", header)
        for step in range(rows):
            records.log_row({"loss": 1.0 / (step + 1), "acc": float(step)}, step)
        if finish:
            records.append(State(records.now(), "finished", 0, None, None))
        return records

    return write
