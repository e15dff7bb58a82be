"""Fixtures that every room's tests share: an isolated home for each test, a real server on request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_OURS = ("KISEKI_", "WANDB_")


@pytest.fixture(autouse=True)
def isolated_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test a home of its own; no KISEKI_ or WANDB_ variable of the shell reaches it."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(_OURS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    for name, folder in {
        "XDG_DATA_HOME": "data",
        "XDG_CONFIG_HOME": "config",
        "XDG_CACHE_HOME": "cache",
        "XDG_RUNTIME_DIR": "runtime",
    }.items():
        path = home / folder
        path.mkdir(mode=0o700)
        monkeypatch.setenv(name, str(path))
    return home


def wait_until(condition: Callable[[], object], *, seconds: float = 20.0, what: str = "") -> object:
    """Return the first truthy value of `condition`; fail the test if there is none within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what or condition}")
        time.sleep(0.02)


@pytest.fixture(name="wait_until")
def _wait_until() -> Callable[..., object]:
    """`wait_until(condition, seconds=20, what="")`, for tests that wait for another process."""
    return wait_until


@dataclass
class ServerProcess:
    """A `kiseki up` in a process of its own, and how to reach it."""

    url: str
    key: str
    store: Path
    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """End it at once, as a power cut would (SIGKILL)."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Ask it to end (SIGTERM), and wait until it has."""
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()

    def get(self, path: str) -> bytes:
        """The body of a GET with the owner's key."""
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.key}"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            body: bytes = answer.read()
        return body


@pytest.fixture
def start_server(
    tmp_path_factory: pytest.TempPathFactory, isolated_home: Path
) -> Iterator[Callable[..., ServerProcess]]:
    """`start_server(*options, store=None, own=False, env=None)` runs `kiseki up` on a free port.

    It ends with the test. `own` serves the test's own user store; else a store in `store` or a new folder.
    """
    started: list[ServerProcess] = []

    def start(
        *options: str, store: Path | None = None, own: bool = False, env: dict[str, str] | None = None
    ) -> ServerProcess:
        folder = isolated_home / "data/kiseki/store" if own else store or tmp_path_factory.mktemp("store")
        where = [] if own else [str(folder)]
        log = tmp_path_factory.mktemp("server") / "server.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "kiseki.cli", "up", *where, "--port", "0", *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
            )
        server = ServerProcess("", "", folder, process, log)
        started.append(server)

        def ready() -> bool:
            if process.poll() is not None:
                pytest.fail(f"`kiseki up` ended with {process.returncode}:\n{log.read_text()}")
            try:
                owner = json.loads((folder / "owner.lock").read_text())
                server.url, server.key = owner["url"].rstrip("/"), owner["key"]
                with urllib.request.urlopen(f"{server.url}/api/v1/server", timeout=2):
                    return True
            except (OSError, ValueError, KeyError, urllib.error.URLError):
                return False

        wait_until(ready, seconds=30, what=f"`kiseki up` to answer; its output is in {log}")
        return server

    yield start
    for server in started:
        if server.process.poll() is None:
            server.stop()
