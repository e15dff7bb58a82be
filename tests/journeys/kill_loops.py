"""Loops of `kill -9` at random moments: of the training, its sidecar, the server, and of all of them at once.

Each loop plays on real processes and compares, after every kill, the training's own ledger with the run's
files and with what the server serves once it has caught up. Run by the journeys (10 kills each), by
`test-long` (200 each) and by `benchmarks/kills.py`.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.journeys.account import Tally, check_file, rows_in_export
from tests.journeys.ledger import Phase
from tests.journeys.world import Home, Server, Training, await_true, homes

AIMS = ("anywhere", "start", "fork", "finish", "sealing")
CATCH_UP_S = 60.0
CRASHED_S = 20.0
"""Bounds of waiting, not claims: on a busy machine a loop must not fail for its neighbours."""

_SEGMENT_TEXT = 6000
"""Characters in a row of a training aimed at sealing: 170 rows fill a segment of 1 MiB."""


def kill_training(folder: Path, kills: int, seed: int) -> Tally:
    """Kill trainings; every second one is followed in place, the others stream to another home's server."""
    tally, rng = Tally("training", seed), random.Random(seed)
    ends: list[End | None] = []
    with homes(folder, "laptop", "server") as (laptop, cloud):
        local, remote = laptop.server(), cloud.server()
        for turn in range(kills):
            aim = AIMS[turn // 2 % len(AIMS)]
            server = (local, remote)[turn % 2]
            laptop.uploads_to(remote if server is remote else None)
            training = _aimed_training(laptop, rng, aim)
            _strike(training, rng, aim, training.kill)
            tally.struck(aim)
            ends.append(_settle(tally, laptop, server, training))
        _check_ends(tally, ends)
    return tally


def kill_sidecar(folder: Path, kills: int, seed: int) -> Tally:
    """Kill the sidecar of trainings that stream to a server; each training goes on and finishes."""
    tally, rng = Tally("sidecar", seed), random.Random(seed)
    ends: list[End | None] = []
    with homes(folder, "laptop", "server") as (laptop, cloud):
        server = cloud.server()
        laptop.uploads_to(server)
        for turn in range(kills):
            aim = AIMS[turn % len(AIMS)]
            training = _aimed_training(laptop, rng, aim)
            _strike(training, rng, aim, laptop.kill_sidecars)
            tally.struck(aim)
            training.ledger.goal = min(training.ledger.goal, training.ledger.logged + rng.randrange(1, 400))
            training.await_end()
            ends.append(_settle(tally, laptop, server, training))
        _check_ends(tally, ends)
    return tally


def kill_server(folder: Path, kills: int, seed: int) -> Tally:
    """Kill the server under a training that fills segment after segment, and start it again on its store."""
    tally, rng = Tally("server", seed), random.Random(seed)
    ends: list[End | None] = []
    with homes(folder, "laptop", "server") as (laptop, cloud):
        local, remote = laptop.server(), cloud.server()
        while tally.kills < kills:
            server = (local, remote)[tally.kills // 5 % 2]
            laptop.uploads_to(remote if server is remote else None)
            training = laptop.train(pause=0.0005, text=rng.choice((0, 0, _SEGMENT_TEXT)), width=20)
            training.await_phase(Phase.LOGGING)
            for _ in range(min(5, kills - tally.kills)):
                time.sleep(rng.uniform(0.0, 0.8))
                server.kill()
                tally.struck("ingest and sealing")
                if rng.random() < 0.3:  # and once more, somewhere in its own start
                    server.spawn()
                    time.sleep(rng.uniform(0.0, 0.6))
                    server.kill()
                    tally.aims["start"] = tally.aims.get("start", 0) + 1
                server.start()
            training.ledger.goal = training.ledger.logged + 1
            training.await_end()
            ends.append(_settle(tally, laptop, server, training))
        _check_ends(tally, ends)
    return tally


def kill_group(folder: Path, kills: int, seed: int) -> Tally:
    """Kill training, sidecar and server at once; start the server again, and sync to another home's."""
    tally, rng = Tally("whole group", seed), random.Random(seed)
    ends: list[End | None] = []
    with homes(folder, "laptop", "server") as (laptop, cloud):
        local, remote = laptop.server(), cloud.server()
        for turn in range(kills):
            aim = AIMS[turn // 2 % len(AIMS)]
            server = (local, remote)[turn % 2]
            laptop.uploads_to(remote if server is remote else None)
            training = _aimed_training(laptop, rng, aim)

            def all_of_them(server: Server = server, training: Training = training) -> None:
                victims: list[Callable[[], Any]] = [server.kill, training.kill, laptop.kill_sidecars]
                rng.shuffle(victims)
                for kill in victims:
                    kill()

            _strike(training, rng, aim, all_of_them)
            tally.struck(aim)
            server.start()
            if server is remote:
                laptop.kiseki("sync")
            ends.append(_settle(tally, laptop, server, training))
        _check_ends(tally, ends)
    return tally


LOOPS: dict[str, Callable[[Path, int, int], Tally]] = {
    "training": kill_training,
    "sidecar": kill_sidecar,
    "whole group": kill_group,
    "server": kill_server,
}


def seed_of_today() -> int:
    """`KISEKI_TEST_SEED`, else a new one; a failing loop prints it."""
    return int(os.environ.get("KISEKI_TEST_SEED") or random.randrange(1 << 30))


def _aimed_training(home: Home, rng: random.Random, aim: str) -> Training:
    if aim == "sealing":
        return home.train(text=_SEGMENT_TEXT, pause=0.0003)
    if aim == "fork":
        return home.train(pause=0.001, fork_at=rng.randrange(5, 200), child_rows=2000)
    if aim == "finish":
        return home.train(rng.randrange(1, 800))
    return home.train(pause=0.001)


def _strike(training: Training, rng: random.Random, aim: str, kill: Callable[[], object]) -> None:
    """Wait for the moment that `aim` names, and a random while, then kill."""
    phase, up_to = {
        "anywhere": (Phase.LOGGING, 1.0),
        "start": (rng.choice((Phase.IMPORTED, Phase.INIT, Phase.LOGGING)), 0.05),
        "fork": (Phase.FORK, 0.1),
        "finish": (Phase.FINISH, 0.1),
        "sealing": (Phase.LOGGING, 1.0),
    }[aim]
    training.await_phase(phase)
    time.sleep(rng.uniform(0.0, up_to))
    kill()


class End(NamedTuple):
    """How a run has to be shown in the end."""

    kill: int
    server: Server
    run_id: str
    phase: Phase

    @property
    def states(self) -> tuple[str, ...]:
        """Finished where `finish` had returned, crashed where it was killed, either in between."""
        return {Phase.FINISHED: ("finished",), Phase.FINISH: ("crashed", "finished")}.get(
            self.phase, ("crashed",)
        )

    @property
    def shown(self) -> str:
        """What the server shows now."""
        state: str = (self.server.run(self.run_id) or {"state": "unknown"})["state"]
        return state


def _settle(tally: Tally, home: Home, server: Server, training: Training) -> End | None:
    """Wait until the server has what the files have, and compare ledger, files and server."""
    ledger = training.ledger
    folder = _folder_of(home, training)
    if folder is None:
        if ledger.phase >= Phase.LOGGING:
            tally.fault(f"init() had returned, but there is no run directory ({ledger.run_id})")
        return None
    run_id = folder.name.split("-", 2)[2]
    found = check_file(tally, folder, ledger)
    total = len(found["i"]) + len(found["child"])
    # Before init() has returned nothing is promised: the run may or may not be known.
    promised = total > 0 or ledger.phase >= Phase.LOGGING

    def caught_up() -> bool:
        run = server.run(run_id)
        return run is not None and run["rows"] >= total

    seconds = CATCH_UP_S if promised else 1.0
    try:
        await_true(caught_up, seconds=seconds, what=f"{total} rows of run {run_id} on the server")
    except AssertionError as error:
        if promised:
            tally.fault(f"{error}; it has {server.run(run_id)}")
        return None
    served = rows_in_export(server.rows(run_id))
    tally.compare(f"server, run {run_id}", served["i"], found["i"])
    tally.compare(f"server, run {run_id}, child", served["child"], found["child"])
    run = server.run(run_id)
    assert run is not None
    if run["rows"] != total:
        tally.doubled += abs(run["rows"] - total)
        tally.fault(f"the server counts {run['rows']} rows of run {run_id}, the files hold {total}")
    return End(tally.kills, server, run_id, ledger.phase)


def _check_ends(tally: Tally, ends: list[End | None]) -> None:
    """Wait until every run is shown as it has ended."""
    left = [end for end in ends if end is not None]

    def all_shown() -> bool:
        left[:] = [end for end in left if end.shown not in end.states]
        return not left

    try:
        await_true(all_shown, seconds=CRASHED_S, what="every run to be shown as it ended")
    except AssertionError:
        tally.faults += [
            f"kill {end.kill}: run {end.run_id}, killed in {end.phase.name}, is shown as {end.shown}"
            for end in left
        ]


def _folder_of(home: Home, training: Training) -> Path | None:
    """The directory of the training's run; also where it was killed before it could say its id."""
    if training.ledger.run_id:
        return home.run_folder(training.ledger.run_id)
    started = [path for path in home.run_folders() if path not in training.earlier]
    return started[-1] if started and list(started[-1].glob("*.kiseki")) else None
