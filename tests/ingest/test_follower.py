"""Local run directories are followed in place: found, read as they grow, judged when their process dies."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from kiseki.client.protocol import Part
from kiseki.ingest import Ingest, LocalFollower, followed
from kiseki.ingest import follower as follower_module
from kiseki.records.kinds import State
from kiseki.store import Store, open_store
from kiseki.store.series import read_points
from kiseki.store.tables import directories, journal, raw, runs, writers
from kiseki.system.process import this_process

from .conftest import UID, RunDirectory, header, part, send
from .derived import derived_rows

Wait = Callable[..., Any]


def living(number: int = 1, **more: Any) -> Any:
    """A header of this test's own process."""
    me = this_process()
    return header(number, pid=me.pid, pid_start=me.start, boot_id=me.boot_id, pid_ns=me.pid_ns, **more)


def dead(number: int = 1, **more: Any) -> Any:
    """A header of a process of this machine that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    me = this_process()
    return header(number, pid=process.pid, pid_start=1, boot_id=me.boot_id, pid_ns=me.pid_ns, **more)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder that holds run directories."""
    folder = tmp_path / "kiseki"
    folder.mkdir()
    return folder


@pytest.fixture
def follower(ingest: Ingest, root: Path) -> Iterator[LocalFollower]:
    """A follower whose thread is not started."""
    follower = LocalFollower(ingest, lambda: [root])
    yield follower
    follower.close()


def the_run(store: Store) -> Any:
    with store.read() as connection:
        return connection.execute(select(runs)).first()


def values(store: Store, key: str = "loss") -> list[Any]:
    with store.read() as connection:
        found = read_points(store, connection, 1, [key])
    return list(found[key][0].values.tolist()) if key in found else []


def test_new_runs_and_rows_are_noticed(
    root: Path, follower: LocalFollower, store: Store, wait_until: Wait
) -> None:
    follower.start()
    directory = RunDirectory(root / "run-1")
    writer = directory.writer(living())
    for step in range(20):
        writer.log_row({"loss": float(step)}, step)
        wait_until(lambda step=step: (run := the_run(store)) and run.rows == step + 1)
    assert follower.follows(UID, header().writer)
    assert the_run(store).shown_state == "running"
    writer.append(State(writer.now(), "failed", 3, "ValueError"))
    wait_until(lambda: the_run(store).shown_state == "failed")
    writer.close()
    with store.read() as connection:
        assert connection.execute(select(func.count()).select_from(journal)).scalar() == 0
        assert connection.execute(select(writers.c.path)).scalar() == str(writer.path)
    assert values(store) == [float(step) for step in range(20)]


def test_a_question_makes_it_look_first_and_is_told_to_send_nothing(
    root: Path, follower: LocalFollower, ingest: Ingest
) -> None:
    follower.catch_up()
    writer = RunDirectory(root / "run-1").writer(living())
    writer.log_row({"loss": 1.0}, 0)
    (answer,) = ingest.append([Part(run_uid=UID, writer=header().writer)]).result(20)
    assert (answer.status, answer.following, answer.offset) == (200, True, writer.position)
    (answer,) = ingest.append([Part(run_uid=UID, writer="w-elsewhere")]).result(20)
    assert (answer.following, answer.offset) == (False, 0)
    writer.close()


def test_a_death_without_a_word_is_a_crash(
    root: Path, follower: LocalFollower, store: Store, wait_until: Wait
) -> None:
    script = textwrap.dedent("""
        import sys
        sys.path.insert(0, sys.argv[1])
        from pathlib import Path
        from tests.ingest.conftest import RunDirectory
        from tests.ingest.test_follower import living
        writer = RunDirectory(Path(sys.argv[2])).writer(living())
        writer.log_row({"loss": 0.5}, 0)
        print("logged", flush=True)
        sys.stdin.read()
    """)
    follower.start()
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(Path(__file__).parents[2]), str(root / "run-1")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "logged\n"
    wait_until(lambda: (run := the_run(store)) and run.rows == 1)
    assert the_run(store).shown_state == "running"
    process.kill()
    process.communicate()
    wait_until(lambda: the_run(store).shown_state == "crashed")
    assert the_run(store).state == "running"
    wait_until(lambda: values(store) == [0.5])


