"""`up`, `login`, `key`, `sync`, `rebuild` and `doctor` with real servers."""

from __future__ import annotations

import json
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from kiseki.system.credentials import find_key
from kiseki.system.paths import record_root

RUN = "/api/v1/runs/ada/digits/1a2b3c4d"


@pytest.fixture
def elsewhere(start_server: Callable) -> Callable:
    """A server that knows nothing of this user: another home, so no local runs and no key file."""

    def start(tmp_path: Path) -> object:
        home = {"XDG_DATA_HOME": str(tmp_path / "elsewhere"), "XDG_CONFIG_HOME": str(tmp_path / "elsewhere")}
        return start_server("--no-local-runs", env=home)

    return start


def test_up_prints_a_link_that_opens_the_page(start_server: Callable) -> None:
    server = start_server(own=True)
    (link,) = re.findall(r"http://\S+", server.log.read_text())
    assert link.startswith(f"{server.url}/?token=")
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(link) as page:
        assert page.geturl() == f"{server.url}/"
    with opener.open(f"{server.url}/api/v1/projects") as answer:
        assert json.load(answer) == {"projects": []}
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{server.url}/api/v1/projects")


def test_a_second_up_says_where_the_first_is(kiseki: Callable, start_server: Callable) -> None:
    server = start_server(own=True)
    ended = kiseki("up", "--port", "0")
    assert ended.returncode == 0, ended.stderr
    assert server.url in ended.stdout


def test_a_port_in_use_is_said_with_another(kiseki: Callable, start_server: Callable, tmp_path: Path) -> None:
    server = start_server()
    port = server.url.rpartition(":")[2]
    ended = kiseki("up", tmp_path / "other", "--port", port)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert port in ended.stderr
    assert "--port" in ended.stderr


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_up_ends_on_a_signal(start_server: Callable, sign: signal.Signals) -> None:
    server = start_server()
    server.process.send_signal(sign)
    assert server.process.wait(timeout=20) == 0
    assert "Traceback" not in server.log.read_text()


def test_a_key_lives_from_create_to_revoke(kiseki: Callable, start_server: Callable) -> None:
    server = start_server(own=True)
    key = kiseki("key", "create", "alice").stdout.strip()
    assert re.fullmatch(r"kk_[0-9a-f]{40}", key)

    request = urllib.request.Request(
        f"{server.url}/api/v1/projects", headers={"Authorization": f"Bearer {key}"}
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    (made,) = json.loads(kiseki("key", "list", "--json").stdout)
    assert (made["name"], made["revoked"]) == ("alice", None)
    assert key not in kiseki("key", "list").stdout

    assert kiseki("key", "revoke", str(made["id"])).returncode == 0
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request)


def test_the_user_who_runs_a_server_needs_no_key_for_it(kiseki: Callable, start_server: Callable) -> None:
    server = start_server()
    env = {"KISEKI_BASE_URL": server.url.replace("127.0.0.1", "localhost")}
    assert kiseki("key", "create", "bob", env=env).returncode == 0
    assert [key["name"] for key in json.loads(kiseki("key", "list", "--json", env=env).stdout)] == ["bob"]


def test_keys_of_the_own_store_need_no_server(kiseki: Callable) -> None:
    assert kiseki("key", "list").stdout == "no keys\n"
    assert kiseki("key", "create").returncode == 0
    assert len(json.loads(kiseki("key", "list", "--json").stdout)) == 1
    unknown = kiseki("key", "revoke", "77")
    assert unknown.returncode == 1
    assert unknown.stderr.count("\n") == 1


def test_login_keeps_a_key_that_the_server_takes(
    kiseki: Callable, elsewhere: Callable, tmp_path: Path
) -> None:
    server = elsewhere(tmp_path)
    wrong = kiseki("login", server.url, stdin="kk_" + "0" * 40)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
    assert "nothing was saved" in wrong.stderr
    assert find_key(server.url) is None
    right = kiseki("login", stdin=server.key + "\n", env={"KISEKI_BASE_URL": server.url})
    assert right.stdout == f"key for {server.url} saved\n", right.stderr
    assert find_key(server.url) == server.key


