"""What runs record unasked is asked of their server, obeyed while they run, and told to their trainings."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kiseki.records.directory import read_run
from kiseki.sidecar.follow import RunFollow
from kiseki.sidecar.recording import PATIENCE_S, Recording
from kiseki.sidecar.spool import Spool
from kiseki.system.recording import NO_POLICY, Policy, load_policy, store_policy

Wait = Callable[..., Any]


def _ask(server: Any, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{server.url}/api/v1{path}", data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def _set(server: Any, choices: Mapping[str, Any], path: str = "/projects/me/proj/settings") -> None:
    _ask(server, "PUT", path, choices)


def _shown(server: Any) -> Any:
    """What the server shows of the run's choices."""
    return _ask(server, "GET", "/runs/me/proj/r1")["environment"]["recording"]


def _recorded(run_dir: Path, name: str) -> list[Any]:
    """What the run says of a choice: value and source; empty while it says nothing."""
    choice = read_run(run_dir).fold.environment.get("recording", {}).get(name, {})
    return list(choice.values())


def _commands(trainer: Any) -> Any:
    path = trainer.run_dir / f"{trainer.writer}.commands"
    return json.loads(path.read_text()) if path.exists() else None


def test_the_choices_of_a_server_reach_a_running_training_and_the_next_run(
    world: Any, start_server: Callable[..., Any], wait_until: Wait
) -> None:
    server = start_server()
    _set(server, {"git": False}, "/settings")
    world.sidecar(env={"KISEKI_API_KEY": server.key})
    trainer = world.trainer(base_url=server.url, recording={})
    wait_until(lambda: _recorded(trainer.run_dir, "git") == [False, "server"])
    assert _recorded(trainer.run_dir, "console") == [True, "default"]
    assert _commands(trainer) is None

    _set(server, {"console": False, "system_interval": 1})
    wait_until(lambda: _commands(trainer) == {"console": False})
    assert _recorded(trainer.run_dir, "console") == [False, "project"]
    assert _recorded(trainer.run_dir, "system_interval") == [1.0, "project"]
    assert load_policy(server.url)[:2] == (
        {"git": False},
        {"me/proj": {"console": False, "system_interval": 1.0}},
    )
    wait_until(lambda: _shown(server)["console"] == {"value": False, "source": "project"})

    trainer.do("finish")
    wait_until(lambda: _commands(trainer) is None)


def test_without_a_server_what_is_known_on_this_machine_applies_and_is_looked_at_again(
    world: Any, wait_until: Wait
) -> None:
    store_policy(None, Policy({"console": False}, {}, 1.0))
    world.sidecar()
    trainer = world.trainer(recording={})
    wait_until(lambda: _commands(trainer) == {"console": False})
    assert _recorded(trainer.run_dir, "console") == [False, "server"]
    store_policy(None, NO_POLICY)
    wait_until(lambda: _commands(trainer) == {"console": True})
    assert _recorded(trainer.run_dir, "console") == [True, "default"]


def test_a_wish_of_the_run_is_stronger_than_any_server(world: Any, wait_until: Wait) -> None:
    store_policy(None, Policy({"console": False, "git": False}, {}, 1.0))
    world.sidecar()
    trainer = world.trainer(recording={"console": [True, "init"]})
    wait_until(lambda: _recorded(trainer.run_dir, "git") == [False, "server"])
    assert _recorded(trainer.run_dir, "console") == [True, "init"]
    assert _commands(trainer) is None


def test_a_server_that_knows_no_settings_or_is_away_leaves_what_was_known(
    world: Any, server: Any, serve: Callable[..., Any], wait_until: Wait
) -> None:
    with serve(server) as url:
        store_policy(url, Policy({"git": False}, {}, 1.0))
        world.sidecar()
        trainer = world.trainer(base_url=url, recording={})
        wait_until(lambda: _recorded(trainer.run_dir, "git") == [False, "server"])
    away = world.trainer("wbbbbbbbbbbbbbbb", base_url=url, run_id="r2", uid="0" * 31 + "2", recording={})
    wait_until(lambda: _recorded(away.run_dir, "git") == [False, "server"])
    assert load_policy(url) == Policy({"git": False}, {}, 1.0)


def test_a_server_that_is_away_is_waited_for_a_while_and_wakes_nobody_after_that(world: Any) -> None:
    trainer = world.trainer(base_url="http://127.0.0.1:9", recording={})
    (pointer,) = Spool(world.spool).pointers()
    run = RunFollow(trainer.run_dir)
    run.add_pointer(pointer)
    asked: list[float] = []
    now = 100.0

    def ask(base_url: str, path: str) -> None:
        asked.append(now)

    recording = Recording(ask)
    run.list_writers()
    recording.attend(run, now)
    while not recording.settled(run):
        now = recording.next_turn()
        recording.attend(run, now)
    assert PATIENCE_S <= now - 100.0 < PATIENCE_S + 0.5
    assert recording.next_turn() == float("inf")
    often = len(asked)
    trainer.do("finish")
    for follow in run.writers.values():
        follow.look()
    now += 60.0
    recording.attend(run, now)
    assert len(asked) == often  # A run that has ended has nothing to ask.
    recording.release(run)
    run.own.close()
