"""Columns come back bit for bit, and in the encoding that docs/formats/chunks.md promises."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from kiseki.store import codec
from kiseki.store.codec import decode_column, encode_column
from kiseki.store.columns import Column, column_of
from kiseki.store.statistics import statistics

COLUMNS = st.one_of(
    st.lists(st.floats(), min_size=1, max_size=50),
    st.lists(st.floats(width=32), min_size=1, max_size=50),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=50),
    st.lists(st.booleans(), min_size=1, max_size=50),
    st.lists(st.text(), min_size=1, max_size=20),
    st.lists(
        st.one_of(st.none(), st.floats(), st.integers(-(2**90), 2**90), st.text(max_size=3), st.booleans()),
        min_size=1,
        max_size=20,
    ),
)


def bits(values: list[Any]) -> list[Any]:
    return [
        struct.pack("<d", value) if isinstance(value, float) else (type(value), value) for value in values
    ]


@given(values=COLUMNS, gap=st.integers(0, 5))
def test_any_column_comes_back(values: list[Any], gap: int) -> None:
    column = column_of(values)
    rows = np.arange(len(values), dtype=np.int64) * (gap + 1)
    of = int(rows[-1]) + 1 + gap
    found, present = decode_column(encode_column(column, rows, of), column.type, of)
    assert found.type == column.type
    assert bits(found.objects()) == bits(values)
    assert (present is None) == (len(values) == of)
    if present is not None:
        assert present.tolist() == rows.tolist()


@pytest.mark.parametrize(
    ("values", "encoding"),
    [
        (np.arange(1000), codec.STRIDE),
        (np.full(1000, 0.1), codec.STRIDE),
        (np.full(1000, math.nan), codec.STRIDE),
        (np.array([2**63 - 1, -(2**63)]), codec.STRIDE),
        (np.arange(1000) * 0.5, codec.SHUFFLE32),
        (np.arange(1000) * 0.1, codec.SHUFFLE64),
        (np.arange(1000) ** 2, codec.DELTA64),
        (np.arange(1000) % 2 == 0, codec.BITS),
    ],
)
def test_the_encoding_that_is_chosen(values: Any, encoding: int) -> None:
    kind = {"f": "f64", "i": "i64", "b": "bool"}[values.dtype.kind]
    data = encode_column(Column(kind, values))
    assert data[0] == encoding
    if encoding == codec.STRIDE:
        assert len(data) == 5 + 24
    found, _ = decode_column(data, kind, len(values))
    assert np.array_equal(np.asarray(found.values), values, equal_nan=kind == "f64")


def test_a_reader_made_from_the_page_alone() -> None:
    """float32 shuffled and sparse, decoded with nothing but struct and zstd."""
    data = encode_column(Column("f64", np.array([1.5, -2.25, 1e10])), np.array([0, 2, 5]), 6)
    encoding, count = struct.unpack_from("<BI", data)
    assert (encoding, count) == (0x80 | 3, 3)
    (length,) = struct.unpack_from("<I", data, 5)
    bitmap = zstandard.decompress(data[9 : 9 + length])
    assert [row for row in range(6) if bitmap[row // 8] >> (row % 8) & 1] == [0, 2, 5]
    planes = zstandard.decompress(data[9 + length :])
    values = [struct.unpack("<f", bytes(planes[plane * 3 + i] for plane in range(4)))[0] for i in range(3)]
    assert values == [1.5, -2.25, 1e10]


def test_an_unknown_encoding_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="upgrade Kiseki"):
        decode_column(struct.pack("<BI", 77, 1), "f64", 1)


def test_statistics_count_what_is_no_finite_number_apart() -> None:
    found = statistics(column_of([1.0, math.nan, math.inf, -math.inf, -3.0, math.nan]))
    assert (found.rows, found.count, found.nan, found.pinf, found.ninf) == (6, 2, 2, 1, 1)
    assert (found.min, found.max, found.sum, found.first, found.last) == (-3.0, 1.0, -2.0, 1.0, -3.0)
    mixed = statistics(column_of([None, True, "x", 3, 10**400]))
    assert (mixed.rows, mixed.count, mixed.pinf, mixed.last, mixed.last_at) == (5, 2, 1, 3.0, 3)
    assert statistics(column_of(["a", "b"])).count == 0
