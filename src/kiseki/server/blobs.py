"""Contents by digest: what the server has of one, and its next piece; specified in docs/formats/files.md."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from kiseki.server.context import Context
from kiseki.server.endpoint import JSON, Call, endpoint, read_body
from kiseki.server.errors import ApiError
from kiseki.store.blobs import NotAtOffset, WrongDigest

MAX_PIECE: Final = 8 * 1024 * 1024
"""Largest piece of a content in one request, in bytes."""

OCTETS: Final = "application/octet-stream"


class BlobPath(msgspec.Struct, frozen=True):
    """Which content: the SHA-256 of its bytes."""

    digest: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class PieceQuery(msgspec.Struct, frozen=True):
    """Where the piece begins, and how long the whole content is, in bytes."""

    offset: Annotated[int, msgspec.Meta(ge=0, le=2**62)]
    size: Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class BlobState(msgspec.Struct, frozen=True):
    """Whether the whole content is here, and how many of its first bytes are."""

    present: bool
    have: int


class _Elsewhere(msgspec.Struct, frozen=True):
    error: str
    have: int


@endpoint("GET", "/blobs/{digest}")
async def get_blob(context: Context, path: BlobPath) -> BlobState:
    """Say what the server has of a content."""
    return await _state(context, path.digest)


@endpoint("PUT", "/blobs/{digest}", raw_body=OCTETS)
async def put_blob(context: Context, call: Call, path: BlobPath, query: PieceQuery) -> Response:
    """Take the next piece of a content, of at most 8 MiB; with the last one it is checked and there.

    409, with `have`, where the piece is not the next one; 422 where the whole has another digest, and is
    thrown away.
    """
    data = await read_body(call.request, min(MAX_PIECE, context.settings.max_body))
    blobs = context.store.blobs
    try:
        have = await run_in_threadpool(blobs.append, path.digest, query.offset, data, query.size)
    except NotAtOffset as error:
        conflict = _Elsewhere(f"{error}; go on there", error.have)
        return Response(msgspec.json.encode(conflict), 409, media_type=JSON)
    except WrongDigest as error:
        raise ApiError(422, f"{error}; hash the file again and send it anew") from None
    state = BlobState(False, have) if have < query.size else await _state(context, path.digest)
    return Response(msgspec.json.encode(state), media_type=JSON)


async def _state(context: Context, digest: str) -> BlobState:
    """What there is of a content; a whole one is noted, should that have been cut short before."""
    blobs = context.store.blobs
    size = await run_in_threadpool(blobs.size, digest)
    if size is None:
        return BlobState(False, await run_in_threadpool(blobs.have, digest))
    await asyncio.wrap_future(context.ingest.note_blob(digest, size))
    return BlobState(True, size)


ENDPOINTS = (get_blob, put_blob)
