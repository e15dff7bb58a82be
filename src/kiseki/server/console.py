"""The console of a run: pages of its lines, a search through them, and the whole text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import quote

import msgspec
from starlette.responses import Response, StreamingResponse

from kiseki import query as queries
from kiseki.query import ConsoleMatches, ConsolePage
from kiseki.server.context import Context
from kiseki.server.endpoint import endpoint
from kiseki.server.runs import RunPath

TEXT = "text/plain; charset=utf-8"

_Lane = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
_Line = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class ConsoleQuery(msgspec.Struct, frozen=True):
    """Which lines of which lane: from line `from` on (negative: counted from the end), at most `limit`."""

    lane: _Lane = 0
    first: Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)] = msgspec.field(name="from", default=-500)
    limit: Annotated[int, msgspec.Meta(ge=1, le=5000)] = 500


class ConsoleSearch(msgspec.Struct, frozen=True):
    """What to look for in which lane, from line `from` on; `regex`: a regular expression of Python's."""

    q: str
    regex: bool = False
    case: bool = False
    lane: _Lane = 0
    first: _Line = msgspec.field(name="from", default=0)
    limit: Annotated[int, msgspec.Meta(ge=1, le=5000)] = 200


class ConsoleTextQuery(msgspec.Struct, frozen=True):
    """Which lane, and whether colours stay in the text."""

    lane: _Lane = 0
    ansi: bool = False


@endpoint("GET", "/runs/{entity}/{project}/{run_id}/console")
def get_console(context: Context, path: RunPath, query: ConsoleQuery) -> ConsolePage:
    """Return lines of a run's console, the last ones unless `from` says otherwise."""
    run_pk = _run_pk(context, path)
    return queries.console_page(context.store, run_pk, lane=query.lane, first=query.first, limit=query.limit)


@endpoint("GET", "/runs/{entity}/{project}/{run_id}/console/search")
def search_console(context: Context, path: RunPath, query: ConsoleSearch) -> ConsoleMatches:
    """Search a bounded piece of a run's console; `next` says where to go on."""
    return queries.search_console(
        context.store,
        _run_pk(context, path),
        query.q,
        regex=query.regex,
        case=query.case,
        lane=query.lane,
        first=query.first,
        limit=query.limit,
    )


@endpoint("GET", "/runs/{entity}/{project}/{run_id}/console/text", media="text/plain")
def get_console_text(context: Context, path: RunPath, query: ConsoleTextQuery) -> Response:
    """Stream the whole console of a lane as text, to be saved."""
    pieces = queries.console_text(context.store, _run_pk(context, path), lane=query.lane, ansi=query.ansi)
    name = quote(f"{path.run_id}.log", safe="")
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return StreamingResponse(_encoded(pieces), headers=headers, media_type=TEXT)


def _encoded(pieces: Iterator[str]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece.encode("utf-8", "replace")


def _run_pk(context: Context, path: RunPath) -> int:
    (run_pk,) = queries.run_keys(context.store, path.entity, path.project, [path.run_id])
    return run_pk


ENDPOINTS = (get_console, search_console, get_console_text)
