"""Real sidecar processes beside real writers, against the strict protocol server of tests/client."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kiseki.records.directory import LocalRun, read_run

_TRAINER = Path(__file__).with_name("trainer.py")


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


protocol_server = _load(Path(__file__).parent.parent / "client" / "protocol_server.py")


class Trainer:
    """A process that writes one run file on command."""

    def __init__(self, run_dir: Path, writer: str, options: dict[str, Any]) -> None:
        self.run_dir = run_dir
        self.writer = writer
        self.path = run_dir / f"{writer}.kiseki"
        self.process = subprocess.Popen(
            [sys.executable, str(_TRAINER), str(run_dir), writer, json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._expect("ready")

    def do(self, command: str) -> None:
        """Have it done before this returns."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        self._expect("ok")

    def kill(self) -> None:
        """SIGKILL, collected."""
        self.process.kill()
        self.process.wait()

    def leave(self) -> None:
        """End the process without another word in the file."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(20)

    def bytes(self) -> bytes:
        return self.path.read_bytes()

    def run(self) -> LocalRun:
        return read_run(self.run_dir)

    def _expect(self, word: str) -> None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line == word, f"the trainer said {line!r}"


class World:
    """One spool with its sidecar processes and trainers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spool = folder / "spool"
        self.spool.mkdir(mode=0o700)
        self.sidecars: list[subprocess.Popen[bytes]] = []
        self.trainers: list[Trainer] = []

    def sidecar(
        self, *, linger: float = 30.0, env: dict[str, str] | None = None, setup: str = ""
    ) -> subprocess.Popen[bytes]:
        """Start `python -m kiseki.sidecar` for the spool; `setup` is Python that runs there first."""
        command = ["-m", "kiseki.sidecar"]
        if setup:
            begin = "import sys; from kiseki.sidecar.__main__ import main; sys.exit(main(sys.argv[1:]))"
            command = ["-c", f"{setup}; {begin}"]
        with (self.spool / "sidecar.log").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-I", *command, str(self.spool)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env={**os.environ, "KISEKI_SIDECAR_LINGER": str(linger), **(env or {})},
            )
        self.sidecars.append(process)
        return process

    def trainer(self, writer: str = "waaaaaaaaaaaaaaa", **options: Any) -> Trainer:
        """Start a writer; `base_url` None is no upload; the other options are those of trainer.py."""
        run_dir = options.pop("run_dir", None) or self.folder / f"run-{options.get('run_id', 'r1')}"
        options = {"spool": str(self.spool), "base_url": None, "mode": "online", **options}
        trainer = Trainer(run_dir, writer, options)
        self.trainers.append(trainer)
        return trainer

    def progress(self, writer: str = "waaaaaaaaaaaaaaa") -> dict[str, Any]:
        """What `finish` would read."""
        try:
            found: dict[str, Any] = json.loads((self.spool / f"{writer}.progress").read_text())
        except FileNotFoundError:
            return {}
        return found

    def pointers(self) -> list[str]:
        return sorted(path.stem for path in self.spool.glob("*.json"))

    def log(self) -> str:
        return (self.spool / "sidecar.log").read_text()

    def close(self) -> None:
        for process in [*self.sidecars, *(trainer.process for trainer in self.trainers)]:
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A spool, its sidecars and its trainers, all gone at the end."""
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def server() -> Any:
    """A strict server in memory, not served yet."""
    return protocol_server.StrictServer()


@pytest.fixture
def url(server: Any) -> Iterator[str]:
    """Where `server` answers while the test lasts; nobody may have broken the protocol at its end."""
    with protocol_server.serve(server) as found:
        yield found
    assert server.breaches == []


@pytest.fixture
def arrived(server: Any) -> Callable[[Any], bool]:
    """`arrived(trainer)`: whether `server` has the trainer's file to its end."""
    return lambda trainer: bytes(server.writers.get(trainer.writer, b"")) == trainer.bytes()


@pytest.fixture
def serve() -> Callable[..., Any]:
    """`serve(server, port=0)`: a context that answers at the URL it yields."""
    found: Callable[..., Any] = protocol_server.serve
    return found
