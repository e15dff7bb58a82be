"""Full and read-only disks, folders that vanish: the training goes on, and what was written stays good."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.journeys.account import rows_in_export, rows_in_files
from tests.journeys.faults import disk
from tests.journeys.ledger import Phase
from tests.journeys.world import Home, Server, Training, await_true

from kiseki.store.database import RESERVE_BYTES


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    with disk(tmp_path / "small", 4) as folder:
        yield folder


def test_full_disk_loses_nothing_that_fits_in_memory(laptop: Home, small_disk: Path) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(3_000_000))
    training = laptop.train(600, text=10_000, pause=0.001, mode="offline", dir=str(small_disk))
    training.await_rows(300)  # 3 MB on a disk that had room for one
    filler.unlink()
    training.ledger.goal = 320
    training.await_end()
    folder = _only_run(small_disk)
    assert rows_in_files(folder)["i"] == list(range(320))
    assert _warnings(training) == 1, training.output


def test_full_disk_that_stays_full_keeps_what_was_written(laptop: Home, small_disk: Path) -> None:
    training = laptop.train(
        3000, text=10_000, mode="offline", dir=str(small_disk)
    )  # 30 MB: more than can wait
    training.await_end()
    found = rows_in_files(_only_run(small_disk))["i"]
    assert len(found) > 300 and found == list(range(len(found)))
    assert "disk" in training.output or "space" in training.output


def test_read_only_disk_at_the_start_is_one_warning(laptop: Home, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    training = laptop.train(500, mode="offline", dir=str(small_disk))
    training.await_end()
    assert training.ledger.logged == 500
    assert _warnings(training) == 1, training.output


def test_file_size_limit_is_one_warning_and_harms_nothing(laptop: Home) -> None:
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
import kiseki
run = kiseki.init(project="journey", mode="offline")
for i in range(5000):
    run.log({"i": i})
run.finish()
"""
    done = laptop.python(code)
    found = rows_in_files(laptop.run_folders()[0])["i"]
    assert len(found) > 100 and found == list(range(len(found)))
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr


def test_full_disk_of_the_server_makes_the_run_wait(laptop: Home, cloud: Home) -> None:
    with disk(cloud.folder / "data", RESERVE_BYTES // 2**20 + 40) as data:
        server = cloud.server()
        laptop.uploads_to(server)
        laptop.env["KISEKI_FINISH_TIMEOUT"] = "2"
        training = laptop.train(pause=0.002)
        training.await_phase(Phase.LOGGING)
        run_id = training.ledger.run_id
        await_true(lambda: (server.run(run_id) or {}).get("rows", 0) > 10, what="the first rows")
        filler = data / "filler"
        filler.write_bytes(bytes(shutil.disk_usage(data).free - 1_000_000))
        training.await_rows(training.ledger.logged + 500)
        training.ledger.goal = training.ledger.logged + 10
        training.await_end()
        assert "full" in training.output and "kiseki sync" in training.output
        filler.unlink()
        rows = training.ledger.logged
        await_true(lambda: (server.run(run_id) or {}).get("rows") == rows, seconds=60, what=f"{rows} rows")
        assert rows_in_export(server.rows(run_id))["i"] == list(range(rows))
        cloud.close()


def test_run_directory_deleted_under_a_live_run(laptop: Home) -> None:
    server = laptop.server()
    training = laptop.train(pause=0.002)
    training.await_rows(100)
    run_id = training.ledger.run_id
    await_true(lambda: (server.run(run_id) or {}).get("rows", 0) >= 100, what="100 rows on the server")
    shutil.rmtree(laptop.run_folder(run_id))
    await_true(lambda: (server.run(run_id) or {}).get("source_gone"), what="the run to be marked")
    training.ledger.goal = training.ledger.logged + 100
    training.await_end()
    served = rows_in_export(server.rows(run_id))["i"]
    assert served[:100] == list(range(100)) and served == list(range(len(served)))
    assert "Traceback" not in training.output


def test_run_directory_deleted_later_leaves_what_was_ingested(laptop: Home) -> None:
    server = laptop.server()
    training = laptop.train(200)
    training.await_end()
    run_id = training.ledger.run_id
    await_true(lambda: (server.run(run_id) or {}).get("rows") == 200, what="200 rows on the server")
    await_true(lambda: _is_sealed(server), what="the ended writers to be sealed")
    server.stop()
    shutil.rmtree(laptop.run_folder(run_id))
    server.start()
    await_true(lambda: (server.run(run_id) or {}).get("source_gone"), what="the run to be marked")
    assert rows_in_export(server.rows(run_id))["i"] == list(range(200))
    server.stop()
    laptop.kiseki("rebuild")
    server.start()
    assert rows_in_export(server.rows(run_id))["i"] == list(range(200))


def _is_sealed(server: Server) -> bool:
    with contextlib.closing(sqlite3.connect(f"file:{server.store / 'store.db'}?mode=ro", uri=True)) as store:
        waiting = store.execute("SELECT count(*) FROM writers WHERE sealed_to < offset OR NOT ended")
        return waiting.fetchone() == (0,)


def test_damaged_file_is_shown_up_to_the_damage(laptop: Home) -> None:
    training = laptop.train(1000, mode="offline")
    training.await_end()
    run_id = training.ledger.run_id
    folder = laptop.run_folder(run_id)
    path = max(folder.glob("*.kiseki"), key=lambda p: p.stat().st_size)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    kept = rows_in_files(folder)["i"]
    assert 0 < len(kept) < 1000 and kept == list(range(len(kept)))
    server = laptop.server()
    await_true(lambda: (server.run(run_id) or {}).get("rows") == len(kept), what=f"{len(kept)} rows")
    # The follower tells of the damage in its next turn.
    damage = await_true(lambda: (server.run(run_id) or {}).get("damage"), what="the damage")
    assert "byte" in damage
    assert rows_in_export(server.rows(run_id))["i"] == kept


def _only_run(folder: Path) -> Path:
    found = list(folder.glob("kiseki/run-*"))
    assert len(found) == 1
    return found[0]


def _warnings(training: Training) -> int:
    assert training.ledger.phase == Phase.FINISHED
    assert "Traceback" not in training.output
    return training.output.lower().count("warning")
