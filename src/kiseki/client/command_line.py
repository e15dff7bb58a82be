"""Python's own command line taken apart: its options, the script, and the script's arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_WITH_VALUE: Final = frozenset(("-X", "-W", "--check-hash-based-pycs"))
_INSTEAD_OF_SCRIPT: Final = ("-c", "-m", "-")


def script_at(argv: Sequence[str]) -> int | None:
    """Where in a command line that begins with the interpreter the script stands; None for -c and -m.

    >>> script_at(["python", "-X", "utf8", "train.py", "--lr", "1"])
    3
    """
    place = 1
    while place < len(argv):
        argument = argv[place]
        if argument in _INSTEAD_OF_SCRIPT:
            return None
        if not argument.startswith("-"):
            return place
        place += 2 if argument in _WITH_VALUE else 1
    return None


def script_arguments(argv: Sequence[str]) -> list[str]:
    """What `sys.argv[1:]` was.

    >>> script_arguments(["python", "-u", "-m", "pkg.train", "--lr", "1"])
    ['--lr', '1']
    """
    script = script_at(argv)
    if script is None:
        named = (place + (each != "-") for place, each in enumerate(argv) if each in _INSTEAD_OF_SCRIPT)
        script = next(named, len(argv))
    return list(argv[script + 1 :])
