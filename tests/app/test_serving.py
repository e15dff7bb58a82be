"""`kiseki up` as a process: owns its store, is found, says what is wrong in one line, and ends cleanly."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from kiseki.system.credentials import find_key, local_servers
from kiseki.system.owner import read_owner


def _up(*options: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kiseki.cli", "up", "--no-browser", *options],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
    )


def _link(server: Any) -> str:
    found = re.search(r"http://\S+", server.log.read_text())
    assert found is not None
    return found.group()


def test_printed_link_logs_a_browser_in(start_server: Callable[..., Any]) -> None:
    server = start_server()
    with httpx.Client(follow_redirects=True) as browser:
        page = browser.get(_link(server))
        assert page.status_code == 200
        assert "token" not in str(page.url)
        assert browser.get(f"{server.url}/api/v1/projects").json() == {"projects": []}


def test_localhost_is_the_loopback_address(start_server: Callable[..., Any]) -> None:
    server = start_server("--host", "localhost", "--no-local-runs")
    assert server.url.startswith("http://127.0.0.1:")
    assert "kk_" not in server.log.read_text()


def test_running_server_is_found_by_its_user_alone(start_server: Callable[..., Any]) -> None:
    server = start_server()
    owner = read_owner(server.store)
    assert owner is not None
    assert (owner.url, owner.pid) == (server.url, server.process.pid)
    assert find_key(server.url) == server.key
    (announced,) = local_servers()
    assert announced.server_id == owner.server_id
    assert (server.store / "owner.lock").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_cleanly(start_server: Callable[..., Any], number: int) -> None:
    server = start_server()
    server.process.send_signal(number)
    assert server.process.wait(timeout=20) == 0
    assert read_owner(server.store) is None
    assert local_servers() == []
    assert "Traceback" not in server.log.read_text()


def test_store_opens_again_after_a_kill(start_server: Callable[..., Any]) -> None:
    first = start_server()
    server_id = json.loads(first.get("/api/v1/server"))["server_id"]
    first.kill()
    assert json.loads(start_server(store=first.store).get("/api/v1/server"))["server_id"] == server_id


def test_second_up_prints_the_first_ones_link(start_server: Callable[..., Any]) -> None:
    server = start_server()
    second = _up(str(server.store), "--port", "0")
    assert second.returncode == 0
    found = re.search(r"http://\S+", second.stdout)
    assert found is not None
    assert found.group().startswith(server.url)
    with httpx.Client(follow_redirects=True) as browser:
        browser.get(found.group())
        assert browser.get(f"{server.url}/api/v1/projects").status_code == 200


def test_port_in_use_names_the_process_and_a_free_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = _up(str(tmp_path / "store"), "--port", str(port))
    assert ended.returncode != 0
    message = ended.stderr.strip()
    assert len(message.splitlines()) == 1
    assert f"port {port} is in use" in message
    assert f"(process {os.getpid()})" in message
    offered = re.search(r"--port (\d+)", message)
    assert offered is not None
    assert int(offered.group(1)) != port


def test_unknown_address_is_one_line(tmp_path: Path) -> None:
    ended = _up(str(tmp_path / "store"), "--host", "no.such.host.invalid", "--port", "0")
    assert ended.returncode != 0
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "no.such.host.invalid" in ended.stderr


@pytest.mark.parametrize(("name", "value"), [("KISEKI_MAX_BODY", "much"), ("KISEKI_BASE_PATH", "a?b")])
def test_senseless_setting_is_one_line_that_names_it(tmp_path: Path, name: str, value: str) -> None:
    ended = _up(str(tmp_path / "store"), "--port", "0", **{name: value})
    assert ended.returncode != 0
    assert len(ended.stderr.strip().splitlines()) == 1
    assert value in ended.stderr


def test_beyond_loopback_it_prints_a_first_key_and_a_link_for_one_browser(
    start_server: Callable[..., Any],
) -> None:
    server = start_server("--host", "0.0.0.0", "--no-local-runs")
    text = server.log.read_text()
    key = re.search(r"kk_[0-9a-f]{40}", text)
    assert key is not None
    headers = {"Authorization": f"Bearer {key.group()}"}
    assert httpx.get(f"{server.url}/api/v1/projects", headers=headers).status_code == 200
    link = re.search(r"/\?token=\S+", text)
    assert link is not None
    answers = [httpx.get(server.url + link.group()) for _ in range(2)]
    assert ["set-cookie" in answer.headers for answer in answers] == [True, False]
    name = socket.gethostname()
    assert httpx.get(f"{server.url}/api/v1/server", headers={"Host": name}).status_code == 200
    assert httpx.get(f"{server.url}/api/v1/server", headers={"Host": "evil.example"}).status_code == 403
    server.stop()
    again = start_server("--host", "0.0.0.0", "--no-local-runs", store=server.store)
    assert "kk_" not in again.log.read_text()


_FIRST_ANSWERS = """
import sys
from pathlib import Path
from kiseki.app import create_instance
from kiseki.client.transport import AsgiTransport

instance = create_instance(f"sqlite:///{sys.argv[1]}/store.db", local_roots=False, in_process=True)
ask = AsgiTransport(instance.asgi)
assert [ask.request("GET", path).status for path in ("/", "/api/v1/projects")] == [200, 200]
print(sorted({"numpy", "nanoarrow", "alembic", "zstandard"} & set(sys.modules)))
instance.close()
"""


def test_first_answers_load_nothing_that_only_charts_or_migrations_need(tmp_path: Path) -> None:
    loaded = [
        subprocess.run(
            [sys.executable, "-c", _FIRST_ANSWERS, str(tmp_path)], capture_output=True, text=True, check=True
        ).stdout.strip()
        for _ in range(2)
    ]
    assert loaded[1] == "[]"
