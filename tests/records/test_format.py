"""The run file's format: what is written is read back, damage is named and never read as data."""

from __future__ import annotations

import math
import struct
import tempfile
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.records import second_reader

from kiseki.records import (
    Config,
    Console,
    Damaged,
    DecodedRow,
    Edit,
    Environment,
    File,
    Header,
    Incomplete,
    MetricRule,
    Other,
    RecordWriter,
    Row,
    Segment,
    SegmentDecoder,
    State,
    Summary,
    frame_bytes,
    prelude,
    read_header,
    read_records,
    split_frames,
)

GOLDEN = Path(__file__).parent / "golden" / "wgoldengoldengold.kiseki"

scalars = st.one_of(
    st.none(), st.booleans(), st.floats(), st.integers(), st.integers(-(2**90), 2**90), st.text(max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
keys = st.sampled_from(["loss", "acc", "lr", "a/b", "a.b", "損失", "k" * 300])
rows = st.one_of(
    st.dictionaries(keys, st.floats(), max_size=4),
    st.dictionaries(keys, values, max_size=4),
)
steps = st.integers(-(2**63), 2**63 - 1)
records = st.one_of(
    st.builds(Config, st.just(0), st.dictionaries(keys, values, max_size=3), st.lists(keys, max_size=2)),
    st.builds(
        Summary, st.just(0), st.lists(st.tuples(st.lists(keys, min_size=1, max_size=2), values), max_size=2)
    ),
    st.builds(Environment, st.just(0), st.dictionaries(keys, values, max_size=2)),
    st.builds(Console, st.just(0), st.integers(0, 2), st.binary(max_size=20)),
    st.builds(File, st.just(0), keys, st.none() | st.just("ab" * 32), st.integers(0, 2**60)),
    st.builds(Edit, st.just(0), st.dictionaries(keys, values, max_size=2)),
    st.builds(MetricRule, st.just(0), st.dictionaries(keys, values, max_size=2)),
    st.builds(State, st.just(0), st.just("finished"), st.integers(0, 255)),
)
# A file's length varies with the times in it, so places are drawn without it.
places = st.integers(0, 2**32)
logged = st.lists(st.tuples(rows, steps) | records, max_size=12)
slow = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(operations: list[Any]) -> bytes:
    """The file that a writer makes of rows and records."""
    with tempfile.TemporaryDirectory() as folder:
        header = Header("0" * 32, "ada", "engines", "r1", "waaaaaaaaaaaaaaa", "train", "waaaaaaaaaaaaaaa")
        writer = RecordWriter.create(Path(folder) / "w.kiseki", header)
        for operation in operations:
            if isinstance(operation, tuple):
                writer.log_row(*operation)
            else:
                writer.append(operation)
        writer.close()
        return writer.path.read_bytes()


def comparable(value: Any) -> Any:
    """The value with its floats as bits, so that NaN equals NaN and 0.0 differs from -0.0."""
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, dict):
        return {key: comparable(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [comparable(inner) for inner in value]
    return value


def fields_of(record: Any) -> list[Any]:
    if isinstance(record, DecodedRow):
        return [record.step, list(record.shape.keys), list(record.values)]
    if isinstance(record, Other):
        return record.fields
    return [getattr(record, name) for name in record.__struct_fields__][1:]


def assert_both_readers_agree(data: bytes) -> None:
    ours = read_records(data)
    header, theirs, damage = second_reader.read_file(data)
    assert (ours.header is None) == (header is None)
    if ours.header is not None:
        assert header is not None
        assert {name: header[name] for name in ours.header.__struct_fields__} == {
            name: getattr(ours.header, name) for name in ours.header.__struct_fields__
        }
    assert ours.damage == (None if damage is None else f"torn or damaged at byte {damage}")
    assert [comparable(fields_of(entry.record)) for entry in ours.entries] == [
        comparable(record["fields"]) for record in theirs
    ]
    assert [(entry.offset, entry.time_us, entry.record.t) for entry in ours.entries] == [
        (record["at"], record["time_us"], record["t"]) for record in theirs
    ]


@slow
@given(logged)
def test_what_was_written_is_read_back(operations: list[Any]) -> None:
    reading = read_records(write(operations))
    assert reading.damage is None
    read = [entry.record for entry in reading.entries]
    assert isinstance(read[0], Segment)
    assert len(read) == len(operations) + 1
    for operation, record in zip(operations, read[1:], strict=True):
        if isinstance(operation, tuple):
            assert isinstance(record, DecodedRow)
            assert record.step == operation[1]
            assert comparable(dict(zip(record.shape.keys, record.values, strict=True))) == comparable(
                flat(operation[0])
            )
        else:
            assert comparable(fields_of(record)) == comparable(fields_of(operation))


def flat(row: dict[str, Any]) -> dict[Any, Any]:
    """A row flattened the obvious way."""
    found: dict[Any, Any] = {}

    def walk(path: tuple[str, ...], value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                walk((*path, key), inner)
        else:
            found[path if len(path) > 1 else path[0]] = value

    for key, value in row.items():
        walk((key,), value)
    return found


@slow
@given(logged)
def test_a_second_reader_written_from_the_page_agrees(operations: list[Any]) -> None:
    assert_both_readers_agree(write(operations))


@slow
@given(logged, st.data())
def test_a_prefix_reads_as_a_prefix_of_the_records(operations: list[Any], data: st.DataObject) -> None:
    whole = write(operations)
    reading = read_records(whole)
    cut = data.draw(places) % len(whole)
    part = read_records(whole[:cut])
    assert comparable([fields_of(e.record) for e in part.entries]) == comparable(
        [fields_of(e.record) for e in reading.entries[: len(part.entries)]]
    )
    boundaries = {entry.offset for entry in reading.entries}
    if cut in boundaries:
        assert part.damage is None
    else:
        start = max((at for at in (0, 16, *boundaries) if at <= cut), default=0)
        assert part.damage == f"torn or damaged at byte {start if cut >= 16 else 0}"
    assert_both_readers_agree(whole[:cut])


@slow
@given(logged, st.data())
def test_a_flipped_bit_is_named_and_not_read(operations: list[Any], data: st.DataObject) -> None:
    whole = write(operations)
    reading = read_records(whole)
    bit = data.draw(places) % (len(whole) * 8)
    broken = bytearray(whole)
    broken[bit // 8] ^= 1 << bit % 8
    assert_stops_before(bytes(broken), reading, bit // 8)


@slow
@given(logged, st.data())
def test_a_zeroed_page_is_named_and_not_read(operations: list[Any], data: st.DataObject) -> None:
    whole = write(operations)
    reading = read_records(whole)
    at = data.draw(places) % len(whole)
    size = data.draw(st.integers(1, 4096))
    broken = (whole[:at] + bytes(size) + whole[at + size :])[: len(whole)]
    first = next((i for i in range(len(whole)) if broken[i] != whole[i]), None)
    if first is not None:
        assert_stops_before(broken, reading, first)


def assert_stops_before(broken: bytes, reading: Any, byte: int) -> None:
    """Reading stops at the frame that holds `byte`, names it, and gives all records before it."""
    starts = [0, 16, *(entry.offset for entry in reading.entries)]
    start = max(at for at in starts if at <= byte)
    found = read_records(broken)
    assert found.damage is not None
    assert f"byte {start}" in found.damage
    good = [entry for entry in reading.entries if entry.offset < start]
    assert comparable([fields_of(e.record) for e in found.entries]) == comparable(
        [fields_of(e.record) for e in good]
    )


def test_the_golden_file_reads_as_ever() -> None:
    data = GOLDEN.read_bytes()
    assert_both_readers_agree(data)
    reading = read_records(data)
    assert reading.header is not None
    assert reading.damage is None
    assert (reading.header.project, reading.header.wall_ns) == ("golden", 1_700_000_000_000_000_000)
    read = [
        (type(e.record).__name__, e.time_us - 1_700_000_000_000_000, fields_of(e.record))
        for e in reading.entries
    ]
    assert read == [
        ("Segment", 0, [0, 0, 0, 1_700_000_000_000_000_000]),
        ("Environment", 10, [{"python": "3.11", "command": ["python", "train.py"]}]),
        ("Edit", 20, [{"name": "amber-fox-12", "tags": ["baseline"]}]),
        ("Config", 30, [{"lr": 0.01, "net": {"width": 8}, "seed": 2**80}, []]),
        ("DecodedRow", 1000, [0, ["loss", "acc"], [0.5, 0.25]]),
        ("DecodedRow", 2000, [1, ["loss", "acc"], [math.inf, -0.0]]),
        ("DecodedRow", 3000, [2, ["loss", ("val", "acc"), "note"], [1, None, "höher"]]),
        ("DecodedRow", 4000, [2, ["acc"], [True]]),
        ("Other", 4500, ["a kind of a later version"]),
        ("Console", 4510, [1, b" 10%|#\r\x1b[31m\xff\n"]),
        ("File", 4520, ["code/träin.py", "ab" * 32, 1234, 1_700_000_000_000_000_000]),
        ("File", 4530, ["gone.txt", None, 0, 0]),
        ("Clock", 5_000_000, [1_700_000_005_000_000_000]),
        ("Summary", 5_001_000, [[(["best", "acc"], 0.25)], [["loss"]]]),
        ("Gap", 5_002_000, [7, "No space left on device"]),
        ("Segment", 5_003_000, [1, 4, 2, 1_700_000_005_003_000_000]),
        ("DecodedRow", 5_004_000, [3, ["loss"], [-(2**70)]]),
        ("State", 5_005_000, ["failed", 1, "ValueError: no", None]),
    ]


def test_unknown_kinds_and_extra_fields_are_skipped_over() -> None:
    header = Header("0" * 32, "ada", "engines", "r1", "waaaaaaaaaaaaaaa", "train", "waaaaaaaaaaaaaaa")
    decoder = SegmentDecoder(header)
    assert decoder.decode(b"\x93\x63\x07\xa1x", 0).record == Other(99, 7, ["x"])
    assert decoder.decode(b"\x95\x0d\x01\xa6failed\xc0\xc0", 9).record == State(1, "failed")
    assert decoder.decode(b"\x97\x0d\x01\xa6failed\xc0\xc0\xc0\xa5later", 9).record == State(1, "failed")
    assert decoder.decode(b"\x93\x0d\x01\xa6failed", 9).record == State(1, "failed")


@pytest.mark.parametrize(
    "payload",
    [
        b"\x01",  # no array
        b"\x90",  # an empty one
        b"\x81\x01\x01",  # a map
        b"\x91\x01",  # a row without anything
        b"\x95\x01\x00\x00\x00\x90",  # a shape that was never defined
        b"\x95\x01\x00\x00\xff\x90",  # a negative one
        b"\x95\x01\x00\x00\x91\x05\x91\x00",  # a key that was never defined
        b"\x95\x01\x00\x00\x91\xff\x91\x00",  # a negative one
        b"\x95\x01\x00\x00\x91\xa1a\x90",  # fewer values than keys
        b"\x95\x01\x00\x00\x91\xa1a\xc4\x04abcd",  # half a float
        b"\x95\x01\x00\xa1s\x91\xa1a\x91\x01",  # a step that is no number
        b"\x95\x01\x00\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x91\xa1a\x91\x01",  # a step beyond 64 bits
        b"\x95\x01\xff\x00\x91\xa1a\x91\x01",  # a time before the header
        b"\x95\x01\x00\x00\x91\xa1a\xa1b",  # values that are a string
        b"\x93\x02\x00\x01",  # a config that is no map
        b"\x94\x05\x00\x01\xa1x",  # a console that is text, not bytes
        b"\x93\x06\x00\x01",  # a file whose path is a number
        b"\x95\x01\x00\x00\x91\xa0\x91\x01",  # a key without a name
        b"\x95\x01\x00\x00\x91\x90\x91\x01",  # an empty path
        b"\x95\x01\x00\x00\x92\x00\x00\x92\x01\x01",  # a key that is there twice
        b"\x95\x01\x00\x00\x91\x91\x05\x91\x01",  # a path of numbers
        pytest.param(b"\x95\x01\x00\x00\x91\xa1a\x91" + b"\x91" * 100_000 + b"\x01", id="nested without end"),
        b"\x95\x01\x00\x00\x91\xa1a\x91\xa2\xff\xfe",  # text that is no UTF-8
        b"\xc1",  # no MessagePack
        b"\x92\xa1a\x00",  # a kind that is no number
    ],
)
def test_a_payload_that_makes_no_sense_is_named(payload: bytes) -> None:
    good = write([({"loss": 1.0}, 0)])
    data = good + frame_bytes(payload)
    reading = read_records(data)
    assert len(reading.entries) == 2
    assert reading.damage is not None
    assert reading.damage.startswith(f"unreadable record at byte {len(good)}")
    header, start = read_header(data)
    with pytest.raises(Damaged) as caught:
        SegmentDecoder(header).decode_batch(data, split_frames(data, start).spans)
    assert caught.value.byte == len(good)


def test_a_newer_file_is_refused_in_words() -> None:
    head = b"\x89KISEKI\n" + struct.pack("<HH", 9, 9)
    data = head + struct.pack("<I", zlib.crc32(head)) + write([])[16:]
    assert read_records(data).damage == "run file of format 9, this version reads 1: install a newer kiseki"


def test_what_is_no_run_file_is_said_so() -> None:
    with pytest.raises(Damaged, match="not a run file"):
        read_header(b"PNG and so on, long enough")
    with pytest.raises(Incomplete):
        read_header(prelude())
    assert read_records(b"").damage == "torn or damaged at byte 0"


def test_a_segment_decodes_without_those_before_it() -> None:
    row = {f"metric/{i}": i / 3 for i in range(10)}
    data = write([(row, step) for step in range(25_000)])
    header, start = read_header(data)
    frames = split_frames(data, start)
    decoder = SegmentDecoder(header)
    whole = decoder.decode_batch(data, frames.spans)
    segments = [entry for entry in whole.others if isinstance(entry.record, Segment)]
    assert [entry.record.index for entry in segments if isinstance(entry.record, Segment)] == [0, 1, 2]
    assert (decoder.segment, decoder.segment_offset) == (2, segments[2].offset)
    assert all(b.offset - a.offset >= 2**20 for a, b in pairwise(segments))
    assert segments[1].offset - segments[0].offset < 2**20 + 120
    tail = data[segments[1].offset :]
    alone = SegmentDecoder(header).decode_batch(tail, split_frames(tail).spans, segments[1].offset)
    later = [g for g in whole.groups if g.offsets[0] > segments[1].offset]
    assert [(g.shape, g.offsets, g.times, g.steps, g.values) for g in alone.groups] == [
        (g.shape, g.offsets, g.times, g.steps, g.values) for g in later
    ]


def test_batches_of_any_size_decode_alike() -> None:
    operations: list[Any] = []
    for step in range(300):
        operations.append(({"loss": step / 7, "acc": 0.5}, step))
        if step % 5 == 0:
            operations.append(({"note": f"n{step}", "deep": {"x": step}}, step))
        if step % 50 == 0:
            operations.append(Config(0, {"lr": step}))
    data = write(operations)
    expected = [fields_of(e.record) for e in read_records(data).entries]
    header, start = read_header(data)
    spans = split_frames(data, start, verify=False).spans
    for size in (1, 7, 1000):
        decoder = SegmentDecoder(header)
        found: dict[int, list[Any]] = {}
        for at in range(0, len(spans), size):
            batch = decoder.decode_batch(data, spans[at : at + size])
            for group in batch.groups:
                for i, offset in enumerate(group.offsets):
                    found[offset] = fields_of(group.row(i))
            found.update((entry.offset, fields_of(entry.record)) for entry in batch.others)
        assert [found[offset] for offset in sorted(found)] == expected


def test_more_than_1024_shapes_go_on_with_ids_inline() -> None:
    operations = [({f"k{i}": 1.0, "shared": i / 2}, i) for i in range(1500)] + [
        ({"k1400": 2.0, "shared": 3.0}, 1500)
    ]
    data = write(operations)
    rows = [e.record for e in read_records(data).entries if isinstance(e.record, DecodedRow)]
    assert [dict(zip(row.names, row.values, strict=True)) for row in rows] == [row for row, _ in operations]
    assert_both_readers_agree(data)


def test_a_row_of_ten_floats_takes_at_most_115_bytes() -> None:
    row = {f"metric/number_{i}": i / 3 for i in range(10)}
    data = write([(row, step) for step in range(10_000)])
    assert len(data) / 10_000 <= 115


def test_a_row_as_it_stands_can_be_written_by_anyone() -> None:
    payload = msgspec.msgpack.encode(Row(5, 1, ["a", ["b", "c"]], [1, 2]))
    data = write([]) + frame_bytes(payload)
    record = read_records(data).entries[-1].record
    assert isinstance(record, DecodedRow)
    assert record.names == ("a", "b.c")
