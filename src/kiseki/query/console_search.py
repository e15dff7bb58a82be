"""Searching a run's console piece by piece: so much text a request, whatever the log's size."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kiseki.query.answers import ConsoleMatches
from kiseki.query.console import Numbered, console_line, lane_of, open_lanes
from kiseki.query.errors import InvalidQuery
from kiseki.records.sgr import without_styles

if TYPE_CHECKING:
    from kiseki.records.terminal import Line
    from kiseki.store import Store

SEARCH_TEXT: Final = 16 * 1024 * 1024
"""Characters that one request searches for plain text."""

REGEX_TEXT: Final = 4 * 1024 * 1024
"""Characters that one request searches by a regular expression."""

REGEX_SECONDS: Final = 5.0
"""How long a regular expression may take for them: one that backtracks for ever is ended then."""

MAX_PATTERN: Final = 1000
"""Most characters of what is searched for."""

_WORKER: Final = str(Path(__file__).with_name("regex_worker.py"))


def search_console(
    store: Store,
    run_pk: int,
    text: str,
    *,
    regex: bool = False,
    case: bool = False,
    lane: int = 0,
    first: int = 0,
    limit: int = 200,
) -> ConsoleMatches:
    """Return up to `limit` lines of a lane that hold `text`, from number `first` on.

    `next` is the line to go on from, for one request searches a bounded piece of a log; None at its end.
    Styles are no part of the text. `case`: capital and small letters differ. `regex`: `text` is a regular
    expression of Python's. Raises NotFound, InvalidQuery.
    """
    if not 0 < len(text) <= MAX_PATTERN:
        raise InvalidQuery(f"q has {len(text)} characters; it takes 1 to {MAX_PATTERN}")
    if regex:
        _check_pattern(text)
    matched: list[tuple[int, Line]] = []
    pieces: list[tuple[Numbered, str]] = []
    size, end, total = 0, first, 0
    with store.read() as connection:
        lanes = open_lanes(store, connection, run_pk)
        if lanes or lane != 0:
            asked = lane_of(lanes, lane)
            total = asked.total
            for piece in asked.read(connection, first, total):
                plain = without_styles(piece.text())
                if regex:
                    pieces.append((piece, plain))
                else:
                    matched += _matches(piece, _find(plain, text, case), first)
                size += len(plain) + 1
                end = piece.first + plain.count("\n") + 1
                if len(matched) >= limit or size > (REGEX_TEXT if regex else SEARCH_TEXT):
                    break
            else:
                end = total
    if pieces:
        matched = _search_pieces(pieces, text, case, first)
    if len(matched) > limit:
        matched = matched[:limit]
        end = matched[-1][0] + 1
    return ConsoleMatches(
        matches=[console_line(number, line) for number, line in matched], next=end if end < total else None
    )


def _matches(piece: Numbered, indices: Sequence[int], first: int) -> list[tuple[int, Line]]:
    lines = piece.lines() if indices else ()
    return [(piece.first + index, lines[index]) for index in indices if piece.first + index >= first]


def _find(plain: str, text: str, case: bool) -> list[int]:
    """The indices of the lines that hold `text`."""
    if not case:
        plain, text = plain.lower(), text.lower()
    if text not in plain:
        return []
    return [index for index, line in enumerate(plain.split("\n")) if text in line]


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise InvalidQuery(f"q is no regular expression: {error}") from error


def _search_pieces(
    pieces: list[tuple[Numbered, str]], pattern: str, case: bool, first: int
) -> list[tuple[int, Line]]:
    asked = json.dumps({"pattern": pattern, "case": case}).encode()
    text = "\n".join(plain for _, plain in pieces).encode("utf-8", "replace")
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", _WORKER],
            input=asked + b"\n" + text,
            capture_output=True,
            timeout=REGEX_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise InvalidQuery(
            f"this pattern takes more than {REGEX_SECONDS:g} s for a piece of the log; make it simpler"
        ) from None
    except subprocess.CalledProcessError as error:
        raise InvalidQuery(
            f"this pattern cannot be searched for: {error.stderr.decode('utf-8', 'replace').strip()[-200:]}"
        ) from error
    found = [int(index) for index in done.stdout.split()]
    matched: list[tuple[int, Line]] = []
    begin = 0
    for piece, plain in pieces:
        end = begin + plain.count("\n") + 1
        matched += _matches(piece, [index - begin for index in found if begin <= index < end], first)
        begin = end
    return matched
