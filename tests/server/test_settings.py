"""What runs record unasked, as a server and its projects choose it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kiseki.app import Instance
from kiseki.server.settings import Applied, ChangedChoices, Choices, Sources
from kiseki.system.recording import DEFAULTS, NO_POLICY, load_policy

PROJECT = "/api/v1/projects/me/p/settings"


def test_every_choice_is_in_every_answer() -> None:
    for struct in (Choices, Applied, Sources, ChangedChoices):
        assert struct.__struct_fields__ == tuple(DEFAULTS)


def test_where_nobody_chose_the_defaults_apply(user: Any) -> None:
    for path in ("/api/v1/settings", PROJECT):
        found = user.get(path)
        assert set(found["own"].values()) == set(found["server"].values()) == {None}
        assert found["effective"] == DEFAULTS
        assert set(found["sources"].values()) == {"default"}


def test_a_project_inherits_from_its_server_until_it_chooses_itself(user: Any) -> None:
    changed = user("PUT", "/api/v1/settings", json={"console": False, "system_interval": 30})
    assert changed.status_code == 200
    assert changed.json()["own"]["console"] is False
    found = user.get(PROJECT)
    assert found["own"]["console"] is None
    assert found["server"]["console"] is False
    assert found["effective"]["console"] is False
    assert found["sources"]["console"] == "server"
    assert found["effective"]["system_interval"] == 30.0

    user("PUT", PROJECT, json={"console": True})
    found = user.get(PROJECT)
    assert (found["own"]["console"], found["effective"]["console"]) == (True, True)
    assert found["sources"]["console"] == "project"
    assert found["effective"]["system_interval"] == 30.0
    assert user.get("/api/v1/projects/me/other/settings")["effective"]["console"] is False

    user("PUT", PROJECT, json={"console": None})
    assert user.get(PROJECT)["sources"]["console"] == "server"
    user("PUT", "/api/v1/settings", json={"console": None})
    assert user.get(PROJECT)["sources"]["console"] == "default"


def test_without_git_no_diff_applies(user: Any) -> None:
    user("PUT", PROJECT, json={"git": False})
    found = user.get(PROJECT)
    assert found["effective"]["diff"] is False
    assert found["sources"]["diff"] == "project"
    assert found["own"]["diff"] is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"system_interval": 0.5}, "system_interval takes 0 (off) or 1 to 3600 seconds, not 0.5"),
        ({"system_interval": -1}, "0 (off) or 1 to 3600 seconds"),
        ({"system_interval": 1e9}, "0 (off) or 1 to 3600 seconds"),
        ({"system_interval": "soon"}, "$.system_interval"),
        ({"console": "off"}, "$.console"),
        ({"telepathy": True}, "telepathy"),
        ([], "object"),
    ],
)
def test_what_makes_no_sense_is_refused_whole_and_in_words(user: Any, body: Any, words: str) -> None:
    answer = user("PUT", PROJECT, json=body if isinstance(body, list) else {"git": False, **body})
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert user.get(PROJECT)["own"]["git"] is None


def test_a_stranger_neither_reads_nor_changes_them(stranger: Any) -> None:
    assert stranger("GET", "/api/v1/settings").status_code == 401
    assert stranger("PUT", PROJECT, json={"git": False}).status_code == 401


def test_they_outlive_the_server(make_instance: Callable[..., Instance], ask_app: Any, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    first = make_instance()
    ask_app(first.asgi, headers)("PUT", PROJECT, json={"git": False})
    first.close()
    again = ask_app(make_instance().asgi, headers)
    assert again.get(PROJECT)["own"]["git"] is False


def test_only_a_server_of_local_runs_leaves_them_for_this_machine(
    make_instance: Callable[..., Instance], ask_app: Any, key: str
) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    remote = make_instance()
    ask_app(remote.asgi, headers)("PUT", PROJECT, json={"git": False})
    assert load_policy(None) == NO_POLICY
    remote.close()
    local = ask_app(make_instance(local_roots=True).asgi, headers)
    local("PUT", "/api/v1/settings", json={"system_interval": 1})
    assert load_policy(None)[:2] == ({"system_interval": 1.0}, {"me/p": {"git": False}})


def test_where_the_store_lies_is_no_matter_of_strangers(stranger: Any, user: Any) -> None:
    assert stranger.get("/api/v1/server")["store"] is None
    assert user.get("/api/v1/server")["store"].endswith("store.db")
