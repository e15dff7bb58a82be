"""Uploading one file's content by its digest, so that a broken upload goes on where it stopped.

The requests are specified in docs/formats/files.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import IO, Final

import msgspec

from kiseki.client.protocol import TOO_LARGE, WAITING_STATUSES
from kiseki.client.transport import Reply, Transport

BLOBS_PATH: Final = "/api/v1/blobs"
"""Path below which contents lie by digest, below the server's base URL."""

PIECE_BYTES: Final = 4 * 1024 * 1024
"""How much is sent in one request, so how much of a file is in memory; a server takes up to 8 MiB."""

_MIN_PIECE: Final = 16 * 1024
_OCTETS: Final = "application/octet-stream"
_TAKEN: Final = (200, 201)
_CONFLICT: Final = 409
_MISMATCH: Final = 422
_CONFLICTS_IN_A_ROW: Final = 100
"""Another uploader of the same content may be a piece ahead each time, but not for ever."""


class BlobChanged(RuntimeError):
    """The file no longer is the content that the digest names; hash it again before it is sent again."""


class BlobRefused(RuntimeError):
    """The server did not take the content; the text is its one line."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.later = status in WAITING_STATUSES
        """Whether the same request may succeed after a pause: busy, or the server's disk is full."""


class BlobState(msgspec.Struct, frozen=True):
    """What a server has of one content."""

    present: bool
    """The whole content is there, checked against its digest."""
    have: int
    """Bytes from the start that it has; of a present one its size."""


class _Conflict(msgspec.Struct):
    error: str = ""
    have: int = 0


def ask_blob(transport: Transport, digest: str) -> BlobState:
    """Return what the server has of the content with this SHA-256; raises BlobRefused, TransportError."""
    return _state(transport.request("GET", f"{BLOBS_PATH}/{digest}", headers={"Accept": "application/json"}))


def upload_blob(
    transport: Transport,
    digest: str,
    path: str | os.PathLike[str],
    size: int,
    on_progress: Callable[[int], None] | None = None,
    *,
    piece_bytes: int = PIECE_BYTES,
    ask: bool = True,
) -> int:
    """Send a file's content unless the server has it already; return the bytes sent by this call.

    `digest` is the SHA-256 (64 lower-case hexadecimal digits) of the file's `size` bytes. `on_progress(have)`
    is called with the bytes that the server has, whenever that is known anew; what it raises ends the
    upload. Without `ask` the first piece is sent unasked, which is faster where there is little. What was
    sent stays: the next call goes on there, in any process.

    Raises BlobChanged where the file is not that content (any more), BlobRefused where the server does not
    take it (`later` says whether to try again), TransportError where no answer comes, OSError where the
    file cannot be read.
    """
    state = ask_blob(transport, digest) if ask else BlobState(False, 0)
    sent = conflicts = 0
    with open(path, "rb", buffering=0) as file:
        before = _identity(file)
        while not state.present:
            if on_progress is not None:
                on_progress(min(state.have, size))
            piece = _read(file, state.have, min(piece_bytes, size - state.have))
            if _identity(file) != before or before[0] != size or len(piece) < min(1, size - state.have):
                raise BlobChanged(f"{os.fspath(path)} changed while it was sent")
            target = f"{BLOBS_PATH}/{digest}?offset={state.have}&size={size}"
            reply = transport.request("PUT", target, body=piece, headers={"Content-Type": _OCTETS})
            if reply.status == TOO_LARGE and piece_bytes > _MIN_PIECE:
                piece_bytes //= 2
                continue
            if reply.status == _CONFLICT and conflicts < _CONFLICTS_IN_A_ROW:
                conflicts += 1
                state = _after_conflict(transport, digest, reply)
                continue
            if reply.status == _MISMATCH:
                raise BlobChanged(f"{os.fspath(path)} is not the content that was announced: {_line(reply)}")
            state = _state(reply)
            sent += len(piece)
            conflicts = 0
    if on_progress is not None:
        on_progress(size)
    return sent


def _identity(file: IO[bytes]) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns


def _read(file: IO[bytes], offset: int, length: int) -> bytes:
    if length <= 0:
        return b""
    file.seek(offset)
    pieces, left = [], length
    while left and (data := file.read(left)):
        pieces.append(data)
        left -= len(data)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _after_conflict(transport: Transport, digest: str, reply: Reply) -> BlobState:
    """Another upload of the same content moved on, or finished it."""
    try:
        have = msgspec.json.decode(reply.body, type=_Conflict).have
    except msgspec.DecodeError:
        have = 0
    return BlobState(False, have) if have else ask_blob(transport, digest)


def _state(reply: Reply) -> BlobState:
    if reply.status not in _TAKEN:
        raise BlobRefused(reply.status, _line(reply))
    try:
        return msgspec.json.decode(reply.body, type=BlobState)
    except msgspec.DecodeError as error:
        raise BlobRefused(reply.status, f"the answer is no answer of a Kiseki server: {error}") from None


def _line(reply: Reply) -> str:
    try:
        line = msgspec.json.decode(reply.body, type=_Conflict).error
    except msgspec.DecodeError:
        line = ""
    return line or f"the server answered {reply.status}"