def test_login_says_what_is_wrong(kiseki: Callable) -> None:
    assert "no key on standard input" in kiseki("login", "http://127.0.0.1:9").stderr
    assert "that is no key" in kiseki("login", "http://127.0.0.1:9", stdin="hunter2").stderr
    away = kiseki("login", "http://127.0.0.1:9", stdin="kk_" + "0" * 40)
    assert "127.0.0.1:9" in away.stderr
    assert away.stderr.count("\n") == 1


def test_sync_sends_a_run_once(
    kiseki: Callable, elsewhere: Callable, write_run: Callable, tmp_path: Path
) -> None:
    folder = write_run(rows=50)
    server = elsewhere(tmp_path)
    env = {"KISEKI_BASE_URL": server.url, "KISEKI_API_KEY": server.key}
    first = kiseki("sync", folder, env=env)
    assert first.returncode == 0, first.stderr
    assert json.loads(server.get(RUN))["rows"] == 50
    exported = server.get(f"{RUN}/export").decode()
    assert exported == kiseki("export", folder).stdout

    assert kiseki("sync", env=env).returncode == 0  # all of ./kiseki, the same run again
    assert server.get(f"{RUN}/export").decode() == exported


def test_sync_to_a_server_out_of_reach_fails_in_a_line_a_run(kiseki: Callable, write_run: Callable) -> None:
    folder = write_run()
    ended = kiseki("sync", folder, "--base-url", "http://127.0.0.1:9")
    assert ended.returncode == 1
    assert "127.0.0.1:9" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_rebuild_gives_equal_answers(kiseki: Callable, write_run: Callable, start_server: Callable) -> None:
    record_root(write_run(rows=500).parent)
    before = (kiseki("show", RUN[13:], "--json").stdout, kiseki("export", RUN[13:]).stdout)
    assert before[1].count("\n") == 500
    ended = kiseki("rebuild")
    assert ended.returncode == 0, ended.stderr
    after = (kiseki("show", RUN[13:], "--json").stdout, kiseki("export", RUN[13:]).stdout)
    assert after[1] == before[1]
    drop = {"at", "updated"}
    assert {k: v for k, v in json.loads(after[0]).items() if k not in drop} == {
        k: v for k, v in json.loads(before[0]).items() if k not in drop
    }


def test_rebuild_leaves_a_served_store_alone(kiseki: Callable, start_server: Callable) -> None:
    server = start_server(own=True)
    ended = kiseki("rebuild")
    assert ended.returncode == 1
    assert f"is in use at {server.url} (pid {server.process.pid}); stop that first" in ended.stderr


def test_doctor_says_where_everything_is(
    kiseki: Callable, write_run: Callable, start_server: Callable
) -> None:
    record_root(write_run().parent)
    alone = json.loads(kiseki("doctor", "--json").stdout)
    assert alone["server"]["url"] is None
    assert [(root["runs"], root["damaged"]) for root in alone["roots"]] == [(1, [])]
    server = start_server(own=True)
    ended = kiseki("doctor")
    assert ended.returncode == 0, ended.stdout
    assert f"server  {server.url} (by kiseki up): reachable, version " in ended.stdout


def test_doctor_points_at_a_damaged_file_and_a_dead_server(kiseki: Callable, write_run: Callable) -> None:
    folder = write_run(rows=100)
    (file,) = folder.glob("*.kiseki")
    data = bytearray(file.read_bytes())
    data[-30] ^= 0xFF
    file.write_bytes(data)
    ended = kiseki("doctor", env={"KISEKI_BASE_URL": "http://127.0.0.1:9"})
    assert ended.returncode == 1
    assert f"damaged: {file}: " in ended.stdout
    assert re.search(r"damaged at byte \d+", ended.stdout)
    assert re.search(r"server  http://127\.0\.0\.1:9 \(by KISEKI_BASE_URL\): .*127\.0\.0\.1:9", ended.stdout)
