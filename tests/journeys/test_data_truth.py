"""Files and journal are the truth: what a server derives from them can be thrown away and made again."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path
from typing import Any

from tests.journeys.account import rows_in_files
from tests.journeys.world import Home, Server, Training, await_true

from kiseki.records import read_header, read_run
from kiseki.sidecar.death import last_word

_VARIES = ("at", "updated", "url")
"""Fields of a run that tell when the server touched it, and so may differ after a rebuild."""


def test_rebuild_gives_equal_results_from_received_bytes(laptop: Home, cloud: Home) -> None:
    server = cloud.server()
    laptop.uploads_to(server)
    trainings = _three_trainings(laptop, server)
    before = [_all_of(server, training) for training in trainings]
    server.stop()
    cloud.kiseki("rebuild")
    server.start()
    assert [_all_of(server, training) for training in trainings] == before


def test_a_killed_rebuild_harms_nothing(laptop: Home, cloud: Home) -> None:
    server = cloud.server()
    laptop.uploads_to(server)
    trainings = _three_trainings(laptop, server)
    before = [_all_of(server, training) for training in trainings]
    server.stop()
    for _ in range(4):
        rebuild = cloud.start_kiseki("rebuild")
        time.sleep(random.uniform(0.3, 1.2))
        rebuild.kill()
        rebuild.wait()
    server.start()
    assert [_all_of(server, training) for training in trainings] == before


def test_rebuild_gives_equal_results_from_files_followed_in_place(laptop: Home) -> None:
    server = laptop.server()
    trainings = _three_trainings(laptop, server)
    before = [_all_of(server, training) for training in trainings]
    server.stop()
    laptop.kiseki("rebuild")
    server.start()
    assert [_all_of(server, training) for training in trainings] == before


def test_a_lost_store_comes_back_from_the_files(laptop: Home) -> None:
    server = laptop.server()
    trainings = _three_trainings(laptop, server)
    before = [_all_of(server, training) for training in trainings]
    server.stop()
    shutil.rmtree(server.store)
    server.start()
    for training in trainings:
        _await_all(server, laptop, training)
    after = [_all_of(server, training) for training in trainings]
    assert [_without_place(one) for one in after] == [_without_place(one) for one in before]


def test_run_sent_and_run_followed_read_the_same(laptop: Home, cloud: Home) -> None:
    near, far = laptop.server(), cloud.server()
    laptop.uploads_to(far)
    training = laptop.train(3000, width=12, fork_at=100, child_rows=50)
    training.await_end()
    for server in (near, far):
        _await_all(server, laptop, training)
    assert _without_place(_all_of(near, training)) == _without_place(_all_of(far, training))


def _three_trainings(home: Home, server: Server) -> list[Training]:
    """A wide one of several segments, one that forked, and one that was killed."""
    wide = home.train(1200, text=3000, width=30)
    wide.await_end()
    forked = home.train(400, fork_at=100, child_rows=300)
    forked.await_end()
    killed = home.train(pause=0.001)
    killed.await_rows(300)
    killed.kill()
    trainings = [wide, forked, killed]
    for training in trainings:
        _await_all(server, home, training)
    return trainings


def _await_all(server: Server, home: Home, training: Training) -> None:
    run_id = training.ledger.run_id
    found = rows_in_files(home.run_folder(run_id))
    total = len(found["i"]) + len(found["child"])
    state = "finished" if training.process.returncode == 0 else "crashed"

    def complete() -> bool:
        run = server.run(run_id)
        if run is None or run["rows"] != total or run["state"] != state:
            return False
        # What the sidecar found out may come after the end.
        folder = home.run_folder(run_id)
        ended = [last_word(path) for path in folder.glob("*.kiseki") if _role(path) == "sidecar"]
        return all(ended) and run["environment"] == read_run(folder).fold.environment

    await_true(complete, seconds=60.0, what=f"{total} rows of run {run_id}, {state}, and its environment")


def _role(path: Path) -> str:
    return read_header(path.read_bytes())[0].role


def _all_of(server: Server, training: Training) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    run = server.run(training.ledger.run_id)
    assert run is not None
    return {k: v for k, v in run.items() if k not in _VARIES}, server.rows(training.ledger.run_id)


def _without_place(found: tuple[dict[str, Any], list[dict[str, Any]]]) -> tuple[dict[str, Any], list[Any]]:
    """Without what belongs to the server: the place in its project."""
    return {k: v for k, v in found[0].items() if k != "color"}, found[1]
