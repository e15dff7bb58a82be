"""Points that come out equal those in the files, and rebuilding changes nothing: by generated runs."""

from __future__ import annotations

import itertools
import math
import tempfile
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kiseki.ingest import Ingest
from kiseki.records import writer as record_writer
from kiseki.records.directory import lane_rows, read_run
from kiseki.records.kinds import (
    DEFAULT_STREAM,
    SYSTEM_STREAM,
    Clock,
    Config,
    Edit,
    Environment,
    State,
    Summary,
)
from kiseki.records.numbers import from_json
from kiseki.store import Store, open_store
from kiseki.store import chunks as chunk_rows
from kiseki.store.series import numeric, read_points
from kiseki.store.tables import runs

from .conftest import RunDirectory, cut, header, part, same
from .derived import derived_rows

VALUES = st.one_of(
    st.floats(),
    st.integers(-(2**70), 2**70),
    st.integers(-5, 5),
    st.booleans(),
    st.text(max_size=4),
    st.none(),
    st.lists(st.integers(0, 3), max_size=2),
)
FLOAT_ROW = st.fixed_dictionaries({"loss": st.floats(), "acc": st.floats()})
ROW = st.one_of(
    FLOAT_ROW,
    FLOAT_ROW,
    st.dictionaries(st.sampled_from(["loss", "acc", "x", "_time", "a.b"]), VALUES, max_size=4),
    st.fixed_dictionaries({"a": st.dictionaries(st.sampled_from(["b", "c"]), VALUES, min_size=1)}),
)
WRITER = st.lists(st.tuples(st.integers(-3, 40), ROW), max_size=40)


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    """A run of up to four writers: a primary lane that is resumed, a fork, and a sidecar."""
    return {
        "rows": draw(st.lists(WRITER, min_size=1, max_size=3)),
        # The same keys as the training's: they must never meet.
        "measured": draw(WRITER),
        "ends": draw(st.lists(st.booleans(), min_size=3, max_size=3)),
        "sizes": draw(st.lists(st.integers(1, 900), max_size=12)),
        "order": draw(st.randoms(use_true_random=False)),
        "segment": draw(st.sampled_from([500, 2000, 1 << 20])),
        "chunk_rows": draw(st.sampled_from([2, 6, 256])),
        "early_seal": draw(st.booleans()),
    }


def write_run(directory: RunDirectory, plan: dict[str, Any]) -> None:
    """Write the run's files."""
    first = header(1)
    kinds = [
        first,
        header(2, lane=first.writer, resumes=first.writer, wall_ns=first.wall_ns + 5_000_000),
        header(3, primary=False, label="fork", wall_ns=first.wall_ns + 3_000_000),
    ]
    for head, rows, ends in zip(kinds, plan["rows"], plan["ends"], strict=False):
        writer = directory.writer(head)
        writer.append(Config(writer.now(), {"lr": 0.1, "n": {"deep": [1, head.writer]}}))
        writer.append(Edit(writer.now(), {"name": f"by {head.writer}", "tags": ["a"]}))
        for number, (step, row) in enumerate(rows):
            writer.log_row(row, step)
            if number == 5:
                writer.append(Clock(writer.now(), head.wall_ns - 1_000_000_000))
                writer.append(Summary(writer.now(), [(["best"], 2**80), (["n", "x"], math.nan)]))
        if ends:
            writer.append(State(writer.now(), "finished", 0))
        writer.close()
    sidecar = directory.writer(header(9, role="sidecar", primary=False, label="box"))
    sidecar.append(Environment(sidecar.now(), {"cpu": {"count": 2}}))
    for step, row in plan["measured"]:
        sidecar.log_row(row, step)
    sidecar.append(State(sidecar.now(), "crashed", None, "gone", first.writer))
    sidecar.append(State(sidecar.now(), "finished", 0))
    sidecar.close()


def send_mixed(ingest: Ingest, directory: RunDirectory, plan: dict[str, Any], *, reverse: bool) -> None:
    """Send all writers piece by piece, in a mixed order."""
    queues = []
    for number, (head, data) in enumerate(directory.files()):
        sizes = plan["sizes"][number:] if not reverse else [50_000]
        queues.append([head, cut(data, sizes), 0, 0])
    if reverse:
        queues.reverse()
    while queues:
        queue = queues[0] if reverse else plan["order"].choice(queues)
        head, pieces, offset, crc = queue
        if not pieces:
            queues.remove(queue)
            continue
        piece = pieces.pop(0)
        (answer,) = ingest.append([part(piece, offset, crc, of=head)]).result(30)
        assert answer.status == 200, answer
        queue[2], queue[3] = offset + len(piece), crc32(piece, crc)
        if plan["early_seal"] and not reverse:
            ingest.seal_ended().result(30)


