"""What a logged value is stored as: Python, NumPy and torch values by duck typing; rows flattened."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import math
import numbers
import os
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from msgspec.msgpack import Ext

from .kinds import Key, big_int

RESERVED_KEYS = frozenset({"_step", "_runtime", "_timestamp"})
"""Top-level keys that a row carries by itself; values logged under them are left out."""

MAX_ARRAY = 4096
"""Most elements of an array that are stored as a list."""

MAX_TEXT = 15 * 2**20
"""Most bytes of a text in a row: a record holds 16 MiB, and the rest of the row needs room."""

MAX_DEPTH = 100
"""Deepest nesting of lists and dictionaries that is stored."""

_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1


class Unstorable(TypeError):
    """A value that no record can hold; `type_name` names its type."""

    def __init__(self, value: object, why: str = "") -> None:
        self.type_name = _type_name(value)
        super().__init__(
            f"{self.type_name} {why or 'is not a number, string, bool, None, list, dict or array'}"
        )


class Skipped(NamedTuple):
    """One value of a row that was not stored: its flat name, its type, and why."""

    name: str
    type_name: str
    why: str


class FlatRow(NamedTuple):
    """A row as it is stored: parallel keys and values, and what had to be left out."""

    keys: list[Key]
    values: list[Any]
    skipped: list[Skipped]


def to_storable(value: object, default: Callable[[Any], object] | None = None) -> Any:
    """Turn a value into what a record holds: None, bool, int, float, str, bytes, list, dict with str keys.

    NumPy, torch, jax and TensorFlow scalars, and arrays of one element, become Python's; arrays of at most
    4,096 elements lists; enums their name; dates ISO 8601; dataclasses dicts; integers beyond 64 bits an
    extension value. `default` is asked for a replacement of what cannot be stored, e.g. `str`. What is
    storable comes back equal. Raises Unstorable.

    >>> to_storable({"lr": 1e-3, 4: (1, 2)})
    {'lr': 0.001, '4': [1, 2]}
    """
    return _storable(value, default, ())


def storable_key(key: object) -> str:
    """The string a dictionary key is stored under: strings as they are, everything else as `str(key)`."""
    return _storable_text(key) if isinstance(key, str) else _storable_text(str(key))


def flatten_row(data: Mapping[Any, Any]) -> FlatRow:
    """Flatten a row's nested dictionaries into keys and storable values.

    A key of the top level stays a string; below a dictionary it is a path. Reserved and empty top-level keys,
    and values that cannot be stored, are left out and listed. An empty dictionary is stored as a value.

    >>> flatten_row({"loss": 0.5, "val": {"acc": 1}}).keys
    ['loss', ('val', 'acc')]
    """
    row = FlatRow([], [], [])
    for raw, value in data.items():
        key = storable_key(raw)
        if key in RESERVED_KEYS:
            row.skipped.append(Skipped(key, _type_name(value), "is set by kiseki itself; choose another key"))
        elif not key:
            row.skipped.append(Skipped(key, _type_name(value), "has an empty key; give it a name"))
        else:
            _flatten((key,), value, row)
    if len(set(row.keys)) < len(row.keys):
        last = dict(zip(row.keys, row.values, strict=True))
        return FlatRow(list(last), list(last.values()), row.skipped)
    return row


def _flatten(path: tuple[str, ...], value: Any, row: FlatRow, within: tuple[int, ...] = ()) -> None:
    if isinstance(value, Mapping) and value and id(value) not in within and len(path) < MAX_DEPTH:
        for raw, inner in value.items():
            _flatten((*path, storable_key(raw)), inner, row, (*within, id(value)))
        return
    try:
        stored = _storable(value, None, within)
        if isinstance(stored, (str, bytes)) and len(stored) > MAX_TEXT // 4:
            _check_size(stored)
    except Unstorable as error:
        row.skipped.append(Skipped(".".join(path), error.type_name, str(error)))
        return
    row.keys.append(path[0] if len(path) == 1 else path)
    row.values.append(stored)


def _check_size(stored: str | bytes) -> None:
    size = len(stored if isinstance(stored, bytes) else stored.encode())
    if size > MAX_TEXT:
        raise Unstorable(
            stored, f"of {size} bytes is too large; at most {MAX_TEXT} are stored: save it as a file"
        )


def _storable(value: Any, default: Callable[[Any], object] | None, within: tuple[int, ...]) -> Any:
    """`to_storable` of a value that lies within the containers of these ids."""
    kind = type(value)
    if value is None or kind is float or kind is bool or kind is bytes or kind is Ext:
        return value
    if kind is int:
        return value if _INT_MIN <= value <= _INT_MAX else big_int(value)
    if kind is str:
        return _storable_text(value)
    if id(value) in within:
        raise Unstorable(value, "contains itself")
    if len(within) > MAX_DEPTH:
        raise Unstorable(value, f"is nested deeper than {MAX_DEPTH} levels")
    within = (*within, id(value))
    if isinstance(value, Mapping):
        return {storable_key(key): _storable(inner, default, within) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_storable(inner, default, within) for inner in value]
    try:
        plain = _plain(value)
    except Exception as error:
        if default is None:
            raise (
                error if isinstance(error, Unstorable) else Unstorable(value, f"could not be read: {error}")
            ) from error
        plain, default = default(value), None
    return _storable(plain, default, within)


def _plain(value: Any) -> Any:
    """One step from a foreign type towards a plain one; raises where there is none."""
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, (float, Decimal, numbers.Real)):
        return float(value)
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, type):
        raise Unstorable(value)
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if hasattr(value, "shape"):
        return _array(value)
    if isinstance(value, Sequence):
        if len(value) > MAX_ARRAY:
            raise Unstorable(value, f"of {len(value)} elements is too large; at most {MAX_ARRAY} are stored")
        return list(value)
    raise Unstorable(value)


def _array(value: Any) -> Any:
    """A scalar or list from anything shaped like an array."""
    elements = math.prod(int(length) for length in value.shape)
    if elements > MAX_ARRAY:
        raise Unstorable(value, f"of {elements} elements is too large; at most {MAX_ARRAY} are stored")
    if elements == 1 and hasattr(value, "item"):  # also of shape (1,): a loss, to be charted as in wandb
        plain = value.item()
    elif hasattr(value, "tolist"):
        plain = value.tolist()
    elif hasattr(value, "numpy"):
        plain = value.numpy().tolist()
    else:
        raise Unstorable(value)
    if isinstance(plain, complex):
        raise Unstorable(value)
    return plain


def _storable_text(text: str) -> str:
    """The text as it is, or with its lone surrogates spelled out, since UTF-8 has none."""
    text = str.__str__(text)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
