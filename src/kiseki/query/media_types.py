"""What kind of file a name says it is; the same on every machine, whatever its own lists say."""

from __future__ import annotations

import mimetypes
from typing import Final

UNKNOWN: Final = "application/octet-stream"

_OWN: Final = {
    ".avif": "image/avif",
    ".bash": "text/x-sh",
    ".c": "text/x-c",
    ".cfg": "text/plain",
    ".conf": "text/plain",
    ".cpp": "text/x-c++",
    ".cu": "text/x-cuda",
    ".diff": "text/x-diff",
    ".err": "text/plain",
    ".flac": "audio/flac",
    ".geojson": "application/geo+json",
    ".go": "text/x-go",
    ".h": "text/x-c",
    ".hpp": "text/x-c++",
    ".ini": "text/plain",
    ".ipynb": "application/x-ipynb+json",
    ".java": "text/x-java",
    ".jl": "text/x-julia",
    ".js": "text/javascript",
    ".jsonl": "application/jsonl",
    ".lock": "text/plain",
    ".log": "text/plain",
    ".m4a": "audio/mp4",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".mkv": "video/x-matroska",
    ".ndjson": "application/jsonl",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".out": "text/plain",
    ".patch": "text/x-diff",
    ".py": "text/x-python",
    ".r": "text/x-r",
    ".rs": "text/x-rust",
    ".rst": "text/x-rst",
    ".sh": "text/x-sh",
    ".sql": "text/x-sql",
    ".toml": "application/toml",
    ".ts": "text/typescript",
    ".tsv": "text/tab-separated-values",
    ".txt": "text/plain",
    ".wav": "audio/wav",
    ".webm": "video/webm",
    ".webp": "image/webp",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
_known = mimetypes.MimeTypes(filenames=())


def media_type_of(path: str) -> str:
    """The media type that a file's name stands for, `application/octet-stream` where it stands for none.

    >>> media_type_of("notes/READ ME.md"), media_type_of("model.unknown")
    ('text/markdown', 'application/octet-stream')
    """
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    own = _OWN.get(name[dot:].lower()) if dot >= 0 else None
    if own is not None:
        return own
    # As a path, not as a URL: a name may begin with "data:".
    guessed, packing = _known.guess_type("./" + name)
    return UNKNOWN if guessed is None or packing is not None else guessed
