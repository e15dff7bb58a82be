"""The writer: what a returned call promises, on good disks and bad ones, and when it is cut short."""

from __future__ import annotations

import gc
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from kiseki.records import (
    Clock,
    Config,
    DecodedRow,
    Gap,
    Header,
    RecordWriter,
    Segment,
    State,
    TooLarge,
    Unstorable,
    read_records,
)

NewWriter = Callable[..., RecordWriter]


def rows_of(writer: RecordWriter) -> list[tuple[int, dict[str, Any]]]:
    """(step, values) of each row in the file, which must be undamaged."""
    reading = read_records(writer.path.read_bytes())
    assert reading.damage is None
    return [
        (entry.record.step, dict(zip(entry.record.names, entry.record.values, strict=True)))
        for entry in reading.entries
        if isinstance(entry.record, DecodedRow)
    ]


def records_of(writer: RecordWriter, kind: type) -> list[Any]:
    """The file's records of one kind."""
    return [e.record for e in read_records(writer.path.read_bytes()).entries if isinstance(e.record, kind)]


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size` bytes: what a full disk looks like to a writer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_row_is_in_the_file_when_the_call_returns(new_writer: NewWriter) -> None:
    writer = new_writer()
    for step in range(3):
        assert not writer.log_row({"loss": step / 2}, step)
        assert rows_of(writer)[-1] == (step, {"loss": step / 2})
        assert writer.position == writer.path.stat().st_size
    assert writer.rows == 3


def test_values_keep_their_type(new_writer: NewWriter) -> None:
    writer = new_writer()
    row = {
        "f": 1.0,
        "i": 3,
        "b": True,
        "n": None,
        "s": "x",
        "big": -(2**100),
        "u": 2**64 - 1,
        "l": [1, [2.5]],
    }
    for step in range(2):
        writer.log_row(row, step)
    for _, read in rows_of(writer):
        assert read == row
        assert [type(value) for value in read.values()] == [type(value) for value in row.values()]


def test_a_shape_that_changes_type_is_written_as_it_comes(new_writer: NewWriter) -> None:
    writer = new_writer()
    sent = [1.0, 2, "three", None, 4.0, True, [5], 6.0, 2**70, 7.0]
    for step, value in enumerate(sent):
        writer.log_row({"x": value, "y": 0.0}, step)
    assert [row["x"] for _, row in rows_of(writer)] == sent


def test_foreign_scalars_and_nested_rows(new_writer: NewWriter) -> None:
    writer = new_writer()
    for step in range(2):
        writer.log_row(
            {"a": np.float32(0.5), "b": {"c": np.int64(2), "d": {"e": 1.5}}, "z": np.float64(1)}, step
        )
    assert rows_of(writer) == [(step, {"a": 0.5, "b.c": 2, "b.d.e": 1.5, "z": 1.0}) for step in range(2)]


def test_what_cannot_be_stored_is_named_and_the_rest_is_kept(new_writer: NewWriter) -> None:
    writer = new_writer()
    for step in range(2):
        skipped = writer.log_row({"loss": 1.0, "model": object(), "deep": {"f": len}}, step)
        assert [(item.name, item.type_name) for item in skipped] == [
            ("model", "object"),
            ("deep.f", "builtin_function_or_method"),
        ]
    assert rows_of(writer) == [(0, {"loss": 1.0}), (1, {"loss": 1.0})]


def test_odd_keys_have_their_documented_outcome(new_writer: NewWriter) -> None:
    writer = new_writer()
    row = {5: 1.0, "🦊": 2.0, "k" * 5000: 3.0, "": 4.0, "_step": 9, "_runtime": 9, "_timestamp": 9, "": 1}  # noqa: F601
    for step in range(2):
        assert [item.name for item in writer.log_row(row, step)] == ["", "_step", "_runtime", "_timestamp"]
    assert rows_of(writer)[1] == (1, {"5": 1.0, "🦊": 2.0, "k" * 5000: 3.0})
    writer.log_row({5: 1.0, "5": 2.0, True: 3.0, None: 4.0}, 2)
    assert rows_of(writer)[2] == (2, {"5": 2.0, "True": 3.0, "None": 4.0})
    writer.log_row({"a": {"": 1.0, 2: 3.0}}, 3)
    assert rows_of(writer)[3] == (3, {"a.": 1.0, "a.2": 3.0})
    writer.log_row({"\udc80": "\udc81"}, 4)
    assert rows_of(writer)[4] == (4, {"\\udc80": "\\udc81"})


def test_a_tuple_as_a_key_is_no_path(new_writer: NewWriter) -> None:
    writer = new_writer()
    writer.log_row({"a": {"b": 1.0}}, 0)
    writer.log_row({("a", "b"): 2.0}, 1)
    assert rows_of(writer) == [(0, {"a.b": 1.0}), (1, {"('a', 'b')": 2.0})]


def test_an_empty_row_is_a_row(new_writer: NewWriter) -> None:
    writer = new_writer()
    writer.log_row({}, 0)
    writer.log_row({"a": {}}, 1)
    assert rows_of(writer) == [(0, {}), (1, {"a": {}})]


def test_steps_are_64_bit_integers(new_writer: NewWriter) -> None:
    writer = new_writer()
    for step in (2**63 - 1, -(2**63), np.int64(7), 0):
        writer.log_row({"x": 1.0}, step)
        writer.log_row({"x": 1.0}, step)
    for bad in (2**63, -(2**63) - 1):
        with pytest.raises(ValueError, match="64 bits"):
            writer.log_row({"x": 1.0}, bad)
    for wrong in (1.5, "1", None):
        with pytest.raises(TypeError):
            writer.log_row({"x": 1.0}, wrong)  # type: ignore[arg-type]
    assert [step for step, _ in rows_of(writer)] == [2**63 - 1] * 2 + [-(2**63)] * 2 + [7, 7, 0, 0]


def test_a_row_beyond_16_mib_is_refused_and_the_next_one_taken(new_writer: NewWriter) -> None:
    writer = new_writer()
    writer.log_row({"s": "short"}, 0)
    for _ in range(2):
        with pytest.raises(TooLarge, match="16 MiB"):
            writer.log_row({"s": "x" * (9 * 2**20), "t": "x" * (9 * 2**20)}, 1)
    with pytest.raises(TooLarge):
        writer.append(Config(writer.now(), {"s": "x" * (17 * 2**20)}))
    writer.log_row({"s": "y" * (15 * 2**20)}, 2)
    assert [step for step, _ in rows_of(writer)] == [0, 2]


@pytest.mark.parametrize("text", ["x" * (17 * 2**20), "é" * (9 * 2**20), b"x" * (16 * 2**20)])
def test_a_text_too_large_for_a_record_is_left_out_of_its_row(
    new_writer: NewWriter, text: str | bytes
) -> None:
    writer = new_writer()
    (skipped,) = writer.log_row({"s": text, "kept": 1.5}, 3)
    assert (skipped.name, skipped.type_name) == ("s", type(text).__name__)
    assert "too large" in skipped.why
    assert rows_of(writer) == [(3, {"kept": 1.5})]


def test_records_take_foreign_values_and_refuse_what_no_reader_could_read(new_writer: NewWriter) -> None:
    writer = new_writer()
    writer.append(
        Config(writer.now(), {"lr": np.float32(0.5), "layers": (1, 2), "big": 2**70, "by": {3: "x"}})
    )
    with pytest.raises(Unstorable, match="object"):
        writer.append(Config(writer.now(), {"model": object()}))
    with pytest.raises(TypeError, match="State"):
        writer.append(State(writer.now(), 5))  # type: ignore[arg-type]
    (config,) = records_of(writer, Config)
    assert config.set == {"lr": 0.5, "layers": [1, 2], "big": 2**70, "by": {"3": "x"}}


def test_a_file_is_created_once(new_writer: NewWriter) -> None:
    new_writer()
    with pytest.raises(FileExistsError):
        new_writer()


def test_a_closed_writer_says_so(new_writer: NewWriter) -> None:
    writer = new_writer()
    assert writer.close() == 0
    assert writer.close() == 0
    for call in (lambda: writer.log_row({"x": 1.0}, 0), lambda: writer.append(State(0, "finished"))):
        with pytest.raises(ValueError, match="closed"):
            call()


def test_a_forked_child_closes_without_a_trace(new_writer: NewWriter) -> None:
    writer = new_writer()
    writer.log_row({"x": 1.0}, 0)
    pid = os.fork()
    if pid == 0:
        writer.close_inherited()
        os._exit(0 if writer.closed else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    writer.log_row({"x": 2.0}, 1)
    assert len(rows_of(writer)) == 2


def test_a_full_disk_costs_nothing_once_it_has_room(new_writer: NewWriter) -> None:
    lines: list[str] = []
    writer = new_writer(on_trouble=lines.append)
    for step in range(10):
        writer.log_row({"x": step / 2, "s": "é"}, step)
    with file_size_limit(writer.position + 100):
        for step in range(10, 2000):
            writer.log_row({"x": step / 2, "s": "é"}, step)
        assert writer.waiting > 0
        # What is in the file by now is whole.
        assert rows_of(writer)[-1][0] < 15
        assert writer.position == writer.path.stat().st_size
    assert len(lines) == 1
    assert "File too large" in lines[0]
    writer.log_row({"x": 1.0, "s": "é"}, 2000)
    assert writer.waiting == 0
    writer.log_row({"x": 1.0, "s": "é"}, 2001)
    assert [step for step, _ in rows_of(writer)] == list(range(2002))
    assert writer.rows == 2002


def test_closing_writes_what_waits(new_writer: NewWriter) -> None:
    writer = new_writer()
    with file_size_limit(writer.position):
        writer.log_row({"x": 1.0}, 0)
        writer.append(State(writer.now(), "finished"))
    assert writer.close() == 0
    assert len(rows_of(writer)) == 1
    assert len(records_of(writer, State)) == 1


def test_closing_on_a_full_disk_says_how_much_is_lost(new_writer: NewWriter) -> None:
    writer = new_writer()
    writer.log_row({"x": 1.0}, 0)
    with file_size_limit(writer.position):
        writer.log_row({"x": 1.0}, 1)
        writer.log_row({"x": 1.0}, 2)
        # The two rows, and the segment that the interrupted write began anew.
        assert writer.close() == 3
    assert [step for step, _ in rows_of(writer)] == [0]


def test_beyond_16_mb_records_are_counted_and_a_gap_says_so(new_writer: NewWriter) -> None:
    lines: list[str] = []
    writer = new_writer(on_trouble=lines.append)
    text = "x" * 2**20
    with file_size_limit(writer.position):
        for step in range(20):
            writer.log_row({"s": text}, step)
        assert writer.waiting <= 16 * 2**20
    assert len(lines) == 1
    writer.log_row({"s": "room again", "new": 1.0}, 20)
    writer.log_row({"s": "and again", "new": 1.0}, 21)
    (gap,) = records_of(writer, Gap)
    kept = [step for step, _ in rows_of(writer)]
    assert gap.reason == "File too large"
    assert kept == [*range(len(kept) - 2), 20, 21]
    # Dropped are the missing rows, and whatever segments would have begun there.
    assert gap.dropped >= 22 - len(kept) > 0
    assert writer.rows == len(kept)
    with file_size_limit(writer.position):
        writer.log_row({"s": "x"}, 22)
    assert len(lines) == 2


def test_a_disk_that_is_full_from_the_start(run_dir: Path, header: Callable[..., Header]) -> None:
    with file_size_limit(20):
        writer = RecordWriter.create(run_dir / "w.kiseki", header())
        writer.log_row({"x": 1.0}, 0)
        assert writer.position == 0
    writer.log_row({"x": 1.0}, 1)
    assert [step for step, _ in rows_of(writer)] == [0, 1]


def test_a_descriptor_closed_by_other_code_is_opened_again(new_writer: NewWriter) -> None:
    lines: list[str] = []
    writer = new_writer(on_trouble=lines.append)
    for step in range(3):
        writer.log_row({"x": 1.0}, step)
        for fd in os.listdir("/proc/self/fd"):
            if os.path.realpath(f"/proc/self/fd/{fd}") == str(writer.path.resolve()):
                os.close(int(fd))
    writer.append(State(writer.now(), "finished"))
    assert len(rows_of(writer)) == 3
    assert lines == []


def test_files_opened_after_others_closed_ours_are_left_alone(new_writer: NewWriter, tmp_path: Path) -> None:
    writer = new_writer()
    writer.log_row({"x": 1.0}, 0)
    (ours,) = [
        int(fd)
        for fd in os.listdir("/proc/self/fd")
        if os.path.realpath(f"/proc/self/fd/{fd}") == str(writer.path.resolve())
    ]
    os.close(ours)
    taken: list[int] = []
    try:
        while len(taken) < 20:
            taken.append(os.open(tmp_path / f"theirs{len(taken)}", os.O_RDWR | os.O_CREAT))
        assert ours not in taken
        os.dup2(taken[0], ours)
        writer.close()
        assert os.fstat(ours).st_ino == os.fstat(taken[0]).st_ino
        os.close(ours)
    finally:
        for fd in taken:
            os.close(fd)
    assert all(not path.stat().st_size for path in tmp_path.glob("theirs*"))


def test_a_deleted_directory_is_no_crash(new_writer: NewWriter, run_dir: Path) -> None:
    writer = new_writer()
    writer.log_row({"x": 1.0}, 0)
    shutil.rmtree(run_dir)
    for step in range(1, 20_000):
        writer.log_row({"x": 1.0}, step)
    assert writer.close() == 0


class Struck(Exception):
    """Raised by a signal handler, as KeyboardInterrupt is."""


@contextmanager
def strikes() -> Iterator[Callable[[float, Callable[[], object]], None]]:
    """`strike(seconds, act)`: do `act` again and again, until a signal strikes it after about that time.

    The collector is off meanwhile: what is raised in its callbacks goes nowhere.
    """

    def raise_struck(_signal: int, _frame: FrameType | None) -> None:
        raise Struck

    def strike(seconds: float, act: Callable[[], object]) -> None:
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, seconds)
                for _ in range(10_000):
                    act()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except Struck:
            pass

    # The timer of pytest-timeout, if it is running, goes on afterwards.
    running = signal.setitimer(signal.ITIMER_REAL, 0)
    before = signal.signal(signal.SIGALRM, raise_struck)
    gc.disable()
    try:
        yield strike
    finally:
        gc.enable()
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *running)


class Logging:
    """Logs row after row and remembers which calls returned."""

    def __init__(self, writer: RecordWriter) -> None:
        self.writer = writer
        self.step = 0
        self.returned: list[int] = []

    def log(self) -> None:
        self.step += 1
        row: dict[str, Any] = {"x": float(self.step), "y": 0.5}
        if self.step % 3 == 1:
            row = {"x": self.step, "name": "text"}
        elif self.step % 3 == 2:
            row = {f"new{self.step}": 1.0, "deep": {"y": self.step}}
        self.writer.log_row(row, self.step)
        self.returned.append(self.step)

    def assert_nothing_was_harmed(self) -> None:
        """What returned is in the file, once, in order."""
        self.log()
        assert self.writer.waiting == 0
        written = [step for step, _ in rows_of(self.writer)]
        assert written == sorted(set(written))
        assert set(self.returned) <= set(written)
        assert self.writer.position == self.writer.path.stat().st_size
        assert self.writer.rows == len(written)


def test_no_exception_harms_what_is_written(new_writer: NewWriter) -> None:
    logging = Logging(new_writer())
    with strikes() as strike:
        for number in range(300):
            strike(0.0002 + number % 7 * 0.00003, logging.log)
    logging.assert_nothing_was_harmed()


def test_no_exception_harms_what_waits_for_a_full_disk(new_writer: NewWriter) -> None:
    logging = Logging(new_writer())
    with strikes() as strike:
        for number in range(200):
            room = 300 if number % 2 else 2**40
            with file_size_limit(logging.writer.position + room):
                strike(0.0003 + number % 5 * 0.0001, logging.log)
    logging.assert_nothing_was_harmed()


KILLED = """
import os, sys
sys.path.insert(0, sys.argv[2])
from kiseki.records import Header, RecordWriter
header = Header("0" * 32, "ada", "engines", "r1", "w", "train", "w")
writer = RecordWriter.create(sys.argv[1], header)
step = 0
while True:
    writer.log_row({"x": float(step), "y": step}, step)
    os.write(1, b"%d\\n" % step)
    step += 1
"""


@pytest.mark.parametrize("rows", [0, 1, 777, 20_000])
def test_kill_9_loses_nothing(run_dir: Path, rows: int) -> None:
    path = run_dir / "w.kiseki"
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path), str(Path(__file__).parents[2] / "src")],
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    said = -1
    with child.stdout as lines:
        for line in lines:
            said = int(line)
            if said >= rows:
                child.kill()
                break
        said = int((lines.read().split() or [said])[-1])
    child.wait()
    reading = read_records(path.read_bytes())
    steps = [entry.record.step for entry in reading.entries if isinstance(entry.record, DecodedRow)]
    assert steps == list(range(len(steps)))
    assert len(steps) > said
    assert reading.damage is None or reading.damage.startswith("torn")


def test_segments_count_rows_and_carry_the_time(new_writer: NewWriter) -> None:
    writer = new_writer(step=5)
    row = {f"metric/{i}": i / 3 for i in range(10)}
    for step in range(12_000):
        writer.log_row(row, step)
    first, second = records_of(writer, Segment)
    assert (first.index, first.rows, first.step) == (0, 0, 5)
    assert second.index == 1
    assert second.rows == second.step + 1
    assert second.wall_ns // 1000 - second.t == writer.header.wall_ns // 1000


def test_a_drifting_clock_is_recorded(new_writer: NewWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = new_writer()
    writer.check_clock()
    assert records_of(writer, Clock) == []
    true_time = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: true_time() + 3_600_000_000_000)
    writer.check_clock()
    writer.check_clock()
    writer.log_row({"x": 1.0}, 0)
    assert len(records_of(writer, Clock)) == 1
    entry = read_records(writer.path.read_bytes()).entries[-1]
    assert abs(entry.time_us - true_time() // 1000 - 3_600_000_000) < 60_000_000
