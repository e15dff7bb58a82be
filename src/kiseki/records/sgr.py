"""Colours and styles of terminal text: SGR sequences (ECMA-48, 8.3.117) folded into one normal form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

PLAIN = ""
"""The style of text that nothing was said about."""

RESET = "\x1b[0m"

_SEQUENCE = re.compile(r"\x1b\[[0-9;]*m")

_ON = {1: "1", 2: "2", 3: "3", 4: "4", 5: "5", 6: "5", 7: "7", 8: "8", 9: "9", 21: "4"}
_OFF = {22: "12", 23: "3", 24: "4", 25: "5", 27: "7", 28: "8", 29: "9"}
_FOREGROUND, _BACKGROUND = "f", "g"
_ORDER = "12345789fg"


@lru_cache(maxsize=4096)
def next_style(style: str, parameters: str) -> str:
    """The style after `ESC [ parameters m` in `style`; both are SGR parameters, the result in normal form.

    >>> next_style("31", "1")
    '1;31'
    >>> next_style("1;31", "22;48:2::10:20:30")
    '31;48;2;10;20;30'
    """
    held = dict(_read(style))
    for name, value in _read(parameters):
        if name == "0":
            held.clear()
        elif value is None:
            held.pop(name, None)
        else:
            held[name] = value
    return ";".join(value for name in _ORDER if (value := held.get(name)) is not None)


def change(before: str, after: str) -> str:
    """The sequence that leads from one style to another.

    >>> change("31", "")
    '\\x1b[0m'
    """
    if before == after:
        return ""
    if after == PLAIN:
        return RESET
    return f"\x1b[{after}m" if before == PLAIN else f"\x1b[0;{after}m"


def without_styles(text: str) -> str:
    """The text without its SGR sequences.

    >>> without_styles("a \x1b[31mred\x1b[0m word")
    'a red word'
    """
    return _SEQUENCE.sub("", text) if "\x1b" in text else text


def _read(parameters: str) -> Iterator[tuple[str, str | None]]:
    """What SGR parameters set (name and value), unset (None), or reset ("0")."""
    codes = iter(parameters.split(";"))
    for code in codes:
        head, *sub = code.split(":")
        number = int(head) if head.isdigit() else 0 if head == "" else -1
        if number == 0:
            yield "0", None
        elif number in (38, 48, 58):
            colour = _colour(sub if sub else codes, bool(sub))
            if colour is None:
                return
            if number != 58:
                yield (_FOREGROUND if number == 38 else _BACKGROUND), f"{number};{colour}"
        elif number == 4 and sub[:1] == ["0"]:
            yield "4", None
        elif number in _ON:
            yield _ON[number], _ON[number]
        elif number in _OFF:
            for name in _OFF[number]:
                yield name, None
        elif 30 <= number <= 37 or 90 <= number <= 97:
            yield _FOREGROUND, str(number)
        elif 40 <= number <= 47 or 100 <= number <= 107:
            yield _BACKGROUND, str(number)
        elif number in (39, 49):
            yield (_FOREGROUND if number == 39 else _BACKGROUND), None


def _colour(codes: list[str] | Iterator[str], colons: bool) -> str | None:
    """`5;n` or `2;r;g;b` of what follows 38 or 48; None where it makes no sense."""
    left = iter(codes)
    kind = next(left, "")
    if kind == "5":
        values = [next(left, "")]
    elif kind == "2":
        # With colons an empty colour space may come first.
        values = list(left)[-3:] if colons else [next(left, "") for _ in range(3)]
    else:
        return None
    numbers = [int(value or "0") for value in values if value == "" or value.isdigit()]
    if len(numbers) != (1 if kind == "5" else 3) or max(numbers) > 255:
        return None
    return ";".join([kind, *map(str, numbers)])
