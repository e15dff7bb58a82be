"""The fold: one result for one set of records, whatever their order, and the rules that decide."""

from __future__ import annotations

import copy
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.records.conftest import make_header

from kiseki.records import (
    Clock,
    Config,
    DecodedRow,
    Edit,
    Environment,
    Gap,
    Header,
    OutdatedFold,
    RowGroup,
    RunFold,
    Segment,
    Shape,
    State,
    Summary,
    key_name,
    key_path,
)

WALL = 1_700_000_000_000_000_000

plain = st.sampled_from([0, 1, 2.5, "s", None, 2**70, [1, 2], {"x": 1}, {}])
key = st.sampled_from(["a", "b", ("a", "b"), ("a", "b", "c"), ("a", "d")])
config_key = st.sampled_from(["lr", "net", "seed"])
path = st.lists(st.sampled_from("abc"), min_size=1, max_size=3)


@st.composite
def rows(draw: st.DrawFn) -> DecodedRow:
    keys = tuple(draw(st.lists(key, unique=True, max_size=3)))
    values = [draw(plain) for _ in keys]
    return DecodedRow(0, 0, draw(st.integers(0, 20)), Shape(keys, tuple(map(key_name, keys))), values)


states = st.builds(
    State,
    st.just(0),
    st.sampled_from(["running", "finished", "failed", "crashed"]),
    st.none() | st.integers(0, 3),
    st.none(),
    st.sampled_from([None, "w0", "w1", "w2"]),
)
record = st.one_of(
    rows(),
    st.builds(
        Config, st.just(0), st.dictionaries(config_key, plain, max_size=2), st.lists(config_key, max_size=1)
    ),
    st.builds(Summary, st.just(0), st.lists(st.tuples(path, plain), max_size=2), st.lists(path, max_size=1)),
    st.builds(
        Edit, st.just(0), st.dictionaries(st.sampled_from(["name", "notes", "tags"]), plain, max_size=2)
    ),
    st.builds(Environment, st.just(0), st.dictionaries(config_key, plain, max_size=1)),
    st.builds(Gap, st.just(0), st.integers(0, 9)),
    states,
)


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[Header, list[tuple[int, Any]]]]:
    """Writers with their records at growing times, some times equal across writers."""
    story = []
    for number in range(draw(st.integers(1, 3))):
        header = make_header(
            f"w{number}",
            role=draw(st.sampled_from(["train", "train", "sidecar", "edits"])),
            primary=draw(st.booleans()),
            resumes=draw(st.sampled_from([None, None, "w0", "w1"])),
            wall_ns=WALL + draw(st.integers(0, 3)) * 1000,
        )
        t, entries = 0, []
        for offset, one in enumerate(draw(st.lists(record, max_size=8))):
            t += draw(st.integers(0, 2))
            entries.append((offset, at(one, t, header)))
        story.append((header, entries))
    return story


