"""A run's console in the store: sealed into blocks, its tail on a screen, equal however it came there."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.ingest.conftest import RunDirectory, cut, header, part
from tests.ingest.derived import derived_rows

from kiseki.ingest import Ingest, LocalFollower
from kiseki.records.kinds import Console, Header, State
from kiseki.records.terminal import Line, Terminal
from kiseki.records.writer import RecordWriter
from kiseki.store import Store, open_store
from kiseki.store.console import decode_block
from kiseki.store.tables import console_blocks, writers
from kiseki.store.tails import Unsealed, decode_header


def write_console(writer: RecordWriter, lines: int, *, seed: int = 1) -> Terminal:
    """Write output with bars, colours and rows of metrics between it; returns the terminal that saw it."""
    rng = random.Random(seed)
    whole = Terminal()
    for number in range(lines):
        data = f"\x1b[3{number % 8}mline {number}\x1b[0m {rng.random()} {'x' * rng.randrange(150)}\n".encode()
        if number % 7 == 0:
            data += b"".join(b"\r%3d%%" % percent for percent in range(0, 101, 20)) + b"\n"
        stream = 1 + (number % 5 == 0)
        writer.append(Console(t := writer.now(), stream, data))
        whole.feed(writer.header.wall_ns // 1000 + t, stream, data)
        if number % 50 == 0:
            writer.log_row({"loss": rng.random()}, number // 50)
    return whole


def all_lines(terminal: Terminal) -> list[Line]:
    """Every line that a terminal has seen."""
    return [*terminal.take(), *terminal.screen()]


def stored_lines(store: Store) -> list[Line]:
    """The console of the store's only writer: its blocks, and what stands behind them."""
    with store.read() as connection:
        (row,) = connection.execute(select(writers)).all()
        blocks = connection.execute(select(console_blocks).order_by(console_blocks.c.block)).all()
        asked = Unsealed(
            row.id, decode_header(row.header), row.path, row.sealed_to, row.offset, row.sealed_segments
        )
        tail = store.console_tails.read(connection, asked, row.console)
    lines: list[Line] = []
    for number, block in enumerate(blocks):
        found = decode_block(block.data).lines()
        assert (block.block, block.first_line, block.lines) == (number, len(lines), len(found))
        assert block.first_us == min(line.time_us for line in found)
        assert block.last_us == max(line.time_us for line in found)
        lines += found
    assert row.console_lines == len(lines)
    return [*lines, *tail.lines]


def send(ingest: Ingest, head: Header, data: bytes, sizes: list[int]) -> None:
    """Send a file in pieces of about these sizes."""
    offset = crc = 0
    for piece in cut(data, sizes):
        (answer,) = ingest.append([part(piece, offset, crc, of=head)]).result()
        assert answer.error is None
        offset, crc = answer.offset, answer.crc


@pytest.fixture
def recorded(run_directory: RunDirectory) -> tuple[Header, bytes, list[Line]]:
    """A file of three segments, and the lines of its console."""
    writer = run_directory.writer(header())
    terminal = write_console(writer, 12_000)
    writer.append(State(writer.now(), "finished", 0))
    writer.close()
    ((head, data),) = run_directory.files()
    return head, data, all_lines(terminal)


@pytest.mark.parametrize("size", [50_000, 400_000, 10_000_000])
def test_lines_are_those_of_a_terminal_however_they_come(
    store: Store, ingest: Ingest, recorded: tuple[Header, bytes, list[Line]], size: int
) -> None:
    head, data, lines = recorded
    offset = crc = 0
    for piece in cut(data, [size] * (len(data) // size)):
        (answer,) = ingest.append([part(piece, offset, crc, of=head)]).result()
        offset, crc = answer.offset, answer.crc
        if offset > 2_000_000:
            # Between sealing and the rest: the lines so far are a beginning of the whole.
            so_far = stored_lines(store)
            assert so_far[:-1] == lines[: len(so_far) - 1]
    ingest.seal_ended().result()
    assert stored_lines(store) == lines
    with store.read() as connection:
        assert connection.execute(select(writers.c.sealed_to)).scalar_one() == len(data)


def test_rebuild_makes_equal_blocks(
    store: Store, ingest: Ingest, recorded: tuple[Header, bytes, list[Line]]
) -> None:
    head, data, lines = recorded
    send(ingest, head, data, [300_000] * 9)
    ingest.seal_ended().result()
    before = derived_rows(store)
    assert before["console_blocks"]
    ingest.rebuild().result()
    assert derived_rows(store) == before
    assert stored_lines(store) == lines


def test_blocks_do_not_depend_on_how_bytes_came(
    tmp_path: Path, store: Store, ingest: Ingest, recorded: tuple[Header, bytes, list[Line]]
) -> None:
    head, data, _ = recorded
    send(ingest, head, data, [70_000] * 40)
    ingest.seal_ended().result()
    other = open_store(f"sqlite:///{tmp_path}/other/store.db", reserve_bytes=0)
    try:
        second = Ingest(other)
        send(second, head, data, [])
        second.seal_ended().result()
        assert derived_rows(other) == derived_rows(store)
        second.close()
    finally:
        other.close()


def test_a_writer_that_goes_on_after_its_end_takes_its_blocks_back(
    store: Store, ingest: Ingest, run_directory: RunDirectory
) -> None:
    writer = run_directory.writer(header())
    write_console(writer, 6000)
    ((head, data),) = run_directory.files()
    send(ingest, head, data, [])
    # Thought to be dead: everything is sealed.
    ingest.seen(head.run_uid, head.writer, alive=False).result()
    ingest.seal_ended().result()
    for round_ in range(3):
        write_console(writer, 1500, seed=round_)
        ((_, longer),) = run_directory.files()
        sealed = stored_lines(store)
        (state,) = ingest.append([part(b"", of=head)]).result()
        offset, crc = state.offset, state.crc
        (answer,) = ingest.append([part(longer[offset:], offset, crc, of=head)]).result()
        assert answer.error is None
        ingest.seal_ended().result()
        again = stored_lines(store)
        assert again[: len(sealed) - 100] == sealed[: len(sealed) - 100]
        assert len(again) > len(sealed)
    before = derived_rows(store)
    ingest.rebuild().result()
    assert derived_rows(store) == before


def test_files_followed_in_place_keep_their_lines_when_they_go(
    store: Store, ingest: Ingest, run_directory: RunDirectory
) -> None:
    writer = run_directory.writer(header())
    terminal = write_console(writer, 6000)
    lines = all_lines(terminal)
    follower = LocalFollower(ingest, lambda: [run_directory.path.parent])
    try:
        follower.catch_up()
        ingest.seal_ended().result()
        assert stored_lines(store) == lines
        writer.close()
        for path in run_directory.path.iterdir():
            path.unlink()
        run_directory.path.rmdir()
        follower.catch_up()
        ingest.seal_ended().result()
        assert stored_lines(store) == lines
    finally:
        follower.close()
