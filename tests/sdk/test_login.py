from pathlib import Path

import pytest

import kiseki
from kiseki.system.credentials import find_key
from kiseki.system.paths import config_home

KEY = "kk_" + "b" * 40


def test_without_a_server_nothing_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "https://api.wandb.ai")
    assert kiseki.login(key=KEY) is False
    assert kiseki.login() is False
    assert not config_home().exists()


def test_key_is_kept_for_the_named_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KISEKI_BASE_URL", "http://127.0.0.1:9")
    assert kiseki.login() is False
    assert kiseki.login(key=KEY) is True
    assert find_key("http://127.0.0.1:9") == KEY
    assert kiseki.login() is True


def test_host_names_the_server_of_later_runs(monkeypatch: pytest.MonkeyPatch, workdir: Path) -> None:
    monkeypatch.setenv("KISEKI_BASE_URL", "")
    assert kiseki.login(KEY, host="http://127.0.0.1:9") is True
    run = kiseki.init(settings={"finish_timeout": 0, "silent": True}, entity="m", project="p", id="r")
    assert run.url == "http://127.0.0.1:9/m/p/runs/r"


def test_key_of_another_company_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KISEKI_BASE_URL", "http://127.0.0.1:9")
    assert kiseki.login(key="0123456789" * 4) is False
    said = capsys.readouterr().err
    assert "kk_" in said and "0123456789" not in said
    assert not config_home().exists()


def test_wrong_types_are_named() -> None:
    with pytest.raises(TypeError, match="host"):
        kiseki.login(host=5)  # type: ignore[arg-type]
