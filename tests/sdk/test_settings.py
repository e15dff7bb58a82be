from pathlib import Path
from typing import Any

import pytest

import kiseki
from kiseki.sdk.settings import SETTINGS, RunSettings, Settings, resolve_settings


def test_the_table_and_the_struct_name_the_same_settings() -> None:
    derived = {"recording"}
    assert {setting.name for setting in SETTINGS} == set(RunSettings.__struct_fields__) - derived
    assert all(setting.meaning.endswith(".") for setting in SETTINGS)


def test_no_variable_of_another_company_names_a_host_or_a_key() -> None:
    foreign = {v for setting in SETTINGS for v in setting.variables if not v.startswith("KISEKI_")}
    assert foreign == {
        "WANDB_CONSOLE",
        "WANDB_DIR",
        "WANDB_DISABLE_CODE",
        "WANDB_DISABLED",
        "WANDB_DISABLE_GIT",
        "WANDB_ENTITY",
        "WANDB_IGNORE_GLOBS",
        "WANDB_JOB_TYPE",
        "WANDB_MODE",
        "WANDB_NAME",
        "WANDB_NOTES",
        "WANDB_PROJECT",
        "WANDB_QUIET",
        "WANDB_RESUME",
        "WANDB_RUN_GROUP",
        "WANDB_RUN_ID",
        "WANDB_SAVE_CODE",
        "WANDB_SILENT",
        "WANDB_TAGS",
    }
    found = resolve_settings(
        {}, environ={"WANDB_BASE_URL": "https://api.wandb.ai", "WANDB_API_KEY": "x" * 40}
    )
    assert found.base_url is None
    assert found.api_key is None


def test_keyword_wins_over_settings_over_own_over_foreign_variable() -> None:
    environ = {"KISEKI_PROJECT": "own", "WANDB_PROJECT": "foreign", "WANDB_NOTES": "foreign"}
    assert resolve_settings({"project": "k"}, {"project": "s"}, environ).project == "k"
    assert resolve_settings({"project": None}, {"project": "s"}, environ).project == "s"
    assert resolve_settings({}, Settings(), environ).project == "own"
    assert resolve_settings({}, None, environ).run_notes == "foreign"


@pytest.mark.parametrize(
    ("environ", "name", "value"),
    [
        ({"WANDB_MODE": "dryrun"}, "mode", "offline"),
        ({"KISEKI_MODE": "ONLINE"}, "mode", "online"),
        ({"WANDB_DISABLED": "true"}, "disabled", True),
        ({"KISEKI_TAGS": "a, b,,a"}, "run_tags", ("a", "b")),
        ({"KISEKI_FINISH_TIMEOUT": "2.5"}, "finish_timeout", 2.5),
        ({"KISEKI_BASE_URL": "http://localhost:7117/"}, "base_url", "http://localhost:7117"),
        ({"KISEKI_PROJECT": ""}, "project", None),
    ],
)
def test_variables_are_read(environ: dict[str, str], name: str, value: object) -> None:
    assert getattr(resolve_settings({}, None, environ), name) == value


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"project": 5}, ["project", "str", "int"]),
        ({"entity": "api"}, ['entity may not be "api"', "another name"]),
        ({"project": "a/b"}, ['project "a/b" may not contain "/"', 'entity="a"', 'project="b"']),
        ({"id": ""}, ["id", "leave it out"]),
        ({"project": "x" * 200}, ["project", "128"]),
        ({"entity": "a#b"}, ["entity", "#"]),
        ({"id": "a/b"}, ["id", "/"]),
        ({"id": ".."}, ["id"]),
        ({"name": 3}, ["name", "str"]),
        ({"notes": 4}, ["notes", "str"]),
        ({"tags": 5}, ["tags", "list of str"]),
        ({"tags": ["a", 2]}, ["tags", "int"]),
        ({"tags": ["x" * 65]}, ["tags", "64"]),
        ({"config": 5}, ["config", "dict", "int"]),
        ({"config": "file.yaml"}, ["config", "dict", "str"]),
        ({"config": [1]}, ["config", "dict"]),
        ({"mode": "zzz"}, ["mode", "offline", "zzz"]),
        ({"mode": 7}, ["mode", "offline"]),
        ({"dir": 5}, ["dir", "path"]),
        ({"reinit": "zz"}, ["reinit", "finish_previous"]),
        ({"resume": "zz"}, ["resume", "allow"]),
        ({"settings": 5}, ["settings", "dict"]),
        ({"settings": {"mode": "zzz"}}, ["settings.mode", "zzz"]),
        ({"save_code": "maybe"}, ["save_code", "true or false"]),
    ],
)
def test_wrong_arguments_are_named_with_what_they_take(
    keywords: dict[str, Any], words: list[str], workdir: Path
) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        kiseki.init(**keywords)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message
    assert kiseki.run is None
    assert list(workdir.iterdir()) == []


