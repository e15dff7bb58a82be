"""The messages of the append protocol, shared by client and server; specified in docs/formats/append.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

PROTOCOL: Final = 1
"""The protocol version that this package speaks, as client and as server."""

APPEND_PATH: Final = "/api/v1/append"
"""Path of the append endpoint, below the server's base URL."""

MSGPACK: Final = "application/x-msgpack"
"""Media type of a request's body, and of the answer if `Accept` asks for it."""

DEFAULT_MAX_BODY: Final = 16 * 1024 * 1024 + 64 * 1024
"""Largest request in bytes until a server has named its own: the largest frame and its envelope."""

TAKEN: Final = 200
MALFORMED: Final = 400
UNAUTHORIZED: Final = 401
CONFLICT: Final = 409
TOO_LARGE: Final = 413
TOO_MANY: Final = 429
UNAVAILABLE: Final = 503
FULL: Final = 507
WAITING_STATUSES: Final = frozenset({TOO_MANY, UNAVAILABLE, FULL})
"""Statuses that say "later": the same bytes are sent again after a pause."""


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One writer's share of a request: a question (`offset` None), a heartbeat (no data) or bytes."""

    run_uid: str
    writer: str
    offset: int | None = None
    """Position of `data` in the writer's file in bytes; None asks what the server has."""
    crc: int = 0
    """CRC-32 (zlib's) of all bytes of the file before `offset`."""
    end_crc: int = 0
    """CRC-32 of all bytes of the file up to the end of `data`."""
    data: bytes = b""
    """Whole frames (at offset 0: prelude, header frame and whole frames)."""
    key: str | None = None
    """The credential of this writer; absent where the request's `Authorization` holds for it."""
    live: bool = False
    """True where the writer's process is known to live at this moment."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The body of one append request."""

    protocol: int = PROTOCOL
    parts: Sequence[Part] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the server says to one part: what it has now, or why it did not take the part."""

    status: int
    offset: int = 0
    """Bytes of the writer's file that the server has: 0 for an unknown writer."""
    crc: int = 0
    """CRC-32 of those bytes."""
    following: bool = False
    """The server reads this file itself: send nothing."""
    commands: Sequence[dict[str, object]] = ()
    """Commands pending for the run; none are defined yet."""
    error: str | None = None
    """One line for people; with 409, that the writer never will be taken."""
    url: str | None = None
    """Address of the run's page."""


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """The body of one append answer: one answer a part, in order."""

    server_id: str
    protocol: tuple[int, int] = (PROTOCOL, PROTOCOL)
    """Lowest and highest protocol version that the server speaks."""
    max_body: int = DEFAULT_MAX_BODY
    """Largest request body in bytes that the server takes."""
    parts: Sequence[Answer] = ()


class _Refusal(msgspec.Struct):
    error: str


_refusal_decoder = msgspec.json.Decoder(_Refusal)
_encoder = msgspec.msgpack.Encoder()
_request_decoder = msgspec.msgpack.Decoder(Request)
_response_decoder = msgspec.msgpack.Decoder(Response)


def encode_request(parts: Sequence[Part]) -> bytes:
    """Return the MessagePack body of a request with these parts."""
    return _encoder.encode(Request(parts=parts))


def decode_request(body: bytes) -> Request:
    """Read a request; raises msgspec.DecodeError (ValidationError included) where it is none."""
    return _request_decoder.decode(body)


def encode_response(response: Response) -> bytes:
    """Return the MessagePack body of an answer."""
    return _encoder.encode(response)


def decode_response(body: bytes) -> Response:
    """Read an answer; raises msgspec.DecodeError (ValidationError included) where it is none."""
    return _response_decoder.decode(body)


def decode_error(body: bytes) -> str:
    """Return the line of an HTTP error's JSON body; raises msgspec.DecodeError where it has none."""
    return _refusal_decoder.decode(body).error
