"""Run files to send, the strict server to send them to, and a clock that tests move."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator
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


class RealServer:
    """The real application over HTTP, served by a thread of this process."""

    def __init__(self, folder: Path) -> None:
        import uvicorn

        from kiseki.app import create_instance

        self.key = "kk_" + "1" * 40
        self.instance = create_instance(
            f"sqlite:///{folder / 'store.db'}", local_roots=False, local_key=self.key
        )
        config = uvicorn.Config(
            self.instance.asgi, host="127.0.0.1", port=0, log_level="warning", lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def url(self) -> str:
        """The base URL; "" until the socket listens."""
        if not self._server.started:
            return ""
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self.instance.close()


@pytest.fixture
def real_server(tmp_path: Path, wait_until: Callable[..., Any]) -> Iterator[RealServer]:
    """A real server that follows no local folders and accepts `.key`."""
    made = RealServer(tmp_path)
    made.start()
    wait_until(lambda: made.url)
    yield made
    made.close()
