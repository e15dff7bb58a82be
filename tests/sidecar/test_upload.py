"""What reaches the server while a training runs, whatever happens to server, sidecar and connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Wait = Callable[..., Any]
Arrived = Callable[[Any], bool]


def test_rows_arrive_while_the_training_runs(
    world: Any, url: str, arrived: Arrived, wait_until: Wait
) -> None:
    world.sidecar()
    trainer = world.trainer(base_url=url)
    trainer.do("log 3")
    wait_until(lambda: arrived(trainer))
    trainer.do("log 2000")
    wait_until(lambda: arrived(trainer))


def test_finish_is_reported_done_and_the_pointer_goes(
    world: Any, url: str, arrived: Arrived, wait_until: Wait
) -> None:
    sidecar = world.sidecar(linger=1.5)
    trainer = world.trainer(base_url=url)
    trainer.do("log 100")
    trainer.do("finish")
    wait_until(lambda: world.progress().get("state") == "done")
    size = len(trainer.bytes())
    assert (world.progress()["offset"], world.progress()["size"]) == (size, size)
    assert world.progress()["url"] == "http://here/run"
    wait_until(lambda: not world.pointers())
    assert sidecar.wait(20) == 0
    assert arrived(trainer)


def test_a_run_is_closed_once_the_server_has_all_whatever_this_machines_disk_does(
    world: Any, server: Any, url: str, wait_until: Wait
) -> None:
    world.sidecar(setup="import kiseki.sidecar.durable as durable; durable.INTERVAL_S = 3600.0")
    trainer = world.trainer(base_url=url)
    trainer.do("log 100")
    trainer.do("finish")
    wait_until(lambda: world.progress().get("closed"))
    files = {path.stem: path.read_bytes() for path in trainer.run_dir.glob("*.kiseki")}
    assert len(files) == 2  # The sidecar's own too.
    assert {writer: bytes(data) for writer, data in server.writers.items()} == files
    assert world.pointers() == [trainer.writer]  # For its bytes are not known to be on the disk.


def test_a_server_away_costs_nothing_and_catches_up(
    world: Any, server: Any, serve: Any, arrived: Arrived, wait_until: Wait
) -> None:
    with serve(server) as url:
        port = int(url.rsplit(":", 1)[1])
        world.sidecar()
        trainer = world.trainer(base_url=url)
        trainer.do("log 10")
        wait_until(lambda: arrived(trainer))
    trainer.do("log 500")
    wait_until(lambda: world.progress()["state"] == "waiting")
    assert "cannot reach" in world.progress()["error"]
    trainer.do("log 500")
    with serve(server, port):
        wait_until(lambda: arrived(trainer))
    assert server.breaches == []


def test_an_answer_lost_after_the_commit_sends_nothing_twice(
    world: Any, server: Any, url: str, arrived: Arrived, wait_until: Wait
) -> None:
    taken = 0

    def lose_every_other(body: bytes) -> str | None:
        nonlocal taken
        taken += 1
        return "drop" if taken % 2 else None

    server.after = lose_every_other
    world.sidecar()
    trainer = world.trainer(base_url=url)
    trainer.do("log 50")
    trainer.do("finish")
    wait_until(lambda: arrived(trainer))
    wait_until(lambda: world.progress().get("state") == "done")


def test_a_server_rolled_back_gets_the_rest_again(
    world: Any, server: Any, url: str, arrived: Arrived, wait_until: Wait
) -> None:
    world.sidecar()
    trainer = world.trainer(base_url=url)
    trainer.do("log 10")
    wait_until(lambda: arrived(trainer))
    old = bytes(server.writers[trainer.writer])
    trainer.do("log 1000")
    wait_until(lambda: arrived(trainer))
    with server.lock:
        server.writers[trainer.writer] = bytearray(old)
    trainer.do("log 1")
    wait_until(lambda: arrived(trainer))


def test_another_server_at_the_address_gets_nothing(
    world: Any, server: Any, serve: Any, arrived: Arrived, wait_until: Wait
) -> None:
    with serve(server) as url:
        port = int(url.rsplit(":", 1)[1])
        world.sidecar()
        trainer = world.trainer(base_url=url)
        trainer.do("log 10")
        wait_until(lambda: arrived(trainer))
    other = type(server)(server_id="server-b")
    with serve(other, port):
        trainer.do("log 10")
        wait_until(lambda: world.progress()["state"] == "stopped")
    assert "another server" in world.progress()["error"]
    assert f"kiseki sync {trainer.run_dir}" in world.progress()["error"]
    assert other.writers == {}


def test_a_run_that_exists_already_is_stopped_and_others_go_on(
    world: Any, server: Any, url: str, arrived: Arrived, wait_until: Wait
) -> None:
    world.sidecar()
    first = world.trainer(base_url=url)
    second = world.trainer("wbbbbbbbbbbbbbbb", base_url=url, uid="2" * 32, run_dir=world.folder / "other")
    third = world.trainer("wccccccccccccccc", base_url=url, uid="3" * 32, run_id="r3")
    wait_until(lambda: third.writer in server.writers and {first.writer, second.writer} & set(server.writers))
    stopped = first if first.writer not in server.writers else second
    wait_until(lambda: world.progress(stopped.writer).get("state") == "stopped")
    assert "exists; use resume or another id" in world.progress(stopped.writer)["error"]
    third.do("log 5")
    wait_until(lambda: arrived(third))


def test_too_large_a_request_is_halved(
    world: Any, server: Any, url: str, arrived: Arrived, wait_until: Wait
) -> None:
    server.before = lambda body: 413 if len(body) > 20_000 else None
    trainer = world.trainer(base_url=url)
    trainer.do("log 3000")
    world.sidecar()
    wait_until(lambda: arrived(trainer))


def test_a_busy_server_is_asked_again(
    world: Any, server: Any, url: str, arrived: Arrived, wait_until: Wait
) -> None:
    refusals = iter([503, 429, 507])
    server.before = lambda body: next(refusals, None)
    world.sidecar()
    trainer = world.trainer(base_url=url)
    trainer.do("log 5")
    wait_until(lambda: arrived(trainer))


def test_a_refused_key_is_said_and_a_login_heals_it(
    world: Any, server: Any, url: str, arrived: Arrived, wait_until: Wait
) -> None:
    from kiseki.system.credentials import save_key

    server.key = "kk_" + "a" * 40
    world.sidecar(env={"KISEKI_API_KEY": "kk_" + "b" * 40})
    trainer = world.trainer(base_url=url)
    wait_until(lambda: world.progress().get("state") == "waiting")
    save_key(url, server.key)
    trainer.do("log 5")
    wait_until(lambda: arrived(trainer))


def test_a_followed_writer_is_listed_but_not_sent(
    world: Any, server: Any, url: str, arrived: Arrived, wait_until: Wait
) -> None:
    server.following.add("waaaaaaaaaaaaaaa")
    world.sidecar()
    trainer = world.trainer(base_url=url)
    trainer.do("log 50")
    wait_until(lambda: world.progress().get("state") == "following")
    assert server.writers == {}
    server.following.clear()  # Its folder is no longer within the server's reach.
    wait_until(lambda: arrived(trainer))


def test_a_killed_sidecar_loses_nothing(world: Any, url: str, arrived: Arrived, wait_until: Wait) -> None:
    sidecar = world.sidecar()
    trainer = world.trainer(base_url=url)
    for _ in range(5):
        trainer.do("log 200")
        sidecar.kill()
        sidecar.wait()
        sidecar = world.sidecar()
    trainer.do("finish")
    wait_until(lambda: world.progress().get("state") == "done")
    assert arrived(trainer)


def test_live_writers_are_listed_without_new_rows(
    world: Any, server: Any, url: str, arrived: Arrived, wait_until: Wait
) -> None:
    world.sidecar()
    trainer = world.trainer(base_url=url)
    wait_until(lambda: arrived(trainer))
    seen = server.heartbeats[trainer.writer]
    wait_until(lambda: server.heartbeats[trainer.writer] > seen)
    parts = [part for request in server.requests for part in request if part.writer == trainer.writer]
    assert len(parts[-1].data) == 0


def test_a_record_larger_than_a_turn_arrives(
    world: Any, url: str, arrived: Arrived, wait_until: Wait
) -> None:
    world.sidecar()
    trainer = world.trainer(base_url=url)
    trainer.do("large 3000000")
    trainer.do("log 2")
    wait_until(lambda: arrived(trainer))


def test_an_offline_run_is_never_sent(world: Any, server: Any, url: str, wait_until: Wait) -> None:
    sidecar = world.sidecar(linger=0.3)
    trainer = world.trainer(base_url=url, mode="offline")
    trainer.do("log 5")
    trainer.do("finish")
    wait_until(lambda: not world.pointers())
    assert sidecar.wait(20) == 0
    assert server.requests == []
