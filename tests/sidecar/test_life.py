"""How the sidecar notices deaths, shares one spool, and ends."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kiseki.records.kinds import State
from kiseki.records.reader import read_records
from kiseki.records.writer import RecordWriter
from kiseki.sidecar.death import Deaths
from kiseki.sidecar.follow import RunFollow
from kiseki.sidecar.loop import Sidecar
from kiseki.sidecar.spool import Spool
from kiseki.system.locks import is_locked

Wait = Callable[..., Any]
Arrived = Callable[[Any], bool]


def _verdicts(trainer: Any) -> list[tuple[str, str | None]]:
    """State and judged writer of every verdict in the sidecars' own files."""
    found = []
    for path in trainer.run_dir.glob("*.kiseki"):
        reading = read_records(path.read_bytes())
        if reading.header is not None and reading.header.role == "sidecar":
            states = [entry.record for entry in reading.entries if isinstance(entry.record, State)]
            found += [(state.state, state.writer) for state in states if state.writer is not None]
    return found


def _watches(pid: int) -> bool:
    """Whether the process holds a pidfd."""
    try:
        return any("pidfd" in os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:  # One was closed meanwhile.
        return False


def test_a_killed_training_is_shown_as_crashed(world: Any, wait_until: Wait) -> None:
    world.sidecar()
    trainer = world.trainer()
    trainer.do("log 100")
    trainer.kill()
    wait_until(lambda: trainer.run().fold.state == "crashed")
    assert _verdicts(trainer) == [("crashed", trainer.writer)]
    told = f"process {trainer.process.pid} was ended by SIGKILL"  # By Linux 6.15 and later.
    untold = f"process {trainer.process.pid} ended without finish"
    assert trainer.run().fold.reason in (told, untold)
    assert trainer.run().fold.rows == 100
    wait_until(lambda: not world.pointers())


def test_an_exit_without_finish_is_shown_as_crashed(world: Any, wait_until: Wait) -> None:
    world.sidecar()
    trainer = world.trainer()
    trainer.do("log 5")
    trainer.leave()
    wait_until(lambda: trainer.run().fold.state == "crashed")


def test_a_terminated_training_is_shown_as_killed(world: Any, wait_until: Wait) -> None:
    world.sidecar()
    trainer = world.trainer()
    trainer.do("log 5")
    wait_until(lambda: _watches(world.sidecars[0].pid))
    trainer.process.terminate()
    trainer.process.wait()
    wait_until(lambda: trainer.run().fold.state != "running")
    if trainer.run().fold.exit_code is not None:  # The kernel tells how a process ended.
        assert (trainer.run().fold.state, trainer.run().fold.exit_code) == ("killed", 128 + signal.SIGTERM)


def test_a_finished_training_is_not_judged(world: Any, wait_until: Wait) -> None:
    world.sidecar()
    trainer = world.trainer()
    trainer.do("log 5")
    trainer.do("finish")
    trainer.do("log 1")  # The final state is not the last record.
    trainer.kill()
    wait_until(lambda: not world.pointers())
    assert trainer.run().fold.state == "finished"
    assert _verdicts(trainer) == []


def test_a_death_before_the_sidecar_started_is_noticed(world: Any, wait_until: Wait) -> None:
    trainer = world.trainer()
    trainer.do("log 7")
    trainer.kill()
    world.sidecar()
    wait_until(lambda: trainer.run().fold.state == "crashed")


def test_a_torn_tail_is_reported_and_never_sent(
    world: Any, server: Any, url: str, arrived: Arrived, wait_until: Wait
) -> None:
    world.sidecar()
    trainer = world.trainer(base_url=url)
    trainer.do("log 10")
    whole = len(trainer.bytes())
    trainer.do("torn")
    trainer.kill()
    wait_until(lambda: world.progress().get("state") == "done")
    assert bytes(server.writers[trainer.writer]) == trainer.bytes()[:whole]
    wait_until(lambda: trainer.run().fold.state == "crashed")
    assert f"torn or damaged at byte {whole}" in (trainer.run().fold.reason or "")
    own = next(path for path in trainer.run_dir.glob("*.kiseki") if path != trainer.path)
    wait_until(lambda: bytes(server.writers.get(own.stem, b"")) == own.read_bytes())


def test_a_child_without_pointer_is_looked_after(
    world: Any, url: str, arrived: Arrived, wait_until: Wait
) -> None:
    world.sidecar()
    trainer = world.trainer(base_url=url)
    child = world.trainer("wddddddddddddddd", pointer=False, primary=False)
    child.do("log 4")
    wait_until(lambda: arrived(child))
    child.leave()
    wait_until(lambda: ("finished", child.writer) in _verdicts(trainer))
    trainer.do("log 1")
    assert trainer.run().fold.state == "running"


def test_one_spool_has_one_sidecar(world: Any, wait_until: Wait) -> None:
    first = world.sidecar()
    trainer = world.trainer()
    wait_until(lambda: (world.spool / "lock").exists() and (world.spool / "lock").read_text().strip())
    second = world.sidecar()
    assert second.wait(20) == 0
    assert first.poll() is None
    trainer.kill()


def test_the_sidecar_ends_after_its_last_run(world: Any) -> None:
    sidecar = world.sidecar(linger=0.2)
    assert sidecar.wait(20) == 0


def test_sigterm_ends_it_once_its_runs_are_sent(
    world: Any, server: Any, url: str, arrived: Arrived, wait_until: Wait
) -> None:
    sidecar = world.sidecar()
    trainer = world.trainer(base_url=url)
    trainer.do("log 20")
    wait_until(lambda: trainer.writer in server.writers)
    sidecar.send_signal(signal.SIGTERM)
    trainer.do("log 20")
    trainer.do("finish")
    assert sidecar.wait(20) == 0
    assert arrived(trainer)


def test_a_run_folder_deleted_under_it_costs_only_that_run(
    world: Any, server: Any, url: str, arrived: Arrived, wait_until: Wait
) -> None:
    sidecar = world.sidecar()
    gone = world.trainer(base_url=url)
    other = world.trainer("wbbbbbbbbbbbbbbb", base_url=url, run_id="r2", uid="2" * 32)
    wait_until(lambda: {gone.writer, other.writer} <= set(server.writers))
    shutil.rmtree(gone.run_dir)
    wait_until(lambda: "is gone" in world.log())
    other.do("log 5")
    wait_until(lambda: arrived(other))
    assert sidecar.poll() is None
    assert world.pointers() == [other.writer]


def test_a_server_that_stays_away_is_given_up_and_the_next_sidecar_goes_on(
    world: Any, server: Any, serve: Any, arrived: Arrived, wait_until: Wait
) -> None:
    with serve(server) as url:
        port = int(url.rsplit(":", 1)[1])
    trainer = world.trainer(base_url=url)
    trainer.do("log 5")
    trainer.do("finish")
    spool = Spool(world.spool)
    assert spool.acquire()
    Sidecar(spool, linger=0.1, patience=0.5).run()  # Ends though the run is not sent.
    assert world.pointers() == [trainer.writer]
    assert world.progress()["state"] == "waiting"
    with serve(server, port):
        world.sidecar()
        wait_until(lambda: arrived(trainer))
        wait_until(lambda: not world.pointers())


def test_a_spool_that_is_removed_costs_no_row(
    world: Any, server: Any, url: str, arrived: Arrived, wait_until: Wait
) -> None:
    sidecar = world.sidecar(linger=0.2)
    trainer = world.trainer(base_url=url)
    wait_until(lambda: trainer.writer in server.writers)
    shutil.rmtree(world.spool)  # As logging out does with $XDG_RUNTIME_DIR.
    trainer.do("log 50")
    trainer.do("finish")
    wait_until(lambda: arrived(trainer))
    assert sidecar.wait(20) == 0


def test_a_disk_that_takes_no_verdict_is_said_and_the_writer_still_ends(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = world.trainer()
    trainer.do("log 5")
    run = RunFollow(trainer.run_dir)
    run.list_writers()
    trainer.kill()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RecordWriter, "create", full)
    (follow,) = run.judge_dead(Deaths())
    assert follow.ended
    assert run.own.trouble == (f"no file of the sidecar's own in {trainer.run_dir}: No space left on device")


def test_a_damaged_run_costs_only_that_run(world: Any, url: str, arrived: Arrived, wait_until: Wait) -> None:
    bad = world.trainer(base_url=url)
    data = bytearray(bad.bytes())
    data[30] ^= 0xFF
    bad.path.write_bytes(data)
    world.sidecar()
    good = world.trainer("wbbbbbbbbbbbbbbb", base_url=url, run_id="r2", uid="2" * 32)
    good.do("log 3")
    wait_until(lambda: arrived(good))
    wait_until(lambda: world.progress().get("state") == "stopped")
    assert "damaged" in world.progress()["error"]


def test_a_pointer_dropped_while_it_ends_is_taken(world: Any, wait_until: Wait) -> None:
    for number in range(3):
        world.sidecar(linger=0.05)
        trainer = world.trainer(f"waaaaaaaaaaaaa{number:02}", run_id=f"r{number}")
        # What the library does: where no lock is held, start another.
        if not is_locked(world.spool / "lock"):
            world.sidecar(linger=0.05)
        trainer.do("finish")
        wait_until(lambda: not world.pointers())


def test_it_loads_neither_openssl_nor_numpy_nor_asyncio(
    world: Any, url: str, arrived: Arrived, wait_until: Wait
) -> None:
    sidecar = world.sidecar()
    trainer = world.trainer(base_url=url)
    trainer.do("log 1000")
    wait_until(lambda: arrived(trainer))
    with open(f"/proc/{sidecar.pid}/maps") as maps:
        loaded = maps.read()
    assert "libssl" not in loaded and "numpy" not in loaded and "_asyncio" not in loaded
    with open(f"/proc/{sidecar.pid}/smaps_rollup") as rollup:
        private = sum(int(line.split()[1]) for line in rollup if line.startswith("Private_"))
    assert private <= 19 * 1024
    assert os.getpriority(os.PRIO_PROCESS, sidecar.pid) > 0


def test_wrong_arguments_are_said() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kiseki.sidecar", "/nowhere"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "usage" in done.stderr
