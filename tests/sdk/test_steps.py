from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiseki.sdk.steps import StepCounter, whole_step


@pytest.mark.parametrize(
    ("calls", "placed", "after"),
    [
        ([(None, None)] * 3, [0, 1, 2], 3),
        ([(5, None), (None, None)], [5, 5], 6),
        ([(5, None), (5, None), (None, None), (None, None)], [5, 5, 5, 6], 7),
        ([(None, False), (None, False), (None, None)], [0, 0, 0], 1),
        ([(None, False), (3, None)], [0, 3], 3),
        ([(10, True), (None, None)], [10, 11], 12),
        ([(10, False), (None, False), (None, True)], [10, 10, 10], 11),
        ([(500, None), (3, None), (None, None), (None, None)], [500, 3, 500, 501], 502),
        ([(500, None), (3, True), (None, None)], [500, 3, 500], 501),
        ([(-1, None), (None, None)], [-1, 0], 1),
    ],
)
def test_rows_get_the_steps_of_wandb_and_earlier_ones_are_kept(
    calls: list[tuple[int | None, bool | None]], placed: list[int], after: int
) -> None:
    steps = StepCounter()
    assert [steps.place(step, commit) for step, commit in calls] == placed
    assert steps.current == after


@given(
    st.lists(st.tuples(st.none() | st.integers(-5, 50), st.sampled_from([None, True, False])), max_size=30)
)
def test_the_counter_never_goes_back(calls: list[tuple[int | None, bool | None]]) -> None:
    steps = StepCounter()
    before = steps.current
    for step, commit in calls:
        at = steps.place(step, commit)
        assert at == (before if step is None else step)
        assert steps.current >= before
        before = steps.current


class Index:
    def __index__(self) -> int:
        return 7


@pytest.mark.parametrize(("step", "number"), [(3, 3), (True, 1), (3.0, 3), (Index(), 7)])
def test_whole_numbers_of_any_type_are_steps(step: Any, number: int) -> None:
    assert whole_step(step) == number


@pytest.mark.parametrize(
    "step", [3.7, "3", [1], float("nan"), float("inf"), 2**62 + 1, -(2**63) - 1, object()]
)
def test_what_is_no_step_is_named(step: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"log\(step="):
        whole_step(step)


def test_odd_steps_lose_no_row(train: Callable[..., Any]) -> None:
    done = train("""
        import numpy as np
        run = kiseki.init(mode="offline")
        run.log({"a": 1}, step=np.int64(5))
        run.log({"b": 2}, step=3.7)
        run.log({"c": 3}, step="8")
        run.log({"d": 4}, step=np.float64(6.0))
        assert run.step == 7
    """)
    assert done.status == 0, done.err
    assert done.rows == [{"_step": 5, "a": 1, "b": 2}, {"_step": 6, "c": 3, "d": 4}]
    assert len(done.warnings) == 2 and "3.7" in done.warnings[0]
