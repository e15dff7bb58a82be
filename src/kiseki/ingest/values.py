"""The runs table's values: leaves of config and summary, typed, so that SQL can sort and filter by them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from kiseki.records.numbers import to_json

TEXT_LIMIT = 512
"""Longest text, in characters, that is kept for sorting and filtering."""


class Value(NamedTuple):
    """One leaf: a number or a text, and its type (num, bool, txt, any)."""

    num: float | None
    txt: str | None
    type: str


def leaves(tree: dict[str, Any], prefix: str) -> Iterator[tuple[str, Value]]:
    """The leaves of nested dictionaries by their dotted paths below `prefix`; None and empty ones are left
    out.
    """
    for key, value in tree.items():
        path = f"{prefix}.{key}"
        if isinstance(value, dict):
            yield from leaves(value, path)
        elif value is not None:
            yield path, typed(value)


def typed(value: Any) -> Value:
    """A leaf as number or text."""
    if isinstance(value, bool):
        return Value(float(value), None, "bool")
    if isinstance(value, (int, float)):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf if value > 0 else -math.inf
        return Value(None, "NaN", "num") if math.isnan(number) else Value(number, None, "num")
    if isinstance(value, str):
        return Value(None, value[:TEXT_LIMIT], "txt")
    return Value(None, to_json(value).decode("utf-8")[:TEXT_LIMIT], "any")
