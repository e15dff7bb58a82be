"""What values become in a record, and in JSON."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import math
import pathlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiseki.records import Unstorable, flatten_row, from_json, to_json, to_storable


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass
class Optimiser:
    name: str
    betas: tuple[float, float]


class Tensor:
    """What a torch tensor looks like to us."""

    def __init__(self, value: Any, shape: tuple[int, ...]) -> None:
        self.value, self.shape = value, shape

    def item(self) -> Any:
        return self.value

    def tolist(self) -> Any:
        return self.value


class Eager:
    """What a TensorFlow tensor looks like to us."""

    def __init__(self, value: Any) -> None:
        self.value = np.array(value)
        self.shape = self.value.shape

    def numpy(self) -> Any:
        return self.value


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        (np.float16(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.int8(-3), -3),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.bool_(True), True),
        (np.str_("text"), "text"),
        (np.array(2.5), 2.5),
        (np.array([1, 2]), [1, 2]),
        (np.array([[7]], dtype=np.int8), 7),
        (np.array([[0.5], [1.5]]), [[0.5], [1.5]]),
        (np.datetime64("2024-01-02"), "2024-01-02"),
        (Tensor(0.25, ()), 0.25),
        (Tensor([0.25, 0.5], (2,)), [0.25, 0.5]),
        (Eager(3), 3),
        (Eager([1.5]), [1.5]),
        (True, True),
        (Colour.RED, "RED"),
        (Level.HIGH, "HIGH"),
        (decimal.Decimal("0.5"), 0.5),
        (fractions.Fraction(1, 4), 0.25),
        (datetime.datetime(2024, 1, 2, 3, 4, tzinfo=datetime.timezone.utc), "2024-01-02T03:04:00+00:00"),
        (datetime.date(2024, 1, 2), "2024-01-02"),
        (datetime.timedelta(minutes=1), 60.0),
        (pathlib.Path("a/b"), "a/b"),
        (Optimiser("adam", (0.9, 0.99)), {"name": "adam", "betas": [0.9, 0.99]}),
        ({1}, [1]),
        (collections.deque([1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        (bytearray(b"ab"), b"ab"),
        ({"a": {2: (None,)}}, {"a": {"2": [None]}}),
    ],
)
def test_values_become_plain(value: Any, stored: Any) -> None:
    found = to_storable(value)
    assert found == stored
    assert type(found) is type(stored)


def cycle() -> Any:
    value: list[Any] = []
    value.append(value)
    value.append(value)
    return value


def deep() -> Any:
    value: list[Any] = []
    for _ in range(5000):
        value = [value]
    return value


class Hostile:
    shape = (2,)

    def tolist(self) -> Any:
        raise RuntimeError("the device is gone")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (object(), "object is not a number"),
        (len, "is not a number"),
        (Tensor, "type is not a number"),
        (1 + 2j, "complex"),
        (np.complex64(1), "complex64"),
        (np.zeros(5000), "5000 elements is too large"),
        (range(10**12), "elements is too large"),
        (cycle(), "contains itself"),
        (deep(), "nested deeper"),
        (Hostile(), "the device is gone"),
        (decimal.Decimal("sNaN"), "could not be read"),
        ([1, {"a": object()}], "object"),
    ],
)
def test_what_cannot_be_stored_says_why(value: Any, why: str) -> None:
    with pytest.raises(Unstorable, match=why):
        to_storable(value)


def test_a_default_replaces_what_cannot_be_stored() -> None:
    assert to_storable({"f": len, "n": 1}, default=repr) == {"f": "<built-in function len>", "n": 1}
    with pytest.raises(Unstorable):
        to_storable({"f": len}, default=lambda value: object())


def test_a_dictionary_that_contains_itself_costs_its_own_value_only() -> None:
    data: dict[str, Any] = {"loss": 1.0}
    data["self"] = data
    flat = flatten_row({"x": 2.0, "inner": data})
    assert flat.keys == ["x", ("inner", "loss")]
    assert [(item.name, item.why) for item in flat.skipped] == [("inner.self", "dict contains itself")]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, '{"$float":"NaN"}'),
        (math.inf, '{"$float":"Infinity"}'),
        (-math.inf, '{"$float":"-Infinity"}'),
        (2**53, "9007199254740992"),
        (2**53 + 1, '{"$int":"9007199254740993"}'),
        (-(2**80), '{"$int":"-1208925819614629174706176"}'),
        (b"\x00", '{"$bytes":"AA=="}'),
        ({"$float": "NaN"}, '{"$map":{"$float":"NaN"}}'),
        ({"$map": {"$int": "3"}}, '{"$map":{"$map":{"$map":{"$int":"3"}}}}'),
        ({"$float": 1, "b": 2}, '{"$float":1,"b":2}'),
        ([True, None, 0.5], "[true,null,0.5]"),
    ],
)
def test_json_carries_what_json_cannot(value: Any, text: str) -> None:
    assert to_json(value).decode() == text
    found = from_json(text)
    assert found == value or (math.isnan(value) and math.isnan(found))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.integers()
    | st.text()
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["$float", "$int", "$map", "$bytes", "$x", "a"]) | st.text(), inner)
    ),
    max_leaves=8,
)


@given(json_values)
def test_json_gives_back_what_went_in(value: Any) -> None:
    data = to_json(value)
    json.loads(data, parse_constant=pytest.fail)
    assert from_json(data) == value
