"""The rows of one run: sampled for a look, or all of them as JSON lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec
from starlette.responses import Response, StreamingResponse

from kiseki import query as queries
from kiseki.query import Document
from kiseki.records.numbers import to_json
from kiseki.server.context import Context
from kiseki.server.endpoint import endpoint
from kiseki.server.runs import RunPath
from kiseki.server.series import STREAMS, Stream

JSON_LINES = "application/jsonl"
_LINES_A_CHUNK = 500


class HistoryQuery(msgspec.Struct, frozen=True):
    """Which keys (none: all; else only rows that have all of them), and how many rows at most."""

    keys: list[str] = []
    samples: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 500
    stream: Stream = "default"


class ExportQuery(msgspec.Struct, frozen=True):
    """Which keys (none: all; else only rows that have all of them) and steps; `max_step` is exclusive."""

    keys: list[str] = []
    min_step: int | None = None
    max_step: int | None = None
    stream: Stream = "default"


class History(msgspec.Struct, frozen=True):
    """Rows in order of (lane, step): `_step`, `_runtime`, `_timestamp` and the logged values.

    A row of another lane than the primary one carries its label as `_lane`. Rows of the system stream have no
    `_step`, and `_lane`, the host's name, where that is not the first one's.
    """

    rows: list[Document]


@endpoint("GET", "/runs/{entity}/{project}/{run_id}/history")
def sample_history(context: Context, path: RunPath, query: HistoryQuery) -> History:
    """Return evenly spaced rows of a run, the first and the last among them."""
    (run_pk,) = queries.run_keys(context.store, path.entity, path.project, [path.run_id])
    rows = queries.sampled_history(
        context.store, run_pk, query.keys or None, samples=query.samples, stream=STREAMS[query.stream]
    )
    return History([msgspec.Raw(to_json(row)) for row in rows])


@endpoint("GET", "/runs/{entity}/{project}/{run_id}/export", media=JSON_LINES)
def export_history(context: Context, path: RunPath, query: ExportQuery) -> Response:
    """Stream every row of a run, one JSON object a line."""
    (run_pk,) = queries.run_keys(context.store, path.entity, path.project, [path.run_id])
    rows = queries.history_rows(
        context.store, run_pk, query.keys or None, query.min_step, query.max_step, STREAMS[query.stream]
    )
    return StreamingResponse(_lines(rows), media_type=JSON_LINES)


def _lines(rows: Iterator[dict[str, object]]) -> Iterator[bytes]:
    lines: list[bytes] = []
    for row in rows:
        lines.append(to_json(row))
        if len(lines) == _LINES_A_CHUNK:
            yield b"\n".join(lines) + b"\n"
            lines.clear()
    if lines:
        yield b"\n".join(lines) + b"\n"


ENDPOINTS = (sample_history, export_history)
