import os
from pathlib import Path

import pytest

from kiseki.system import credentials
from kiseki.system.credentials import LocalServer, find_key, save_key
from kiseki.system.paths import config_home, servers_dir

KEY = "kk_" + "a" * 40


@pytest.fixture(autouse=True)
def _own_homes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KISEKI_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("KISEKI_CONFIG_HOME", str(tmp_path / "config"))


def test_saved_key_is_found_for_its_server_only() -> None:
    save_key("https://Kiseki.example.org/", KEY)
    assert find_key("https://kiseki.example.org:443") == KEY
    assert find_key("http://kiseki.example.org") is None
    assert find_key("https://kiseki.example.org:8443") is None
    assert (config_home() / "credentials.json").stat().st_mode & 0o777 == 0o600


def test_text_that_is_no_key_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValueError, match="kk_") as caught:
        save_key("http://localhost:1", "my secret")
    assert "my secret" not in str(caught.value)


def test_own_running_server_needs_no_login() -> None:
    server = LocalServer("http://127.0.0.1:7117", KEY, "s1", os.getpid())
    credentials.announce_server(server)
    assert (servers_dir() / "s1.json").stat().st_mode & 0o777 == 0o600
    assert find_key("http://localhost:7117") == KEY
    assert find_key("http://localhost:7118") is None
    assert find_key("http://example.org:7117") is None
    credentials.withdraw_server("s1")
    credentials.withdraw_server("s1")
    assert find_key("http://localhost:7117") is None


def test_key_of_a_dead_server_is_never_offered() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    credentials.announce_server(LocalServer("http://127.0.0.1:7117", KEY, "s1", child))
    assert credentials.local_servers() == []
    assert find_key("http://127.0.0.1:7117") is None


def test_damaged_files_are_passed_over() -> None:
    config_home().mkdir()
    (config_home() / "credentials.json").write_text("{")
    servers_dir().mkdir(parents=True)
    (servers_dir() / "x.json").write_text("[]")
    assert find_key("http://127.0.0.1:7117") is None
