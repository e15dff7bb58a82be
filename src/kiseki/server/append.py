"""The append endpoint: writers' bytes in, what the server has out; specified in docs/formats/append.md."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from kiseki.client import protocol
from kiseki.client.protocol import MSGPACK, Answer, Part
from kiseki.server.access import bearer_key, is_authenticated
from kiseki.server.context import Context
from kiseki.server.endpoint import JSON, Call, endpoint, read_body
from kiseki.server.errors import ApiError

_NO_KEY = "this server needs a key for this run: set KISEKI_API_KEY, or run `kiseki login`"


@endpoint("POST", "/append", checks_key=True, media=MSGPACK, raw_body=MSGPACK)
async def append(context: Context, call: Call) -> Response:
    """Take bytes of run files: MessagePack `{protocol, parts}`, one answer a part.

    A part is authorised by its own `key`, else by the request's `Authorization`.
    """
    body = await read_body(call.request, context.settings.max_body)
    try:
        request = protocol.decode_request(body)
    except msgspec.DecodeError as error:
        raise ApiError(400, f"this is no append request: {error}") from None
    if request.protocol != protocol.PROTOCOL:
        raise ApiError(
            400,
            f"this server speaks append protocol {protocol.PROTOCOL}, the request {request.protocol}; "
            "upgrade the older side",
        )
    refused = await _refused_parts(context, call, request.parts)
    taken = [part for index, part in enumerate(request.parts) if index not in refused]
    said = await asyncio.wrap_future(context.ingest.append(taken))
    done = iter(said)
    unauthorized = Answer(status=protocol.UNAUTHORIZED, error=_NO_KEY)
    answers = [unauthorized if index in refused else next(done) for index in range(len(request.parts))]
    return _respond(context, call, answers)


async def _refused_parts(context: Context, call: Call, parts: Sequence[Part]) -> frozenset[int]:
    if context.settings.in_process:
        return frozenset()
    by_header: bool | None = None
    refused = []
    for index, part in enumerate(parts):
        if part.key is not None:
            known = context.auth.remembers(part.key) or await run_in_threadpool(
                context.auth.accepts_key, part.key
            )
        else:
            if by_header is None:
                by_header = await _header_accepted(context, call)
            known = by_header
        if not known:
            refused.append(index)
    if not parts and not await _header_accepted(context, call):
        raise ApiError(401, _NO_KEY)
    if parts and len(refused) == len(parts):
        raise ApiError(401, _NO_KEY)
    return frozenset(refused)


async def _header_accepted(context: Context, call: Call) -> bool:
    return bearer_key(call.request) is not None and await is_authenticated(context.auth, call.request)


def _respond(context: Context, call: Call, answers: list[Answer]) -> Response:
    response = protocol.Response(
        server_id=context.store.server_id,
        max_body=context.settings.max_body,
        parts=[_with_full_url(answer, call.base_url) for answer in answers],
    )
    if MSGPACK in call.request.headers.get("accept", ""):
        return Response(protocol.encode_response(response), media_type=MSGPACK)
    return Response(msgspec.json.encode(response), media_type=JSON)


def _with_full_url(answer: Answer, base_url: str | None) -> Answer:
    # Ingest knows the page's path, the request at which address its asker finds this server.
    if answer.url is None or base_url is None:
        return answer
    return msgspec.structs.replace(answer, url=base_url + answer.url)


ENDPOINTS = (append,)
