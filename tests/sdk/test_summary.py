from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kiseki
from kiseki.records import read_run

KEYS = st.sampled_from(["a", "b", "c.d", "_step", ""])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=3)
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=2) | st.lists(inner, max_size=2), max_leaves=5
)
ACTIONS = st.one_of(
    st.tuples(st.just("log"), st.dictionaries(KEYS, VALUES, max_size=3)),
    st.tuples(st.just("set"), st.tuples(st.sampled_from(["a", "b", "c"]), VALUES)),
    st.tuples(st.just("nested"), st.tuples(st.sampled_from(["a", "b", "c"]), VALUES)),
    st.tuples(st.just("delete"), st.sampled_from(["a", "b", "c"])),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=st.lists(ACTIONS, max_size=12))
def test_summary_equals_the_fold_of_the_file(actions: list[tuple[str, Any]], workdir: Path) -> None:
    run = kiseki.init(settings={"silent": True}, reinit=True)
    for what, how in actions:
        if what == "log":
            run.log(how)
        elif what == "set":
            run.summary[how[0]] = how[1]
        elif what == "nested":
            run.summary.update({how[0]: {"inner": 1}})
            run.summary[how[0]]["inner"] = how[1]
        elif how in run.summary:
            del run.summary[how]
    ours = run.summary._as_dict()
    run.finish()
    fold = read_run(str(run.sync_dir)).fold.summary
    for time in ("_runtime", "_timestamp"):
        assert ours.pop(time, None) == pytest.approx(fold.pop(time, None), abs=0.5)
    assert ours == fold


def test_last_one_wins_by_hand_or_logged(workdir: Path) -> None:
    with kiseki.init(settings={"silent": True}) as run:
        run.log({"loss": 1.0, "best": 0.5})
        run.summary["loss"] = 0.25
        assert run.summary["loss"] == 0.25
        run.log({"loss": 2.0})
        assert run.summary.loss == 2.0
        run.summary.best = np.float32(0.75)
        assert run.summary.get("best") == 0.75
    assert read_run(str(run.sync_dir)).fold.summary["best"] == 0.75


def test_nested_values_stay_nested(workdir: Path) -> None:
    with kiseki.init(settings={"silent": True}) as run:
        run.log({"val": {"acc": 1, "by": {"cat": 0.5}}})
        run.summary["val"]["acc"] = 2
        assert run.summary["val"]["by"]["cat"] == 0.5
        assert run.summary.val.acc == 2
        assert run.summary["val"].keys() == ["acc", "by"]
        run.summary.update({"extra": {"x": 1}, "y": 2})
        assert run.summary._as_dict()["extra"] == {"x": 1}
        assert {"val", "extra", "y", "_step", "_runtime", "_timestamp"} == set(run.summary)
        assert dict(run.summary.items())["y"] == 2
    assert read_run(str(run.sync_dir)).fold.summary["val"] == {"acc": 2, "by": {"cat": 0.5}}


def test_missing_keys_are_told(workdir: Path) -> None:
    with kiseki.init(mode="disabled") as run:
        assert run.summary.get("nothing", 3) == 3
        assert "nothing" not in run.summary
        assert not hasattr(run.summary, "nothing")
        with pytest.raises(KeyError):
            _ = run.summary["nothing"]


def test_logged_containers_are_copied(workdir: Path) -> None:
    with kiseki.init(mode="disabled") as run:
        row: dict[str, Any] = {"a": [1, 2]}
        run.log(row)
        row["a"].append(3)
        row["b"] = 1
        assert run.summary._as_dict() == {"a": [1, 2], "_step": 0} | {
            key: run.summary[key] for key in ("_runtime", "_timestamp")
        }


def test_what_cannot_be_stored_is_one_warning(train: Callable[..., Any]) -> None:
    done = train("""
        run = kiseki.init()
        for i in range(3):
            run.summary.update({"good": i, "bad": object()})
    """)
    assert done.run.fold.summary == {"good": 2}
    assert len(done.warnings) == 1
    assert "bad" in done.warnings[0] and "object" in done.warnings[0]
