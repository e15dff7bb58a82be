"""Reading, rebuilding and being killed while bytes arrive and segments are sealed."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from sqlalchemy import select

from kiseki.client.protocol import Part
from kiseki.ingest import Ingest
from kiseki.records import writer as record_writer
from kiseki.records.kinds import State
from kiseki.store import Store, open_store
from kiseki.store.series import read_points
from kiseki.store.tables import runs, writers

from .conftest import UID, RunDirectory, cut, header, part, send
from .derived import derived_rows

ROWS = 6000


@pytest.fixture
def file(run_directory: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, bytes]:
    """Header and bytes of an ended run of many small segments."""
    monkeypatch.setattr(record_writer, "SEGMENT_BYTES", 20_000)
    writer = run_directory.writer(header())
    for step in range(ROWS):
        writer.log_row({"loss": step / 3, "acc": step / 7, "n": step}, step)
    writer.append(State(writer.now(), "finished", 0))
    writer.close()
    ((head, data),) = run_directory.files()
    return head, data


def test_every_snapshot_is_whole_while_segments_are_sealed(
    file: tuple[Any, bytes], store: Store, ingest: Ingest
) -> None:
    head, data = file
    stop = threading.Event()
    wrong: list[Any] = []
    seen: set[int] = set()

    def read() -> None:
        while not stop.is_set():
            with store.read() as connection:
                run = connection.execute(select(runs.c.id, runs.c.rows)).first()
                if run is None:
                    continue
                found = read_points(store, connection, run.id, ["loss"])
                steps = found["loss"][0].steps.tolist() if found else []
                seen.add(run.rows)
                if steps != list(range(run.rows)):
                    wrong.append((run.rows, len(steps)))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        send(ingest, data, head, [3000] * 1000)
        ingest.seal_ended().result(30)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert not wrong
    assert len(seen) > 1


def test_a_rebuild_beside_appends_ends_as_if_it_had_not_been(
    file: tuple[Any, bytes], store: Store, ingest: Ingest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kiseki.ingest import rebuild

    monkeypatch.setattr(rebuild, "PIECE_BYTES", 5000)
    head, data = file
    done = []
    offset = crc = 0
    for number, piece in enumerate(cut(data, [4000] * 1000)):
        if number % 10 == 5:
            done.append(ingest.rebuild())
        (answer,) = ingest.append([part(piece, offset, crc, of=head)]).result(20)
        assert answer.status == 200
        offset, crc = answer.offset, answer.crc
    for future in done:
        assert future.result(60) == [1]
    ingest.seal_ended().result(30)
    plain = open_store(f"sqlite:///{tmp_path}/plain/store.db", reserve_bytes=0)
    other = Ingest(plain)
    send(other, data, head)
    other.seal_ended().result(30)
    assert derived_rows(store) == derived_rows(plain)
    other.close()
    plain.close()


@pytest.mark.parametrize("endless", ["sealing.seal_next", "rebuild.Rebuild.step"])
def test_closing_waits_for_no_backlog(
    endless: str, file: tuple[Any, bytes], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, data = file
    under_way = threading.Event()

    def always_more(*_: Any) -> bool:
        under_way.set()
        return True

    monkeypatch.setattr(f"kiseki.ingest.{endless}", always_more)
    ingest = Ingest(store)
    send(ingest, data, head)
    work: Any = ingest.seal_ended() if endless.startswith("sealing") else ingest.rebuild()
    assert under_way.wait(30)
    closing = threading.Thread(target=ingest.close, daemon=True)
    closing.start()
    closing.join(30)
    assert not closing.is_alive()
    with pytest.raises(CancelledError):
        work.result(30)


def test_kills_at_any_moment_of_appending_and_sealing(file: tuple[Any, bytes], tmp_path: Path) -> None:
    """A server that seals a segment every few appends is killed many times; the client asks and goes on."""
    head, data = file
    path = tmp_path / "run.kiseki"
    path.write_bytes(data)
    url = f"sqlite:///{tmp_path}/killed/store.db"
    script = textwrap.dedent("""
        import sys
        from zlib import crc32
        sys.path.insert(0, sys.argv[1])
        from tests.ingest.conftest import cut, part
        from kiseki.client.protocol import Part
        from kiseki.ingest import Ingest
        from kiseki.records.reader import read_header
        from kiseki.store import open_store
        data = open(sys.argv[2], "rb").read()
        head = read_header(data)[0]
        ingest = Ingest(open_store(sys.argv[3], reserve_bytes=0))
        (has,) = ingest.append([Part(run_uid=head.run_uid, writer=head.writer)]).result()
        assert has.crc == crc32(data[:has.offset])
        offset = 0
        for piece in cut(data, [7000] * 1000):
            if offset >= has.offset:
                (has,) = ingest.append([part(piece, has.offset, has.crc, of=head)]).result()
                assert has.status == 200, has
                print(has.offset, flush=True)
            offset += len(piece)
        print("all", flush=True)
        sys.stdin.read()
    """)
    luck = random.Random(7)
    root = Path(__file__).parents[2]
    answered = 0
    finished = False
    while not finished:
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(root), str(path), url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for _ in range(luck.randint(1, 15)):
            line = process.stdout.readline()
            assert line, "the server ended by itself"
            if line == "all\n":
                finished = True
                break
            assert int(line) > answered
            answered = int(line)
        process.kill()
        process.communicate()
    store = open_store(url, reserve_bytes=0)
    ingest = Ingest(store)
    (has,) = ingest.append([Part(run_uid=UID, writer=head.writer)]).result(20)
    assert (has.offset, has.crc) == (len(data), crc32(data))
    ingest.seal_ended().result(30)
    with store.read() as connection:
        assert connection.execute(select(runs.c.rows)).scalar_one() == ROWS
        assert connection.execute(select(writers.c.sealed_to)).scalar_one() == len(data)
        points = read_points(store, connection, 1, ["n", "loss"])
    assert points["n"][0].values.tolist() == list(range(ROWS))
    assert points["loss"][0].values.tolist() == [step / 3 for step in range(ROWS)]
    before = derived_rows(store)
    ingest.rebuild().result(30)
    assert derived_rows(store) == before
    ingest.close()
    store.close()
