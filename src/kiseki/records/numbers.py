"""The one JSON encoding of values that JSON itself cannot hold, as in docs/formats/json.md."""

from __future__ import annotations

import base64
import math
from typing import Any

import msgspec

_SAFE = 2**53
_TAGS = frozenset({"$float", "$int", "$bytes", "$map"})
_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def to_json(value: Any) -> bytes:
    """Encode a value as JSON (UTF-8), with `{"$float": …}` for NaN and ±inf, `{"$int": "…"}` beyond ±2^53.

    >>> to_json({"a": float("nan"), "b": 2**60})
    b'{"a":{"$float":"NaN"},"b":{"$int":"1152921504606846976"}}'
    """
    return msgspec.json.encode(to_plain(value))


def from_json(data: bytes | str) -> Any:
    """Decode what `to_json` made. Raises msgspec.DecodeError where it is no JSON."""
    return from_plain(msgspec.json.decode(data))


def to_plain(value: Any) -> Any:
    """The same encoding as Python objects: nothing in it that JSON cannot hold."""
    if type(value) is float:
        if math.isfinite(value):
            return value
        return {"$float": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
    if type(value) is int:
        return value if -_SAFE <= value <= _SAFE else {"$int": str(value)}
    if isinstance(value, dict):
        plain = {str(key): to_plain(inner) for key, inner in value.items()}
        return {"$map": plain} if len(plain) == 1 and not _TAGS.isdisjoint(plain) else plain
    if isinstance(value, (list, tuple)):
        return [to_plain(inner) for inner in value]
    if isinstance(value, (bytes, bytearray)):
        return {"$bytes": base64.b64encode(value).decode()}
    return value


def from_plain(value: Any) -> Any:
    """The values that `to_plain` encoded."""
    if isinstance(value, list):
        return [from_plain(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (tag, inner), *_ = value.items()
        if tag == "$float" and inner in _FLOATS:
            return _FLOATS[inner]
        if tag == "$int":
            return int(inner)
        if tag == "$bytes":
            return base64.b64decode(inner)
        if tag == "$map":
            return {key: from_plain(deeper) for key, deeper in inner.items()}
    return {key: from_plain(inner) for key, inner in value.items()}