def test_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, workdir: Path) -> None:
    monkeypatch.setenv("WANDB_MODE", "sometimes")
    with pytest.raises(ValueError, match=r"WANDB_MODE.*sometimes"):
        kiseki.init()


def test_key_is_never_shown() -> None:
    key = "kk_" + "0" * 40
    assert key not in repr(Settings(api_key=key)) + repr(resolve_settings({}, {"api_key": key}, {}))


def test_settings_take_any_name(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = kiseki.init(settings=kiseki.Settings(mode="disabled", start_method="thread", run_name="n"))
    assert run.name == "n"
    assert run.disabled
    assert "start_method" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("keywords", "settings", "environ", "chosen"),
    [
        ({}, None, {}, {}),
        ({"save_code": False}, None, {"KISEKI_SAVE_CODE": "true"}, {"save_code": (False, "init")}),
        ({}, {"save_code": True}, {"WANDB_SAVE_CODE": "false"}, {"save_code": (True, "settings")}),
        (
            {},
            None,
            {"WANDB_DISABLE_CODE": "true"},
            {"save_code": (False, "environment"), "diff": (False, "environment")},
        ),
        (
            {"save_code": True},
            None,
            {"WANDB_DISABLE_CODE": "true"},
            {"save_code": (True, "init"), "diff": (False, "environment")},
        ),
        (
            {},
            {"save_code": True, "disable_code": True},
            {},
            {"save_code": (False, "settings"), "diff": (False, "settings")},
        ),
        ({}, {"console": "off"}, {}, {"console": (False, "settings")}),
        ({}, None, {"WANDB_CONSOLE": "wrap"}, {"console": (True, "environment")}),
        ({}, None, {"WANDB_DISABLE_GIT": "1"}, {"git": (False, "environment")}),
        ({}, {"save_diff": False}, {}, {"diff": (False, "settings")}),
        ({}, {"x_save_requirements": False}, {}, {"requirements": (False, "settings")}),
        (
            {},
            {"x_disable_stats": True, "x_stats_sampling_interval": 5},
            {},
            {"system_interval": (0.0, "settings")},
        ),
        (
            {},
            {"x_stats_sampling_interval": 0.5},
            {"KISEKI_X_DISABLE_STATS": "1"},
            {"system_interval": (0.5, "settings")},
        ),
    ],
)
def test_what_the_user_chose_to_record_is_kept_with_its_source(
    keywords: dict[str, Any], settings: Any, environ: dict[str, str], chosen: dict[str, Any]
) -> None:
    assert resolve_settings(keywords, settings, environ).recording == chosen


@pytest.mark.parametrize("value", ["0.05", "4000", "-1", "soon"])
def test_an_interval_outside_its_range_is_named_with_it(value: str) -> None:
    with pytest.raises(ValueError, match="KISEKI_X_STATS_SAMPLING_INTERVAL takes"):
        resolve_settings({}, None, {"KISEKI_X_STATS_SAMPLING_INTERVAL": value})


def test_patterns_of_files_to_leave_out_are_a_list() -> None:
    assert resolve_settings({}, None, {"WANDB_IGNORE_GLOBS": "*.tmp, a/*"}).ignore_globs == ("*.tmp", "a/*")
    assert resolve_settings({}, {"ignore_globs": ["*.tmp"]}, {}).ignore_globs == ("*.tmp",)


def test_save_code_false_of_init_wins_and_says_nothing(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KISEKI_SAVE_CODE", "true")
    with kiseki.init(save_code=False, mode="offline") as run:
        assert run.settings.recording["save_code"] == (False, "init")
    assert "save_code" not in capsys.readouterr().err