def at(one: Any, t: int, header: Header) -> Any:
    """The record at another time."""
    if isinstance(one, DecodedRow):
        return one._replace(t=t, time_us=header.wall_ns // 1000 + t)
    return type(one)(t, *[getattr(one, name) for name in one.__struct_fields__[1:]])


def facts(fold: RunFold) -> dict[str, Any]:
    """All that a fold says."""
    names = (
        "config summary fields name notes tags group job_type environment state exit_code reason "
        "started_us ended_us last_step rows dropped"
    )
    return {name: getattr(fold, name) for name in names.split()}


def in_order(story: list[tuple[Header, list[tuple[int, Any]]]]) -> RunFold:
    fold = RunFold()
    for header, entries in story:
        fold.see(header)
        for offset, one in entries:
            fold.apply(header, offset, one)
    return fold


@settings(max_examples=200, deadline=None)
@given(stories(), st.randoms(use_true_random=False))
def test_arrival_order_never_matters(story: list[Any], random: Any) -> None:
    expected = in_order(story)
    every = [(header, offset, one) for header, entries in story for offset, one in entries]
    random.shuffle(every)
    fold = RunFold()
    for header, offset, one in every:
        fold.apply(header, offset, one)
    for header, _ in story:
        fold.see(header)
    assert facts(fold) == facts(expected)
    assert list(fold.config) == list(expected.config)
    assert list(fold.summary) == list(expected.summary)


@settings(max_examples=200, deadline=None)
@given(stories())
def test_it_equals_replaying_all_records_in_their_one_order(story: list[Any]) -> None:
    """Against the plainest model: dictionaries, changed record by record in stamp order."""
    every = [
        ((header.wall_ns // 1000 + one.t, header.writer, offset), one)
        for header, entries in story
        for offset, one in entries
        if not (isinstance(one, DecodedRow) and header.role == "sidecar")
    ]
    config: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    for _, one in sorted(every, key=lambda item: item[0]):
        if isinstance(one, Config):
            for name in one.delete:
                config.pop(name, None)
            config.update(one.set)
        elif isinstance(one, Edit):
            fields.update(one.set)
        elif isinstance(one, Summary):
            deleted = [tuple(path) for path in one.delete if path not in [p for p, _ in one.set]]
            last = {tuple(path): value for path, value in one.set}
            # Within a record, the order of what it sets; of a path that is set twice, the last one.
            order: dict[tuple[str, ...], Any] = {}
            for path, _ in one.set:
                order.pop(tuple(path), None)
                order[tuple(path)] = last[tuple(path)]
            for path, value in order.items():
                plant(summary, path, value)
            for path in deleted:
                plant(summary, path, None, delete=True)
        elif isinstance(one, DecodedRow):
            for name, value in zip(one.shape.keys, one.values, strict=True):
                plant(summary, key_path(name), value)
    fold = in_order(story)
    assert fold.config == config
    assert fold.fields == fields
    for name in ("_step", "_runtime", "_timestamp"):
        summary.pop(name, None)
    found = {name: value for name, value in fold.summary.items() if not name.startswith("_")}
    assert found == summary


def plant(tree: dict[str, Any], path: tuple[str, ...], value: Any, delete: bool = False) -> None:
    for part in path[:-1]:
        if not isinstance(tree.get(part), dict):
            tree[part] = {}
        tree = tree[part]
    if delete:
        tree.pop(path[-1], None)
    else:
        tree[path[-1]] = copy.deepcopy(value)


@settings(max_examples=100, deadline=None)
@given(stories())
def test_it_survives_being_kept(story: list[Any]) -> None:
    fold = RunFold()
    for header, entries in story:
        fold.see(header)
        for offset, one in entries:
            fold = RunFold.from_bytes(fold.to_bytes(), fold.facts_to_bytes())
            fold.apply(header, offset, one)
    assert facts(fold) == facts(in_order(story))


@settings(max_examples=100, deadline=None)
@given(st.lists(rows(), max_size=20))
def test_rows_in_batches_equal_rows_one_by_one(logged: list[DecodedRow]) -> None:
    header = make_header(wall_ns=WALL)
    one_by_one, batch = RunFold(), RunFold()
    groups: dict[Any, list[tuple[int, DecodedRow]]] = {}
    for offset, row in enumerate(logged):
        row = at(row, offset // 2, header)
        one_by_one.apply(header, offset, row)
        groups.setdefault(row.shape, []).append((offset, row))
    for shape, members in groups.items():
        batch.apply_rows(
            header,
            RowGroup(
                shape,
                False,
                [offset for offset, _ in members],
                [row.t for _, row in members],
                [row.time_us for _, row in members],
                [row.step for _, row in members],
                [row.values for _, row in members],
            ),
        )
    one_by_one.see(header)
    batch.see(header)
    assert facts(batch) == facts(one_by_one)


def ended(*records: tuple[Header, Any]) -> RunFold:
    fold = RunFold()
    for offset, (header, one) in enumerate(records):
        fold.apply(header, offset, one)
    return fold


TRAIN = make_header("wtrain", wall_ns=WALL)
SIDECAR = make_header("wside", role="sidecar", primary=False, wall_ns=WALL + 1000)


def test_a_run_runs_until_something_says_otherwise() -> None:
    fold = RunFold()
    assert (fold.state, fold.ended_us, fold.exit_code) == ("running", None, None)
    fold.see(TRAIN)
    fold.apply(SIDECAR, 0, State(0, "finished"))
    assert fold.state == "running"


def test_its_own_word_stands_above_a_verdict_in_any_order() -> None:
    own = (TRAIN, State(5, "finished", 0))
    verdict = (SIDECAR, State(9, "crashed", None, "process vanished", "wtrain"))
    for order in ([own, verdict], [verdict, own]):
        fold = ended(*order)
        assert (fold.state, fold.exit_code, fold.ended_us) == ("finished", 0, WALL // 1000 + 5)
    fold = ended(verdict, (TRAIN, Config(0, {})))
    assert (fold.state, fold.reason) == ("crashed", "process vanished")


def test_a_writer_that_says_it_runs_is_believed_no_longer_than_it_lives() -> None:
    fold = ended((TRAIN, State(1, "running")), (SIDECAR, State(2, "crashed", None, None, "wtrain")))
    assert fold.state == "crashed"
    assert fold.writer_state("wtrain") == "crashed"


def test_a_verdict_that_was_wrong_can_be_taken_back() -> None:
    fold = ended(
        (SIDECAR, State(2, "crashed", None, None, "wtrain")),
        (SIDECAR, State(3, "running", None, None, "wtrain")),
    )
    fold.see(TRAIN)
    assert (fold.state, fold.ended_us) == ("running", None)


def test_a_run_that_is_resumed_runs_again_even_on_a_host_whose_clock_is_late() -> None:
    resumed = make_header("wagain", lane="wtrain", resumes="wtrain", wall_ns=WALL - 10**12)
    fold = ended((TRAIN, State(5, "crashed")), (resumed, Config(0, {"lr": 1})))
    assert fold.state == "running"
    fold.apply(resumed, 9, State(9, "finished", 0))
    assert fold.state == "finished"


def test_other_lanes_do_not_end_a_run() -> None:
    child = make_header("wchild", primary=False, label="fork", wall_ns=WALL + 10**9)
    fold = ended((TRAIN, Config(0, {})), (child, State(1, "finished", 0)))
    assert fold.state == "running"
    assert fold.writer_state("wchild") == "finished"


def test_edits_of_a_server_win_by_time() -> None:
    server = make_header("edits-1", role="edits", primary=False, wall_ns=WALL + 10**9)
    fold = ended(
        (server, Edit(0, {"name": "better", "tags": ["x", "y"]})),
        (TRAIN, Edit(0, {"name": "first", "notes": "n", "group": "g", "job_type": "train", "tags": []})),
    )
    assert (fold.name, fold.notes, fold.group, fold.job_type) == ("better", "n", "g", "train")
    assert fold.tags == ["x", "y"]
    assert fold.started_us == WALL // 1000


def test_the_environment_is_the_primary_lanes_and_others_add_to_it() -> None:
    child = make_header("wchild", primary=False, wall_ns=WALL + 10**9)
    records = [
        (TRAIN, Environment(0, {"pid": 1, "python": "3.11", "gpus": []})),
        (child, Environment(0, {"pid": 2, "rank": 1})),
        (SIDECAR, Environment(5, {"git": {"commit": "a"}, "python": "3.12", "cpu": {"count": 2}})),
        (SIDECAR, Environment(9, {"git": {"commit": "b"}})),
        (TRAIN, Environment(10, {"python": "3.13"})),
    ]
    for order in permutations(records):
        fold = ended(*order)
        assert fold.environment == {
            "pid": 1,
            "python": "3.13",
            "gpus": [],
            "rank": 1,
            "git": {"commit": "b"},
            "cpu": {"count": 2},
        }
        assert list(fold.environment) == ["pid", "gpus", "python", "cpu", "git", "rank"]


def test_system_rows_are_no_rows_of_the_run() -> None:
    row = DecodedRow(2_500_000, WALL // 1000 + 2_500_000, 7, Shape(("loss",), ("loss",)), [0.5])
    sample = DecodedRow(
        9_000_000, WALL // 1000 + 9_000_000, 99, Shape(("system.cpu",), ("system.cpu",)), [3.0]
    )
    fold = ended((TRAIN, row), (SIDECAR, sample))
    alone = ended((TRAIN, row))
    group = RowGroup(sample.shape, False, [1], [sample.t], [sample.time_us], [99], [[3.0]])
    fold.apply_rows(SIDECAR, group)
    assert (fold.rows, fold.last_step, fold.summary) == (1, 7, alone.summary)


def test_facts_change_seldom() -> None:
    fold = ended((TRAIN, Config(0, {"lr": 1})))
    before = fold.facts_revision
    kept = fold.facts_to_bytes()
    row = DecodedRow(2_500_000, WALL // 1000 + 2_500_000, 7, Shape(("loss",), ("loss",)), [0.5])
    fold.apply(TRAIN, 50, row)
    fold.apply(TRAIN, 60, Summary(0, [(["best"], 1)]))
    fold.apply(TRAIN, 70, State(5, "finished", 0))
    assert fold.facts_revision == before
    assert fold.facts_to_bytes() == kept
    fold.apply(TRAIN, 80, Environment(0, {"pid": 1}))
    assert fold.facts_revision > before


def test_the_summary_carries_the_last_rows_step_and_times() -> None:
    row = DecodedRow(2_500_000, WALL // 1000 + 2_500_000, 7, Shape(("loss",), ("loss",)), [0.5])
    fold = ended((TRAIN, row), (TRAIN, Segment(3, 1, 1, 7, WALL)), (TRAIN, Clock(4, WALL)))
    assert fold.summary == {
        "loss": 0.5,
        "_step": 7,
        "_runtime": 2.5,
        "_timestamp": WALL / 1e9 + 2.5,
    }
    assert (fold.rows, fold.last_step) == (1, 7)


def test_what_it_hands_out_can_be_changed_freely() -> None:
    fold = ended((TRAIN, Config(0, {"net": {"width": 8}})), (TRAIN, Summary(0, [(["best"], {"acc": [1]})])))
    fold.config["net"]["width"] = 9
    fold.summary["best"]["acc"].append(2)
    assert fold.config == {"net": {"width": 8}}
    assert fold.summary == {"best": {"acc": [1]}}


def test_a_fold_of_another_version_is_made_again() -> None:
    kept, facts = RunFold().to_bytes(), RunFold().facts_to_bytes()
    for other in (b"", b"\x90", kept[:1] + b"\x63" + kept[2:]):
        for beside in (facts, None):
            with pytest.raises(OutdatedFold):
                RunFold.from_bytes(other, beside)
    with pytest.raises(OutdatedFold):
        RunFold.from_bytes(kept, None)
    with pytest.raises(OutdatedFold):
        RunFold.from_bytes(kept, facts[:1] + b"\x63" + facts[2:])