def test_a_torn_file_is_read_up_to_the_damage_and_says_so(
    root: Path, follower: LocalFollower, store: Store
) -> None:
    directory = RunDirectory(root / "run-1")
    writer = directory.writer(dead())
    for step in range(5):
        writer.log_row({"loss": float(step)}, step)
    writer.close()
    ((_, data),) = directory.files()
    writer.path.write_bytes(data[:-3])
    follower.catch_up()
    run = the_run(store)
    assert (run.rows, run.shown_state) == (4, "crashed")
    assert str(writer.path) in run.damage
    assert "torn at byte" in run.damage


def test_a_file_that_was_cut_or_replaced_is_marked(root: Path, follower: LocalFollower, store: Store) -> None:
    directory = RunDirectory(root / "run-1")
    writer = directory.writer(living())
    for step in range(5):
        writer.log_row({"loss": float(step)}, step)
    follower.catch_up()
    writer.path.write_bytes(writer.path.read_bytes()[:-40])
    (root / "run-1" / "w-note.txt").write_text("touches the folder")
    follower.catch_up()
    assert "cut" in the_run(store).damage
    assert values(store) == [0.0, 1.0, 2.0, 3.0, 4.0]
    writer.close()


def test_a_directory_that_vanished_leaves_what_was_ingested(
    root: Path, follower: LocalFollower, store: Store, ingest: Ingest, wait_until: Wait
) -> None:
    follower.start()
    writer = RunDirectory(root / "run-1").writer(living())
    for step in range(50):
        writer.log_row({"loss": float(step)}, step)
    wait_until(lambda: (run := the_run(store)) and run.rows == 50)
    shutil.rmtree(root / "run-1")
    wait_until(lambda: the_run(store).source_gone)
    ingest.seal_ended().result(20)
    assert values(store) == [float(step) for step in range(50)]
    before = derived_rows(store)
    assert ingest.rebuild().result(20) == []
    assert derived_rows(store) == before
    writer.close()


def test_ended_directories_are_remembered_and_not_opened_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        writer = RunDirectory(root / f"run-{number}").writer(
            dead(uid=f"{number:032d}", run_id=f"r{number}")
            if number == 0
            else header(number, uid=f"{number:032d}", run_id=f"r{number}")
        )
        writer.log_row({"loss": 0.5}, 0)
        writer.append(State(writer.now(), "finished", 0))
        writer.close()
    opened: list[Path] = []
    original = followed.FollowedFile.read_head

    def counting(self: Any) -> bool:
        opened.append(self.path)
        return original(self)

    monkeypatch.setattr(followed.FollowedFile, "read_head", counting)
    for expected in (20, 0):
        opened.clear()
        store = open_store(f"sqlite:///{tmp_path}/again/store.db", reserve_bytes=0)
        ingest = Ingest(store)
        follower = LocalFollower(ingest, lambda: [root])
        follower.catch_up()
        assert len(opened) == expected
        with store.read() as connection:
            assert connection.execute(select(func.count()).select_from(runs)).scalar() == 20
            assert connection.execute(select(func.count()).select_from(directories)).scalar() == 20
        follower.close()
        ingest.close()
        store.close()


def test_a_follower_goes_on_after_a_restart(root: Path, tmp_path: Path) -> None:
    writer = RunDirectory(root / "run-1").writer(living())
    for turn in range(3):
        for step in range(5):
            writer.log_row({"loss": float(turn * 5 + step)}, turn * 5 + step)
        store = open_store(f"sqlite:///{tmp_path}/again/store.db", reserve_bytes=0)
        ingest = Ingest(store)
        follower = LocalFollower(ingest, lambda: [root])
        follower.catch_up()
        assert values(store) == [float(step) for step in range(turn * 5 + 5)]
        follower.close()
        ingest.close()
        store.close()
    writer.close()


