from pathlib import Path

import pytest

from kiseki.system.recording import (
    DEFAULTS,
    NO_POLICY,
    Choice,
    Policy,
    Value,
    check_choice,
    effective,
    load_policy,
    store_policy,
)


def test_a_wish_wins_over_the_project_over_the_server_over_the_default() -> None:
    policy = Policy({"console": False, "git": False, "save_code": False}, {"me/p": {"git": True}}, 1.0)
    found = effective({"save_code": (True, "init")}, policy, "me", "p")
    assert found["save_code"] == Choice(True, "init")
    assert found["git"] == Choice(True, "project")
    assert found["console"] == Choice(False, "server")
    assert found["system_interval"] == Choice(10.0, "default")
    assert effective({}, policy, "me", "other")["git"] == Choice(False, "server")
    assert set(found) == set(DEFAULTS)


def test_without_git_there_is_no_diff() -> None:
    found = effective({"git": (False, "environment"), "diff": (True, "init")}, NO_POLICY, "me", "p")
    assert found["diff"] == Choice(False, "environment")


def test_a_policy_is_found_again_by_any_spelling_of_its_server() -> None:
    policy = Policy({"console": False}, {"me/p": {"system_interval": 1.0}}, 5.0)
    store_policy("http://Example.org:80/", policy)
    assert load_policy("http://example.org") == policy
    assert load_policy("http://other.org") == load_policy(None) == NO_POLICY
    store_policy(None, policy)
    assert load_policy(None) == policy


@pytest.mark.parametrize("text", ["", "{", "[]", '{"server": 3, "projects": {}, "fetched": 1}', "\xff"])
def test_a_policy_that_cannot_be_read_is_none(text: str, isolated_home: Path) -> None:
    folder = isolated_home / "data/kiseki/policies"
    folder.mkdir(parents=True)
    (folder / "local.json").write_bytes(text.encode("latin-1"))
    assert load_policy(None) == NO_POLICY


def test_choices_of_a_newer_server_are_left_alone(isolated_home: Path) -> None:
    folder = isolated_home / "data/kiseki/policies"
    folder.mkdir(parents=True)
    (folder / "local.json").write_text(
        '{"server": {"telepathy": true, "git": false, "system_interval": 1e9}, "projects": {}, "fetched": 1}'
    )
    assert load_policy(None) == Policy({"git": False}, {}, 1.0)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("telepathy", True, "there is no setting 'telepathy'"),
        ("git", 1, "git takes true or false, not 1"),
        ("system_interval", 0.5, "0 (off) or 1 to 3600 seconds, not 0.5"),
        ("system_interval", True, "seconds, not True"),
        ("system_interval", float("nan"), "seconds, not nan"),
    ],
)
def test_a_wrong_choice_is_named_with_what_it_takes(name: str, value: Value, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_choice(name, value)
    assert words in str(caught.value)
