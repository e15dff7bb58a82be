"""Which bytes of a file a request asks for: `Range`, `If-Range` and `If-None-Match` of RFC 9110."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_ONE_RANGE: Final = re.compile(r"bytes=\s*(\d*)-(\d*)\s*", re.IGNORECASE)
_DIGITS: Final = 19


def asked_range(headers: Mapping[str, str], size: int, etag: str) -> tuple[int, int] | None:
    """Return start and end (exclusive) of the part that is asked for, None for the whole.

    Several parts, or what is no range of bytes, ask for the whole. Raises ValueError where the part lies
    outside of the file (416).

    >>> asked_range({"range": "bytes=0-9"}, 100, '"a"'), asked_range({"range": "bytes=-10"}, 100, '"a"')
    ((0, 10), (90, 100))
    """
    found = _ONE_RANGE.fullmatch(headers.get("range", ""))
    if found is None or headers.get("if-range", etag) != etag:
        return None
    first, last = found.groups()
    if len(first) > _DIGITS or len(last) > _DIGITS or not (first or last):
        return None
    if not first:
        length = min(int(last), size)
        if length == 0:
            raise ValueError(f"the last {last} bytes of {size}")
        return size - length, size
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise ValueError(f"bytes from {start} on of {size}")
    return start, size if not last else min(int(last) + 1, size)


def is_known(headers: Mapping[str, str], etag: str) -> bool:
    """Whether the asker has this content already.

    >>> is_known({"if-none-match": 'W/"a", "b"'}, '"b"'), is_known({}, '"b"')
    (True, False)
    """
    known = headers.get("if-none-match")
    if known is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
    return etag in tags or "*" in tags
