"""Names in a run directory beside its run files, specified in docs/formats/local-files.md."""

from __future__ import annotations

import re
from typing import Final

FILES: Final = "files"
"""Folder of the run's files."""

AT_END: Final = "at-end"
"""Folder of marks, one for each path that was saved with `policy="end"`: taken when the run has ended."""

IGNORED: Final = "ignore-globs"
"""File with the patterns of what is not uploaded, one a line; only where there are any."""

_SURROGATE: Final = re.compile(r"\\u(dc[89a-f][0-9a-f])")


def path_on_disk(path: str) -> str:
    """A recorded path with what is no UTF-8 as lone surrogates again, which a record spells out."""
    return _SURROGATE.sub(lambda match: chr(int(match[1], 16)), path)
