"""Appends: exactly once, in one place, by offset and checksum; whatever comes instead is answered, never half
taken.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec
import pytest
from sqlalchemy import func, select

from kiseki.client.protocol import Answer, Part
from kiseki.ingest import Change, Ingest
from kiseki.records.framing import frame_bytes
from kiseki.records.kinds import Config, Edit, Environment, State
from kiseki.store import Store, open_store
from kiseki.store.series import read_points
from kiseki.store.tables import DERIVED_VERSION, journal, liveness, metrics, raw, run_values, runs, writers

from .conftest import UID, RunDirectory, cut, header, part, send

Case = tuple[bytes, Any]


@pytest.fixture
def case(run_directory: RunDirectory) -> Case:
    """A run of 400 rows in one file, and its header."""
    writer = run_directory.writer(header())
    writer.append(Config(writer.now(), {"lr": 0.1, "net": {"depth": 3, "name": "x"}}))
    writer.append(Edit(writer.now(), {"name": "amber-fox-1", "tags": ["a", "b"], "notes": "n"}))
    writer.append(Environment(writer.now(), {"command": ["python", "my script.py"]}))
    for step in range(400):
        writer.log_row({"loss": 1 / (step + 1), "acc": step}, step)
    writer.close()
    ((head, data),) = run_directory.files()
    return data, head


def one(ingest: Ingest, sent: Part) -> Answer:
    (answer,) = ingest.append([sent]).result(20)
    return answer


def rows_in(store: Store) -> int:
    with store.read() as connection:
        return int(connection.execute(select(runs.c.rows)).scalar_one())


def test_a_writer_nobody_knows(ingest: Ingest) -> None:
    answer = one(ingest, Part(run_uid=UID, writer="w1"))
    assert (answer.status, answer.offset, answer.crc, answer.following) == (200, 0, 0, False)
    assert one(ingest, Part(run_uid=UID, writer="w1", offset=9, crc=1, data=b"x")).status == 409


def test_what_is_sent_is_there(case: Case, store: Store, ingest: Ingest) -> None:
    data, head = case
    answer = send(ingest, data, head, [3000] * 10)
    assert answer.url == "/me/digits/runs/abc"
    with store.read() as connection:
        run = connection.execute(select(runs)).one()
        values = {row.key: (row.num, row.txt, row.type) for row in connection.execute(select(run_values))}
        loss = connection.execute(select(metrics).where(metrics.c.key == "loss")).one()
        assert connection.execute(select(func.sum(func.length(journal.c.data)))).scalar() == len(data)
    assert (run.name, run.state, run.shown_state, run.rows, run.last_step) == (
        "amber-fox-1",
        "running",
        "running",
        400,
        399,
    )
    assert (run.tags, run.notes, run.host, run.user) == (["a", "b"], "n", "box", "me")
    assert run.command == "python 'my script.py'"
    assert run.config == {"lr": 0.1, "net": {"depth": 3, "name": "x"}}
    assert run.summary["acc"] == 399
    assert values["config.lr"] == (0.1, None, "num")
    assert values["config.net.name"] == (None, "x", "txt")
    assert values["summary.acc"] == (399.0, None, "num")
    assert (loss.points, loss.count, loss.min, loss.max, loss.last) == (400, 400, 1 / 400, 1.0, 1 / 400)
    assert (loss.type, loss.step_min, loss.step_max) == ("f64", 0, 399)


def test_the_same_bytes_twice_count_once(case: Case, store: Store, ingest: Ingest) -> None:
    data, head = case
    pieces = cut(data, [5000])
    assert one(ingest, part(pieces[0], of=head)).status == 200
    again = one(ingest, part(pieces[0], of=head))
    assert (again.status, again.offset, again.crc) == (409, len(pieces[0]), crc32(pieces[0]))
    assert again.error is None
    ahead = one(ingest, part(pieces[1], len(pieces[0]) + 1, crc32(pieces[0]), of=head))
    other = one(ingest, part(pieces[1], len(pieces[0]), crc32(pieces[0]) ^ 1, of=head))
    assert ahead.status == other.status == 409
    assert one(ingest, part(pieces[1], len(pieces[0]), crc32(pieces[0]), of=head)).status == 200
    assert rows_in(store) == 400


def test_broken_parts_are_refused_whole(case: Case, store: Store, ingest: Ingest) -> None:
    data, head = case
    wrong = msgspec.structs.replace(part(data, of=head), end_crc=1)
    assert one(ingest, wrong).status == 400
    assert one(ingest, part(data[:-3], of=head)).status == 400
    assert one(ingest, part(b"no run file at all" * 10, of=head)).status == 400
    named = msgspec.structs.replace(part(data, of=head), writer="w9")
    assert one(ingest, named).status == 409
    with store.read() as connection:
        assert connection.execute(select(func.count()).select_from(runs)).scalar() == 0
    assert one(ingest, part(data, of=head)).status == 200


def test_another_run_by_the_same_name_is_refused_in_words(case: Case, ingest: Ingest, tmp_path: Path) -> None:
    data, head = case
    send(ingest, data, head)
    other = RunDirectory(tmp_path / "other")
    other.writer(header(2, uid="f" * 32)).close()
    ((stranger, bytes_),) = other.files()
    answer = one(ingest, part(bytes_, of=stranger))
    assert answer.status == 409
    assert answer.error == "me/digits/abc exists; use resume or another id"


def test_a_record_that_makes_no_sense_ends_the_writer_but_not_the_server(
    run_directory: RunDirectory, store: Store, ingest: Ingest
) -> None:
    writer = run_directory.writer(header())
    for step in range(10):
        writer.log_row({"loss": step / 3}, step)
    writer.close()
    ((head, data),) = run_directory.files()
    bad = data + frame_bytes(msgspec.msgpack.encode([1, 0, 5, 99, b""]))
    more = frame_bytes(msgspec.msgpack.encode([1, 0, 6, 0, b"\0" * 8]))
    assert one(ingest, part(bad, of=head)).status == 200
    assert one(ingest, part(more, len(bad), crc32(bad), of=head)).status == 200
    with store.read() as connection:
        run = connection.execute(select(runs)).one()
        points = read_points(store, connection, run.id, None)
    assert run.rows == 10
    assert f"byte {len(data)}" in run.damage
    assert points["loss"][0].steps.tolist() == list(range(10))


def test_colors_count_the_runs_of_a_project(ingest: Ingest, store: Store, tmp_path: Path) -> None:
    for number in range(3):
        directory = RunDirectory(tmp_path / str(number))
        directory.writer(header(number, uid=f"{number:032d}", run_id=f"r{number}")).close()
        for head, data in directory.files():
            send(ingest, data, head)
    with store.read() as connection:
        assert connection.scalars(select(runs.c.color).order_by(runs.c.id)).all() == [0, 1, 2]


def test_config_and_environment_are_written_only_where_they_changed(
    run_directory: RunDirectory, store: Store, ingest: Ingest
) -> None:
    head = header()
    writer = run_directory.writer(head)
    crc = offset = 0

    def send_new() -> None:
        nonlocal crc, offset
        data = run_directory.files()[0][1][offset:]
        assert one(ingest, part(data, offset, crc, of=head)).status == 200
        offset, crc = offset + len(data), crc32(data, crc)

    def documents() -> tuple[Any, Any]:
        with store.read() as connection:
            return tuple(connection.execute(select(runs.c.config, runs.c.environment)).one())

    writer.append(Config(writer.now(), {"lr": 0.1}))
    writer.append(Environment(writer.now(), {"python": "3.11"}))
    send_new()
    assert documents() == ({"lr": 0.1}, {"python": "3.11"})
    store.write(lambda c: c.execute(runs.update().values(config={"untouched": 1}))).result(20)
    for step in range(3):
        writer.log_row({"loss": 1.0}, step)
        send_new()
    assert (documents(), rows_in(store)) == (({"untouched": 1}, {"python": "3.11"}), 3)
    writer.append(Environment(writer.now(), {"git": {"commit": "a"}}))
    send_new()
    assert documents() == ({"lr": 0.1}, {"python": "3.11", "git": {"commit": "a"}})
    writer.close()


def test_changes_are_told_after_the_commit_and_grow(case: Case, store: Store, ingest: Ingest) -> None:
    data, head = case
    told: list[tuple[Change, int]] = []

    def listen(change: Change) -> None:
        with store.read() as connection:
            told.append((change, connection.execute(select(runs.c.at)).scalar_one()))

    stop = ingest.subscribe(listen)
    send(ingest, data, head, [4000] * 3)
    assert all(change.at == stored for change, stored in told)
    ats = [change.at for change, _ in told]
    assert len(ats) >= 3
    assert ats == sorted(set(ats))
    assert (told[0][0].entity, told[0][0].project, told[0][0].run_id) == ("me", "digits", "abc")
    stop()
    before = len(told)
    one(ingest, Part(run_uid=UID, writer=head.writer))
    assert len(told) == before


def test_a_heartbeat_writes_nothing(case: Case, store: Store, ingest: Ingest) -> None:
    data, head = case
    answer = send(ingest, data, head)
    with store.read() as connection:
        at = connection.execute(select(runs.c.at)).scalar_one()
    version = store.write(lambda c: c.exec_driver_sql("PRAGMA data_version").scalar())
    version.result(20)
    changes = store.write(lambda c: c.exec_driver_sql("SELECT total_changes()").scalar()).result(20)
    for _ in range(20):
        beat = Part(run_uid=UID, writer=head.writer, offset=answer.offset, crc=answer.crc, live=True)
        assert one(ingest, beat).status == 200
    after = store.write(lambda c: c.exec_driver_sql("SELECT total_changes()").scalar()).result(20)
    assert after == changes
    ingest.close()
    with store.read() as connection:
        assert connection.execute(select(runs.c.at)).scalar_one() == at
    written = store.write(lambda c: c.execute(select(liveness.c.contact_us)).scalar()).result(20)
    assert written is not None


def test_a_full_disk_is_507_and_a_full_queue_503(
    case: Case, ingest: Ingest, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, head = case
    monkeypatch.setattr(store, "reserve_bytes", 1 << 60)
    full = one(ingest, part(data, of=head))
    assert full.status == 507
    assert "almost full" in (full.error or "")
    monkeypatch.setattr(store, "reserve_bytes", 0)
    monkeypatch.setattr(store.writer, "_queue_limit", 0)
    assert one(ingest, part(data, of=head)).status == 503
    monkeypatch.setattr(store.writer, "_queue_limit", 100)
    assert one(ingest, part(data, of=head)).status == 200


def test_an_append_cannot_be_taken_back_by_who_no_longer_waits(case: Case, ingest: Ingest) -> None:
    data, head = case
    future = ingest.append([part(data, of=head)])
    assert not future.cancel()
    assert [answer.status for answer in future.result(20)] == [200]


def test_one_bad_part_does_not_hold_the_others(
    case: Case, ingest: Ingest, store: Store, tmp_path: Path
) -> None:
    data, head = case
    broken = part(b"nonsense", of=header(5, uid="a" * 32))
    answers = ingest.append([broken, part(data, of=head), Part(run_uid="b" * 32, writer="w")]).result(20)
    assert [answer.status for answer in answers] == [400, 200, 200]
    assert rows_in(store) == 400


def test_ingest_goes_on_where_a_killed_server_stood(case: Case, tmp_path: Path) -> None:
    """A process takes half of the pieces and is killed by SIGKILL; the next one has all that was answered."""
    data, head = case
    pieces = cut(data, [500] * 60)
    file = tmp_path / "run.kiseki"
    file.write_bytes(data)
    script = textwrap.dedent("""
        import os, signal, sys
        from zlib import crc32
        sys.path.insert(0, sys.argv[1])
        from tests.ingest.conftest import cut, part
        from kiseki.ingest import Ingest
        from kiseki.records.reader import read_header
        from kiseki.store import open_store
        data = open(sys.argv[2], "rb").read()
        ingest = Ingest(open_store(sys.argv[3], reserve_bytes=0))
        offset = crc = 0
        for piece in cut(data, [500] * 60):
            (answer,) = ingest.append([part(piece, offset, crc, of=read_header(data)[0])]).result()
            assert answer.status == 200, answer
            offset, crc = offset + len(piece), crc32(piece, crc)
            print(offset, flush=True)
    """)
    url = f"sqlite:///{tmp_path}/killed/store.db"
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(root), str(file), url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    answered = 0
    for _ in range(len(pieces) // 2):
        answered = int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()
    store = open_store(url, reserve_bytes=0)
    ingest = Ingest(store)
    has = one(ingest, Part(run_uid=UID, writer=head.writer))
    assert has.offset >= answered
    assert has.crc == crc32(data[: has.offset])
    offset, crc = has.offset, has.crc
    for piece in cut(data, [500] * 60):
        if (begin := sum(map(len, pieces[: pieces.index(piece)]))) >= has.offset:
            assert one(ingest, part(piece, begin, crc, of=head)).status == 200
            offset, crc = begin + len(piece), crc32(piece, crc)
    assert offset == len(data)
    with store.read() as connection:
        run = connection.execute(select(runs)).one()
        points = read_points(store, connection, run.id, ["acc", "loss"])
    assert run.rows == 400
    assert points["acc"][0].values.tolist() == list(range(400))
    ingest.close()
    store.close()


def test_a_full_segment_leaves_the_journal_and_its_bytes_stay(
    run_directory: RunDirectory, ingest: Ingest, store: Store, wait_until: Any
) -> None:
    writer = run_directory.writer(header())
    for step in range(30_000):
        writer.log_row({f"m{i}": step / 7 + i for i in range(8)}, step)
    ((head, data),) = run_directory.files()
    answer = send(ingest, data, head)

    def sealed() -> Any:
        with store.read() as connection:
            row = connection.execute(select(writers)).one()
            return row.segment > 0 and row.sealed_to == row.segment_offset and row

    row = wait_until(sealed, what="the full segments to be sealed")
    with store.read() as connection:
        in_journal = connection.execute(select(func.sum(func.length(journal.c.data)))).scalar()
        in_raw = connection.execute(select(func.sum(raw.c.length))).scalar()
    assert in_raw == row.segment_offset
    assert in_journal == len(data) - row.segment_offset < 1_100_000
    writer.append(State(writer.now(), "finished", 0))
    writer.close()
    rest = run_directory.files()[0][1][len(data) :]
    assert one(ingest, part(rest, answer.offset, answer.crc, of=head)).status == 200
    ingest.seal_ended().result(20)
    with store.read() as connection:
        assert connection.execute(select(func.count()).select_from(journal)).scalar() == 0
        assert connection.execute(select(func.sum(raw.c.length))).scalar() == len(data) + len(rest)
        points = read_points(store, connection, 1, ["m3"])["m3"][0]
    assert points.steps.tolist() == list(range(30_000))
    assert points.values.tolist() == [step / 7 + 3 for step in range(30_000)]


def test_a_writer_that_was_declared_dead_too_early_goes_on(
    run_directory: RunDirectory, ingest: Ingest, store: Store
) -> None:
    writer = run_directory.writer(header())
    for step in range(300):
        writer.log_row({"loss": step / 3}, step)
    ((head, data),) = run_directory.files()
    answer = send(ingest, data, head)
    sidecar = run_directory.writer(header(9, role="sidecar", primary=False))
    sidecar.append(State(sidecar.now(), "crashed", None, "gone", head.writer))
    sidecar.close()
    send(ingest, run_directory.files()[1][1], run_directory.files()[1][0])
    ingest.seal_ended().result(20)
    for step in range(300, 600):
        writer.log_row({"loss": step / 3}, step)
    writer.close()
    rest = run_directory.files()[0][1][len(data) :]
    assert one(ingest, part(rest, answer.offset, answer.crc, of=head)).status == 200
    for _ in range(2):
        with store.read() as connection:
            points = read_points(store, connection, 1, ["loss"])["loss"][0]
        assert points.values.tolist() == [step / 3 for step in range(600)]
        ingest.seal_ended().result(20)
    with store.read() as connection:
        assert connection.execute(select(raw.c.length).where(raw.c.writer_pk == 1)).scalars().all() == [
            len(data) + len(rest)
        ]


def test_a_disk_that_fills_up_in_the_middle_loses_and_doubles_nothing(
    case: Case, ingest: Ingest, store: Store
) -> None:
    data, head = case
    pieces = cut(data, [3000] * 20)
    pages = store.write(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar_one()).result(20)
    store.write(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count={pages + 2}").scalar()).result(20)
    offset = crc = refused = 0
    for piece in pieces:
        answer = one(ingest, part(piece, offset, crc, of=head))
        if answer.status == 507:
            refused += 1
            assert answer.error == "the server's disk is full; what was not taken comes again"
            store.write(lambda c: c.exec_driver_sql("PRAGMA max_page_count=1000000").scalar()).result(20)
            answer = one(ingest, part(piece, offset, crc, of=head))
        assert answer.status == 200, answer
        offset, crc = answer.offset, answer.crc
    assert refused == 1
    assert rows_in(store) == 400
    with store.read() as connection:
        points = read_points(store, connection, 1, ["acc"])["acc"][0]
    assert points.values.tolist() == list(range(400))


def test_rows_of_an_older_version_are_made_again_at_the_start(
    case: Case, tmp_path: Path, wait_until: Any
) -> None:
    data, head = case
    url = f"sqlite:///{tmp_path}/older/store.db"
    store = open_store(url, reserve_bytes=0)
    ingest = Ingest(store)
    send(ingest, data, head)
    store.write(lambda c: c.execute(runs.update().values(version=0, rows=7))).result(20)
    store.write(lambda c: c.execute(metrics.delete())).result(20)
    ingest.close()
    store.close()
    store = open_store(url, reserve_bytes=0)
    ingest = Ingest(store)
    wait_until(lambda: rows_in(store) == 400)
    with store.read() as connection:
        assert connection.scalars(select(metrics.c.key)).all() == ["acc", "loss"]
        assert connection.execute(select(runs.c.version)).scalar_one() == DERIVED_VERSION
    ingest.close()
    store.close()
