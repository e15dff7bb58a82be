"""Server ingest from bytes to sealed, fsynced commits included, beside frames → CRC → columns alone."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from zlib import crc32

import numpy as np

from benchmarks.report import Bar, Report, Result, main, median
from kiseki.client.protocol import Part
from kiseki.ingest import Ingest
from kiseki.records.framing import split_frames
from kiseki.records.kinds import Header, State
from kiseki.records.reader import SegmentDecoder, read_header
from kiseki.records.writer import RecordWriter
from kiseki.store import open_store

BATCH = 256 * 1024
"""What the sidecar sends of a run in one turn, in bytes."""

ROWS = 200_000
ROUNDS = 3


def write_file(path: Path, rows: int) -> bytes:
    """A run file of rows of 10 floats, written by the library's own writer."""
    header = Header("0" * 32, "me", "bench", "r", "w0", "train", "w0", wall_ns=1_700_000_000_000_000_000)
    writer = RecordWriter.create(path, header)
    random = np.random.default_rng(1)
    for step in range(rows):
        values = random.standard_normal(10)
        writer.log_row({f"metric/{i}": float(value) for i, value in enumerate(values)}, step)
    writer.append(State(writer.now(), "finished", 0))
    writer.close()
    return path.read_bytes()


def batches(data: bytes) -> list[tuple[int, bytes]]:
    """The file as the sidecar cuts it: whole frames, at most 256 kB."""
    begin = read_header(data)[1]
    found, start, last = [], 0, begin
    for _, end in split_frames(data, begin).spans:
        if end - start > BATCH:
            found.append((start, data[start:last]))
            start = last
        last = end
    found.append((start, data[start:]))
    return found


def floor(pieces: list[tuple[int, bytes]]) -> float:
    """Seconds for frames → CRC → columns alone, in the same batches."""
    started = time.perf_counter()
    decoder: SegmentDecoder | None = None
    crc = 0
    for offset, data in pieces:
        begin = 0
        if decoder is None:
            header, begin = read_header(data)
            decoder = SegmentDecoder(header)
        crc = crc32(data, crc)
        batch = decoder.decode_batch(data, split_frames(data, begin, verify=False).spans, offset)
        for group in batch.groups:
            np.array(group.steps)
            np.frombuffer(b"".join(group.values), "<f8").reshape(-1, len(group.shape.keys)).T.copy()
    return time.perf_counter() - started


def ingest(pieces: list[tuple[int, bytes]], folder: Path) -> float:
    """Seconds from bytes to sealed; one append is under way at a time, as a sidecar does."""
    store = open_store(f"sqlite:///{folder}/store.db", reserve_bytes=0)
    taker = Ingest(store)
    started = time.perf_counter()
    crc = 0
    for offset, data in pieces:
        end_crc = crc32(data, crc)
        part = Part(
            run_uid="0" * 32, writer="w0", offset=offset, crc=crc, end_crc=end_crc, data=data, live=True
        )
        (answer,) = taker.append([part]).result()
        if answer.status != 200:
            raise RuntimeError(f"refused: {answer}")
        crc = end_crc
    taker.seal_ended().result()
    seconds = time.perf_counter() - started
    taker.close()
    store.close()
    return seconds


def measure() -> Report:
    """Both on one core, in turns."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    floors, ours = [], []
    with tempfile.TemporaryDirectory() as folder:
        data = write_file(Path(folder) / "w0.kiseki", ROWS)
        pieces = batches(data)
        for number in range(ROUNDS):
            floors.append(ROWS / floor(pieces))
            target = Path(folder) / str(number)
            target.mkdir()
            ours.append(ROWS / ingest(pieces, target))
    what = "server ingest on one core, bytes to sealed, 10 floats a row"
    floor_name = "frames → CRC → columns alone"
    return Report(
        "ingest", [Result(what, "rows/s", median(ours), floor_name, median(floors), Bar(">=", 0.2))]
    )


if __name__ == "__main__":
    main(measure())
