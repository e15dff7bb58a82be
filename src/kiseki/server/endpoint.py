"""One typed definition per endpoint: validation, encoding and the OpenAPI document come from it."""

from __future__ import annotations

import inspect
import logging
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_origin

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from kiseki.query import InvalidQuery, NotFound
from kiseki.server.context import Context
from kiseki.server.errors import ApiError, error_response
from kiseki.store import StoreError, StoreFull, is_full

API_PREFIX: Final = "/api/v1"
JSON: Final = "application/json"

_log = logging.getLogger("kiseki.server")
_PART_NAMES: Final = frozenset({"context", "call", "path", "query", "body"})


@dataclass(frozen=True)
class Call:
    """One request as a handler sees it, beside its typed parts."""

    request: Request
    base_url: str | None
    """Address of the server as the asker wrote it, base path included; None in process."""


@dataclass(frozen=True)
class Endpoint:
    """One method on one path; the handler's annotations are its types."""

    method: str
    path: str
    handler: Callable[..., Any]
    summary: str
    path_type: type[msgspec.Struct] | None
    query_type: type[msgspec.Struct] | None
    body_type: type[msgspec.Struct] | None
    answer_type: Any
    status: int
    media: str
    public: bool
    """Whether it is answered without a credential."""
    checks_key: bool
    """Whether the handler checks the credentials itself."""
    raw_body: str | None
    """Media type of a body that the handler reads itself."""

    @property
    def full_path(self) -> str:
        """The path below the server's root, with `{names}`."""
        return API_PREFIX + self.path


def endpoint(
    method: str,
    path: str,
    *,
    status: int = 200,
    media: str = JSON,
    public: bool = False,
    checks_key: bool = False,
    raw_body: str | None = None,
) -> Callable[[Callable[..., Any]], Endpoint]:
    """Make a handler the `Endpoint` for `method` on `path` (below `/api/v1`).

    The handler takes any of `context`, `call`, `path`, `query`, `body` by name; the annotations of the
    last three are msgspec structs that the request must fit, and the return annotation is the struct
    that it answers with (a `Response` is sent as it is, described by `media`). A plain function runs in
    a worker thread. `public` endpoints are answered without a credential, those that
    `checks_key` check it themselves.
    """

    def define(handler: Callable[..., Any]) -> Endpoint:
        hints = typing.get_type_hints(handler)
        answer = hints.pop("return", None)
        unknown = set(hints) - _PART_NAMES
        if unknown:
            raise TypeError(
                f"{handler.__qualname__} takes {sorted(unknown)}; endpoints have {sorted(_PART_NAMES)}"
            )
        described = isinstance(answer, type) and issubclass(answer, msgspec.Struct)
        return Endpoint(
            method=method,
            path=path,
            handler=handler,
            summary=(inspect.getdoc(handler) or "").split("\n\n")[0].replace("\n", " "),
            path_type=hints.get("path"),
            query_type=hints.get("query"),
            body_type=hints.get("body"),
            answer_type=answer if described else None,
            status=status,
            media=media,
            public=public,
            checks_key=checks_key,
            raw_body=raw_body,
        )

    return define


def routes(context: Context, endpoints: Iterable[Endpoint]) -> list[Route]:
    """Return the Starlette routes that serve `endpoints` over `context`."""
    return [
        Route(each.full_path, _serve(context, each), methods=[each.method], name=each.handler.__name__)
        for each in endpoints
    ]


async def read_body(request: Request, limit: int) -> bytes:
    """Return the request's body; raises ApiError 413 as soon as it is known to exceed `limit` bytes."""
    stated = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > limit:
        raise _too_large(limit)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _serve(context: Context, definition: Endpoint) -> Callable[[Request], Any]:
    handler = definition.handler
    wanted = frozenset(inspect.signature(handler).parameters)
    in_thread = not inspect.iscoroutinefunction(handler)
    lists = _list_fields(definition.query_type)

    async def serve(request: Request) -> Response:
        try:
            parts: dict[str, Any] = {}
            if "context" in wanted:
                parts["context"] = context
            if "call" in wanted:
                parts["call"] = Call(request, _base_url(context, request))
            if definition.path_type is not None:
                parts["path"] = msgspec.convert(request.path_params, definition.path_type, strict=False)
            if definition.query_type is not None:
                asked = _query_values(request, lists)
                parts["query"] = msgspec.convert(asked, definition.query_type, strict=False)
            if definition.body_type is not None:
                body = await read_body(request, context.settings.max_body)
                parts["body"] = msgspec.json.decode(body, type=definition.body_type)
            if in_thread:
                return await run_in_threadpool(_answer, definition, handler, parts)
            return _encode(definition, await handler(**parts))
        except Exception as error:
            return _failure(request, error)

    return serve


def _failure(request: Request, error: Exception) -> Response:
    match error:
        case ApiError():
            return error_response(error.status, error.message)
        case NotFound():
            return error_response(404, str(error))
        case msgspec.DecodeError() | InvalidQuery():
            return error_response(400, str(error))
        case StoreFull():
            return error_response(507, str(error))
        case StoreError():
            return error_response(503, str(error))
        case _ if is_full(error):
            return error_response(507, "the server's disk is full; make room there, then ask again")
        case ClientDisconnect():
            return Response(status_code=400)
        case _:
            _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
            return error_response(500, "the server failed at this request; its log says why")


def _answer(definition: Endpoint, handler: Callable[..., Any], parts: Mapping[str, Any]) -> Response:
    return _encode(definition, handler(**parts))


def _encode(definition: Endpoint, result: Any) -> Response:
    if isinstance(result, Response):
        return result
    if result is None:
        return Response(status_code=204)
    return Response(msgspec.json.encode(result), definition.status, media_type=JSON)


def _list_fields(query_type: type[msgspec.Struct] | None) -> frozenset[str]:
    if query_type is None:
        return frozenset()
    fields = msgspec.structs.fields(query_type)
    return frozenset(field.encode_name for field in fields if get_origin(field.type) is list)


def _query_values(request: Request, lists: frozenset[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in lists:
            values.setdefault(name, []).append(value)
        elif value != "":
            values[name] = value
    return values


def _base_url(context: Context, request: Request) -> str | None:
    if context.settings.in_process:
        return None
    scheme, host = request.scope.get("scheme", "http"), request.headers.get("host", "")
    return f"{scheme}://{host}{context.settings.base_path}"


def _too_large(limit: int) -> ApiError:
    return ApiError(
        413, f"the request is larger than {limit} bytes, which this server takes at most; send less"
    )
