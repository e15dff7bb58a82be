"""What the commands print: JSON for programs, aligned tables and trees for people."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import click

from kiseki.records.numbers import to_json

STATE_MARKS = {
    "running": "●",
    "finished": "✓",
    "failed": "✕",
    "crashed": "◆",
    "killed": "■",
    "no_contact": "○",
}
# Control characters but tabs and line feeds, and the beginning of an escape sequence that is no colour.
_COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]|\x1b(?!\[[0-9;]*m)")
_SIZE_UNITS = ("kB", "MB", "GB", "TB", "PB")
_STATE_COLOURS = {"running": "blue", "finished": "green", "failed": "red", "crashed": "yellow"}

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def print_json(value: object) -> None:
    """Print one value as one line of JSON (NaN, infinities and big integers as docs/formats says)."""
    click.echo(to_json(value))


def print_text(text: str) -> None:
    """Print text that may hold anything, as a run's name does: of what a terminal obeys only colours stay."""
    click.echo(_COMMANDS.sub("\ufffd", text))


def state_text(state: str) -> str:
    """The state with its mark, coloured where a terminal shows it."""
    text = f"{STATE_MARKS.get(state, '?')} {state.replace('_', ' ')}"
    return click.style(text, fg=_STATE_COLOURS.get(state))


def time_text(seconds: float | None) -> str:
    """A Unix time (seconds) as local time, to the second."""
    return "—" if seconds is None else datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")


def duration_text(seconds: float | None) -> str:
    """A duration (seconds) as h:mm:ss."""
    if seconds is None or not math.isfinite(seconds):
        return "—"
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def size_text(size: int) -> str:
    """A size in bytes in powers of 1000, at most three significant digits.

    >>> size_text(999), size_text(1234), size_text(5_490_000)
    ('999 B', '1.23 kB', '5.49 MB')
    """
    if size < 1000:
        return f"{size} B"
    number, power = size / 1000, 0
    while number >= 999.5 and power < len(_SIZE_UNITS) - 1:
        number, power = number / 1000, power + 1
    return f"{number:.3g} {_SIZE_UNITS[power]}"


def value_text(value: object) -> str:
    """A config or summary value on one line; floats in full, as Python writes them."""
    if isinstance(value, str):
        return value.replace("\n", "⏎")
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    text: str = to_json(value).decode()
    return text


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their titles, columns aligned; the last column is not padded."""
    cells = [[click.style(title, bold=True) for title in titles], *rows]
    widths = [max(len(click.unstyle(row[column])) for row in cells) for column in range(len(titles))]
    for row in cells:
        padded = [
            cell + " " * (width - len(click.unstyle(cell))) for cell, width in zip(row, widths, strict=True)
        ]
        print_text("  ".join(padded).rstrip())


def print_tree(title: str, values: Mapping[str, object]) -> None:
    """Print a nested mapping under its title, one leaf a line, nested keys joined with a dot."""
    leaves = list(_leaves(values, ""))
    print_text(click.style(title, bold=True) + ("" if leaves else "  —"))
    width = min(max((len(key) for key, _ in leaves), default=0), 40)
    for key, value in leaves:
        print_text(f"  {key:{width}}  {value_text(value)}")


def _leaves(values: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
