"""When a run's code is looked at: once, also of short runs, and never at the cost of the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kiseki.records.kinds import Environment
from kiseki.records.reader import read_records
from kiseki.system.process import start_time

Wait = Callable[..., Any]


def _found(run_dir: Path) -> list[dict[str, Any]]:
    """What sidecars recorded in Environment records, in no order."""
    found = []
    for path in run_dir.glob("*.kiseki"):
        reading = read_records(path.read_bytes())
        if reading.header is not None and reading.header.role == "sidecar":
            found += [entry.record.info for entry in reading.entries if isinstance(entry.record, Environment)]
    return found


def _with_errand(folder: Path, body: str, patience: float = 60.0) -> str:
    """Python that has a sidecar run `body` as the errand, for `patience` seconds after the run's end."""
    lines = (
        "import os, time",
        "def main(request, say, orders):",
        "    say({'environment': {'pid': os.getpid()}})",
        f"    {body}",
    )
    (folder / "an_errand.py").write_text("\n".join(lines) + "\n")
    patch = "import kiseki.sidecar.provenance_attendant as p; p.MODULE = 'an_errand'"
    return f"import sys; sys.path.insert(0, {str(folder)!r}); {patch}; p.AFTER_END_S = {patience}"


def test_a_run_that_is_over_at_once_is_looked_at_too(world: Any, wait_until: Wait) -> None:
    trainer = world.trainer(recording={})
    trainer.do("log 1")
    trainer.do("finish")
    trainer.leave()
    world.sidecar()
    wait_until(lambda: not world.pointers(), seconds=60)
    keys = {key for info in _found(trainer.run_dir) for key in info}
    assert {"git", "recording", "cpu"} <= keys


def test_a_sidecar_that_replaces_another_does_not_look_again(world: Any, wait_until: Wait) -> None:
    trainer = world.trainer(recording={})
    first = world.sidecar()
    wait_until(lambda: any("git" in info for info in _found(trainer.run_dir)), seconds=60)
    first.kill()
    first.wait()
    world.sidecar()
    trainer.do("finish")
    wait_until(lambda: not world.pointers(), seconds=60)
    assert sum("recording" in info for info in _found(trainer.run_dir)) == 2
    assert sum("git" in info for info in _found(trainer.run_dir)) == 1


def test_one_that_hangs_is_ended_soon_after_the_run(world: Any, tmp_path: Path, wait_until: Wait) -> None:
    trainer = world.trainer(recording={})
    world.sidecar(setup=_with_errand(tmp_path, "time.sleep(600)", 0.3))
    wait_until(lambda: any("pid" in info for info in _found(trainer.run_dir)), seconds=60)
    (pid,) = [info["pid"] for info in _found(trainer.run_dir) if "pid" in info]
    trainer.do("finish")
    wait_until(lambda: not world.pointers(), seconds=60)
    assert "the look at its code took too long and was ended" in world.log()
    wait_until(lambda: start_time(pid) is None)


def test_one_that_dies_is_said_in_the_log(world: Any, tmp_path: Path, wait_until: Wait) -> None:
    trainer = world.trainer(recording={})
    world.sidecar(setup=_with_errand(tmp_path, "os._exit(3)"))
    trainer.do("finish")
    wait_until(lambda: not world.pointers(), seconds=60)
    assert "the look at its code ended with status 3" in world.log()
    assert any("pid" in info for info in _found(trainer.run_dir))
