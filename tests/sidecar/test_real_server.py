"""Training, sidecar and `kiseki up` as real processes: rows arrive exactly once whatever is killed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

from kiseki.client.api import Api
from kiseki.records.directory import history

Wait = Callable[..., Any]


def _rows(server: Any) -> list[dict[str, Any]]:
    run = Api(base_url=server.url, api_key=server.key).run("me/proj/r1")
    return [row for row in run.scan_history() if "_lane" not in row]


def _settled(world: Any, trainer: Any) -> bool:
    progress = world.progress()
    return progress.get("offset") == len(trainer.bytes()) and progress["state"] in ("sending", "done")


def test_a_run_streams_to_a_server_that_does_not_see_its_files(
    world: Any, start_server: Callable[..., Any], wait_until: Wait
) -> None:
    server = start_server()
    world.sidecar(env={"KISEKI_API_KEY": server.key})
    trainer = world.trainer(base_url=server.url)
    trainer.do("log 300")
    trainer.do("finish")
    wait_until(lambda: world.progress().get("state") == "done")
    assert world.progress()["url"] == f"{server.url}/me/proj/runs/r1"
    assert _rows(server) == list(history(trainer.run_dir))


def test_a_killed_server_has_every_row_once_when_it_is_back(
    world: Any, start_server: Callable[..., Any], wait_until: Wait
) -> None:
    server = start_server()
    port = server.url.rsplit(":", 1)[1]
    trainer = world.trainer(base_url=server.url)
    world.sidecar()  # It finds each server's own key, which is another after every start.
    for _ in range(3):
        trainer.do("log 2000")
        server.kill()
        trainer.do("log 100")
        server = start_server("--port", port, store=server.store)
        wait_until(lambda: _settled(world, trainer))
    trainer.do("finish")
    wait_until(lambda: world.progress().get("state") == "done")
    rows = _rows(server)
    assert [row["_step"] for row in rows] == list(range(6300))
    assert rows == list(history(trainer.run_dir))


def test_a_server_set_back_to_an_older_copy_gets_the_rest_again(
    world: Any, start_server: Callable[..., Any], wait_until: Wait
) -> None:
    server = start_server()
    port = server.url.rsplit(":", 1)[1]
    world.sidecar()
    trainer = world.trainer(base_url=server.url)
    trainer.do("log 500")
    wait_until(lambda: _settled(world, trainer))
    server.stop()
    copy = world.folder / "copy"
    shutil.copytree(server.store, copy)
    server = start_server("--port", port, store=server.store)
    trainer.do("log 5000")
    wait_until(lambda: _settled(world, trainer))
    server.stop()
    shutil.rmtree(server.store)
    shutil.copytree(copy, server.store)
    server = start_server("--port", port, store=server.store)
    trainer.do("log 500")
    trainer.do("finish")
    wait_until(lambda: world.progress().get("state") == "done")
    assert _rows(server) == list(history(trainer.run_dir))


def test_a_crash_is_known_to_the_server_at_once(
    world: Any, start_server: Callable[..., Any], wait_until: Wait
) -> None:
    server = start_server()
    world.sidecar()
    trainer = world.trainer(base_url=server.url)
    trainer.do("log 5")
    wait_until(lambda: _settled(world, trainer))
    api = Api(base_url=server.url, api_key=server.key)
    assert api.run("me/proj/r1").state == "running"
    trainer.kill()
    wait_until(lambda: api.run("me/proj/r1").state == "crashed", seconds=5)