def expected_points(
    directory: RunDirectory, stream: str = DEFAULT_STREAM
) -> dict[tuple[str, str], list[tuple[int, Any]]]:
    """(metric, lane) → points, by the oracle."""
    found: dict[tuple[str, str], list[tuple[int, Any]]] = {}
    for head, rows in lane_rows(directory.path, stream):
        label = "" if head.primary else head.label
        for step, row in sorted(rows.items()):
            for key, value in row.items():
                if key not in ("_runtime", "_timestamp"):
                    found.setdefault((key, label), []).append((step, value))
    return found


def points_of(
    store: Store, keys: list[str] | None = None, stream: str = DEFAULT_STREAM
) -> dict[tuple[str, str], list[tuple[int, Any]]]:
    """The same from the store."""
    with store.read() as connection:
        pk = connection.execute(runs.select()).one().id
        found = read_points(store, connection, pk, keys, stream=stream)
    return {
        (key, lane.label): list(
            zip(
                lane.steps.tolist(),
                lane.values if isinstance(lane.values, list) else lane.values.tolist(),
                strict=True,
            )
        )
        for key, lanes in found.items()
        for lane in lanes
    }


def assert_same_points(got: dict[Any, Any], expected: dict[Any, Any]) -> None:
    """Equal in steps, values and types."""
    assert got.keys() == expected.keys()
    for key, points in expected.items():
        assert [step for step, _ in got[key]] == [step for step, _ in points], key
        for (_, value), (_, right) in zip(got[key], points, strict=True):
            assert same(value, right), (key, value, right)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # Each example opens two stores: shrinking one takes longer than reading it.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(plan=plans())
def test_points_equal_the_files_and_a_rebuild_changes_nothing(plan: dict[str, Any]) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(record_writer, "SEGMENT_BYTES", plan["segment"])
        patch.setattr(chunk_rows, "CHUNK_ROWS", plan["chunk_rows"])
        directory = RunDirectory(Path(folder) / "run")
        write_run(directory, plan)
        expected = expected_points(directory)
        measured = expected_points(directory, SYSTEM_STREAM)
        tables = []
        for number, reverse in itertools.product((1,), (False, True)):
            store = open_store(f"sqlite:///{folder}/{number}{reverse}/store.db", reserve_bytes=0)
            ingest = Ingest(store)
            try:
                send_mixed(ingest, directory, plan, reverse=reverse)
                assert_same_points(points_of(store), expected)
                assert_same_points(points_of(store, stream=SYSTEM_STREAM), measured)
                ingest.seal_ended().result(30)
                assert_same_points(points_of(store), expected)
                assert_same_points(points_of(store, stream=SYSTEM_STREAM), measured)
                for name in {key for key, _ in expected}:
                    one = {found: points for found, points in expected.items() if found[0] == name}
                    assert_same_points(points_of(store, [name]), one)
                for name in {key for key, _ in measured}:
                    one = {found: points for found, points in measured.items() if found[0] == name}
                    assert_same_points(points_of(store, [name], SYSTEM_STREAM), one)
                before = derived_rows(store)
                assert ingest.rebuild().result(30)
                assert derived_rows(store) == before
                assert_same_points(points_of(store), expected)
                tables.append(before)
            finally:
                ingest.close()
                store.close()
        assert tables[0] == tables[1]
        fold = read_run(directory.path).fold
        (run,) = tables[0]["runs"]
        assert run["state"] == fold.state
        assert run["rows"] == fold.rows
        assert run["last_step"] == fold.last_step
        assert from_json(run["environment"]) == fold.environment


def test_a_range_of_steps(run_directory: RunDirectory, store: Store, ingest: Ingest) -> None:
    writer = run_directory.writer(header())
    for step in range(100):
        writer.log_row({"loss": step / 3, "flag": step % 2 == 0}, step)
    writer.close()
    ((head, data),) = run_directory.files()
    ingest.append([part(data, of=head)]).result(10)
    with store.read() as connection:
        found = read_points(store, connection, 1, ["loss", "flag", "none"], step_min=10, step_max=12)
    assert set(found) == {"loss", "flag"}
    assert found["loss"][0].steps.tolist() == [10, 11, 12]
    assert found["loss"][0].values.tolist() == [10 / 3, 11 / 3, 12 / 3]
    assert found["flag"][0].type == "bool"
    assert numeric(found["flag"][0]).values.tolist() == [1.0, 0.0, 1.0]