def test_no_snapshot_is_held_while_long_files_are_compared(
    root: Path, store: Store, ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        directory = RunDirectory(root / f"run-{number}")
        writer = directory.writer(living(number, uid=f"{number:032d}", run_id=f"r{number}"))
        writer.log_row({"loss": 0.5}, 0)
        writer.close()
        ((head, data),) = directory.files()
        send(ingest, data, head)
    open_snapshots = 0
    compared: list[int] = []
    original, read = followed._crc_of, Store.read

    @contextmanager
    def counting(self: Store) -> Iterator[Any]:
        nonlocal open_snapshots
        with read(self) as connection:
            open_snapshots += 1
            yield connection
            open_snapshots -= 1

    def comparing(path: Path, end: int) -> tuple[int, int]:
        compared.append(open_snapshots)
        return original(path, end)

    monkeypatch.setattr(Store, "read", counting)
    monkeypatch.setattr(followed, "_crc_of", comparing)
    follower = LocalFollower(ingest, lambda: [root])
    follower.catch_up()
    follower.close()
    assert compared == [0, 0]


def test_what_was_sent_before_the_directory_was_found_is_followed_from_there(
    root: Path, follower: LocalFollower, store: Store, ingest: Ingest
) -> None:
    directory = RunDirectory(root / "run-1")
    writer = directory.writer(living())
    writer.log_row({"loss": 0.0}, 0)
    ((head, data),) = directory.files()
    send(ingest, data, head)
    writer.log_row({"loss": 1.0}, 1)
    follower.catch_up()
    (answer,) = ingest.append([Part(run_uid=UID, writer=head.writer)]).result(20)
    assert (answer.following, answer.offset) == (True, writer.position)
    assert values(store) == [0.0, 1.0]
    writer.append(State(writer.now(), "finished", 0))
    writer.close()
    follower.catch_up()
    os.utime(root / "run-1")
    follower.catch_up()
    ingest.seal_ended().result(20)
    assert values(store) == [0.0, 1.0]
    before = derived_rows(store)
    assert ingest.rebuild().result(20) == [1]
    assert derived_rows(store) == before


def test_a_copy_of_a_directory_changes_nothing_and_a_moved_one_is_found(
    root: Path, follower: LocalFollower, store: Store
) -> None:
    writer = RunDirectory(root / "run-1").writer(living())
    writer.log_row({"loss": 0.0}, 0)
    follower.catch_up()
    shutil.copytree(root / "run-1", root / "copy")
    follower.catch_up()
    with store.read() as connection:
        assert connection.execute(select(writers.c.path)).scalars().all() == [str(writer.path)]
    shutil.rmtree(root / "copy")
    (root / "run-1").rename(root / "moved")
    follower.catch_up()
    run = the_run(store)
    with store.read() as connection:
        path = connection.execute(select(writers.c.path)).scalar()
    assert (run.source_gone, path) == (False, str(root / "moved" / writer.path.name))
    assert values(store) == [0.0]
    writer.close()


def test_a_folder_with_other_things_in_it_is_no_matter(
    root: Path, follower: LocalFollower, store: Store
) -> None:
    (root / "notes").mkdir()
    (root / "notes" / "fake.kiseki").write_bytes(b"not a run file")
    (root / "run-0").mkdir()
    (root / "run-0" / "w1.kiseki").write_bytes(b"")
    (root / ".gitignore").write_text("*\n")
    follower.catch_up()
    assert the_run(store) is None
    with store.read() as connection:
        assert connection.execute(select(func.count()).select_from(raw)).scalar() == 0


def test_an_old_copy_of_a_run_that_was_sent_is_left_alone(
    root: Path, tmp_path: Path, follower: LocalFollower, store: Store, ingest: Ingest
) -> None:
    directory = RunDirectory(tmp_path / "elsewhere")
    writer = directory.writer(living())
    writer.log_row({"loss": 0.0}, 0)
    shutil.copytree(directory.path, root / "old")
    writer.log_row({"loss": 1.0}, 1)
    ((head, data),) = directory.files()
    answer = send(ingest, data, head)
    follower.catch_up()
    assert the_run(store).damage is None
    writer.log_row({"loss": 2.0}, 2)
    writer.close()
    rest = directory.files()[0][1][len(data) :]
    (answer,) = ingest.append([part(rest, answer.offset, answer.crc, of=head)]).result(20)
    assert (answer.status, answer.following) == (200, False)
    assert values(store) == [0.0, 1.0, 2.0]


def test_growth_that_no_watch_sees_is_noticed(
    root: Path, follower: LocalFollower, store: Store, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "_note", lambda changed: None)
    writer = RunDirectory(root / "run-1").writer(living())
    follower.start()
    wait_until(lambda: the_run(store))
    for step in range(2):
        writer.log_row({"loss": float(step)}, step)
        wait_until(lambda step=step: the_run(store).rows == step + 1)
    writer.close()


def test_a_server_that_follows_nobody_takes_what_is_sent(
    root: Path, follower: LocalFollower, store: Store, ingest: Ingest
) -> None:
    """The same store, served without local roots: a followed writer sends, and both halves are read."""
    directory = RunDirectory(root / "run-1")
    writer = directory.writer(living())
    for step in range(300):
        writer.log_row({"loss": float(step)}, step)
    follower.catch_up()
    follower.close()
    ((head, before),) = directory.files()
    (answer,) = ingest.append([Part(run_uid=UID, writer=head.writer)]).result(20)
    assert (answer.following, answer.offset) == (False, len(before))
    for step in range(300, 600):
        writer.log_row({"loss": float(step)}, step)
    writer.append(State(writer.now(), "finished", 0))
    writer.close()
    rest = directory.files()[0][1][len(before) :]
    (answer,) = ingest.append([part(rest, answer.offset, answer.crc, of=head)]).result(20)
    assert answer.status == 200
    assert values(store) == [float(step) for step in range(600)]
    ingest.seal_ended().result(20)
    assert values(store) == [float(step) for step in range(600)]
    rows = derived_rows(store)
    assert ingest.rebuild().result(20) == [1]
    assert derived_rows(store) == rows


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="counts descriptors in /proc")
def test_many_runs_share_few_descriptors(
    root: Path, follower: LocalFollower, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "OPEN_FILES", 4)
    for number in range(1, 31):
        run = RunDirectory(root / f"run-20260101_000000-{number:03d}")
        writer = run.writer(living(number, uid=f"{number:032x}", run_id=f"r{number}"))
        writer.log_row({"loss": 1.0}, 0)
        writer.close()
    follower.catch_up()
    held = [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    assert 0 < sum(path.startswith(f"{root.resolve()}/") for path in held) <= 4
    with store.read() as connection:
        assert connection.execute(select(func.count(), func.sum(runs.c.rows))).one() == (30, 30)


def test_a_folder_of_runs_that_was_removed_and_made_anew_is_watched_again(
    root: Path, follower: LocalFollower, store: Store, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "SCAN_SECONDS", 3600.0)

    def record(number: int) -> None:
        run = RunDirectory(root / f"run-20260101_000000-{number}")
        run.writer(living(number, uid=f"{number:032x}", run_id=f"r{number}")).close()

    def count(*conditions: Any) -> int:
        with store.read() as connection:
            return int(
                connection.execute(select(func.count()).select_from(runs).where(*conditions)).scalar_one()
            )

    follower.start()
    record(1)
    wait_until(lambda: count() == 1)
    shutil.rmtree(root)
    wait_until(lambda: count(runs.c.source_gone) == 1)
    root.mkdir()
    for number in (2, 3, 4):
        record(number)
        wait_until(lambda number=number: count() == number)
