"""What real sidecars measure of real trainers, when, and what becomes of it."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from kiseki.records.reader import read_records
from kiseki.records.system_metrics import describe
from kiseki.system.process import hostname

Wait = Callable[..., Any]
Arrived = Callable[[Any], bool]
_OFTEN = {"system_interval": [0.6, "init"]}


def _own_headers(run_dir: Path) -> list[Any]:
    headers = [read_records(path.read_bytes()).header for path in run_dir.glob("*.kiseki")]
    return sorted((h for h in headers if h is not None and h.role == "sidecar"), key=lambda h: h.wall_ns)


def test_a_busy_loop_and_an_allocation_show_in_their_true_size(
    world: Any, samples: Any, wait_until: Wait
) -> None:
    world.sidecar()
    trainer = world.trainer(recording=_OFTEN)
    wait_until(lambda: len(samples(trainer.run_dir)) >= 1)
    process = psutil.Process(trainer.process.pid)
    before = samples(trainer.run_dir)[-1]
    spent_before = sum(process.cpu_times()[:2])
    trainer.do("hold 300")
    trainer.do("busy 2")
    count = len(samples(trainer.run_dir))
    wait_until(lambda: len(samples(trainer.run_dir)) >= count + 2)
    rows = [row for row in samples(trainer.run_dir) if row["_timestamp"] >= before["_timestamp"]]
    spent = sum(process.cpu_times()[:2]) - spent_before
    measured = sum(
        row["system.proc.cpu.percent"] / 100 * (row["_timestamp"] - earlier["_timestamp"])
        for earlier, row in itertools.pairwise(rows)
    )
    assert 0.6 * spent < measured < 1.4 * spent  # Seconds of processor time; it was asked for 2.
    most = max(row["system.proc.memory.rssMB"] for row in rows)
    assert 250 < most - before["system.proc.memory.rssMB"] < 700
    last = rows[-1]
    machine = psutil.virtual_memory().total / 2**20
    assert last["system.proc.memory.percent"] == pytest.approx(
        100 * last["system.proc.memory.rssMB"] / machine, rel=0.01
    )
    assert 0 < last["system.memory_percent"] < 100
    assert 0 < last["system.proc.memory.availableMB"] < machine
    for row in rows:
        if row["system.proc.cpu.percent"]:
            share = row["system.cpu"] / row["system.proc.cpu.percent"]
            assert share == pytest.approx(1 / len(psutil.Process().cpu_affinity() or [0]), rel=0.01)


def test_a_row_has_every_metric_that_this_machine_has(world: Any, samples: Any, wait_until: Wait) -> None:
    world.sidecar()
    trainer = world.trainer(recording=_OFTEN)
    trainer.do("child")
    wait_until(lambda: len(samples(trainer.run_dir)) >= 2)
    row = samples(trainer.run_dir)[-1]
    keys = {key for key in row if not key.startswith("_")}
    assert [key for key in keys if describe(key) is None] == []
    wanted = {
        "system.cpu",
        "system.cpu.cpu_percent",
        "system.cpu.0.cpu_percent",
        "system.proc.cpu.percent",
        "system.proc.cpu.threads",
        "system.proc.memory.rssMB",
        "system.proc.memory.percent",
        "system.proc.memory.availableMB",
        "system.proc.openFiles",
        "system.memory_percent",
        "system.disk./.usagePercent",
        "system.disk./.usageGB",
        "system.network.sent",
        "system.network.recv",
        "system.network.sentBps",
        "system.network.recvBps",
    }
    assert wanted - keys == set()
    assert row["system.proc.processes"] == 2.0
    assert row["system.disk./.usagePercent"] == pytest.approx(psutil.disk_usage("/").percent, abs=5)


def test_two_runs_share_their_ticks_and_each_has_its_own_processes(
    world: Any, samples: Any, wait_until: Wait
) -> None:
    often = {"system_interval": [1.0, "init"]}  # So that ticks of one cannot pass for those of the other.
    world.sidecar()
    small = world.trainer(recording=often)
    large = world.trainer("wbbbbbbbbbbbbbbb", run_id="r2", uid="2" * 32, recording=often, mode="offline")
    large.do("hold 200")

    def shared() -> list[tuple[dict[str, Any], dict[str, Any]]]:
        return [
            (one, other)
            for one in samples(small.run_dir)
            for other in samples(large.run_dir)
            if abs(one["_timestamp"] - other["_timestamp"]) < 0.3
        ]

    wait_until(lambda: len(shared()) >= 2)
    one, other = shared()[-1]
    assert one["system.cpu.cpu_percent"] == other["system.cpu.cpu_percent"]
    assert one["system.memory_percent"] == other["system.memory_percent"]
    assert other["system.proc.memory.rssMB"] - one["system.proc.memory.rssMB"] > 150


def test_the_first_sample_comes_soon_and_the_last_at_the_end(
    world: Any, samples: Any, wait_until: Wait
) -> None:
    world.sidecar()
    trainer = world.trainer()  # Every ten seconds.
    wait_until(lambda: samples(trainer.run_dir))
    trainer.do("log 5")
    trainer.do("finish")
    wait_until(lambda: not world.pointers())
    assert 2 <= len(samples(trainer.run_dir)) <= 3
    (own,) = _own_headers(trainer.run_dir)
    assert own.label == hostname()
    assert trainer.run().damage == []


def test_a_killed_sidecar_is_replaced_and_goes_on_measuring(
    world: Any, samples: Any, wait_until: Wait
) -> None:
    first = world.sidecar()
    trainer = world.trainer(recording=_OFTEN)
    wait_until(lambda: len(samples(trainer.run_dir)) >= 1)
    first.kill()
    first.wait()
    count = len(samples(trainer.run_dir))
    world.sidecar()
    wait_until(lambda: len(samples(trainer.run_dir)) >= count + 1)
    trainer.do("finish")
    wait_until(lambda: not world.pointers())
    old, new = _own_headers(trainer.run_dir)
    assert old.pid == first.pid and new.pid != first.pid
    verdicts = [
        entry.record
        for path in trainer.run_dir.glob(f"{new.writer}.kiseki")
        for entry in read_records(path.read_bytes()).entries
        if getattr(entry.record, "writer", None) == old.writer
    ]
    assert [verdict.state for verdict in verdicts] == ["finished"]


def test_interval_zero_measures_nothing_but_says_what_the_machine_is(
    world: Any, samples: Any, facts: Any, wait_until: Wait
) -> None:
    world.sidecar()
    trainer = world.trainer(recording={"system_interval": [0.0, "init"]})
    wait_until(lambda: "cpu" in facts(trainer.run_dir))
    machine = facts(trainer.run_dir)["cpu"]
    assert machine["count_logical"] == psutil.cpu_count()
    assert machine["ram_bytes"] == psutil.virtual_memory().total
    trainer.do("finish")
    wait_until(lambda: not world.pointers())
    assert samples(trainer.run_dir) == []


def test_a_proc_that_cannot_be_read_costs_metrics_and_nothing_else(
    world: Any, url: str, arrived: Arrived, wait_until: Wait
) -> None:
    unshare = shutil.which("unshare")
    hide = [str(unshare), "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
    if unshare is None or subprocess.run([*hide, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace can be made here")
    trainer = world.trainer(
        base_url=url, recording=_OFTEN | dict.fromkeys(("requirements", "git", "save_code"), (False, "init"))
    )
    sidecar = [sys.executable, "-I", "-m", "kiseki.sidecar", str(world.spool)]
    with (world.spool / "sidecar.log").open("ab") as log:
        process = subprocess.Popen([*hide, *sidecar], stderr=log, cwd="/")
    world.sidecars.append(process)
    trainer.do("log 20")
    wait_until(lambda: arrived(trainer))
    trainer.do("log 20")
    trainer.do("finish")
    wait_until(lambda: not world.pointers())
    assert arrived(trainer)
    assert "Traceback" not in world.log()
