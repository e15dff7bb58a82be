"""The points of charts, as Arrow."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from starlette.responses import Response

from kiseki import query as queries
from kiseki.records.kinds import DEFAULT_STREAM, SYSTEM_STREAM
from kiseki.server.context import Context
from kiseki.server.endpoint import endpoint

ARROW_STREAM = "application/vnd.apache.arrow.stream"

Stream = Literal["default", "system"]
"""What the training logged, or what was measured beside it."""

STREAMS: Final[dict[Stream, str]] = {"default": DEFAULT_STREAM, "system": SYSTEM_STREAM}
"""The store's names of the streams."""


class SeriesQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """Which metrics of which runs, over which x and range, in how many buckets.

    `min` and `max` are inclusive, in the unit of `x`: a step, seconds since the run's start, unix
    seconds; null is where the points end. The key `_step` is each row's own step.
    """

    entity: str
    project: str
    runs: Annotated[list[str], msgspec.Meta(max_length=10_000)]
    keys: Annotated[list[str], msgspec.Meta(max_length=10_000)]
    x: Literal["_step", "_runtime", "_timestamp"] = "_step"
    min: float | None = None
    max: float | None = None
    buckets: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 500
    stream: Stream = "default"


@endpoint("POST", "/series", media=ARROW_STREAM)
def read_series(context: Context, body: SeriesQuestion) -> Response:
    """Return exact buckets of many runs and metrics: one row per non-empty bucket, by (run, key, lane, x).

    Columns: run u32 (index into runs), key u32 (index into keys), lane u16, x_first, x_last f64, count u32
    (finite points), min, max, sum, first, last f64 (of them), nan, pinf, ninf u32.
    """
    run_pks = queries.run_keys(context.store, body.entity, body.project, body.runs)
    found = queries.series(
        context.store, run_pks, body.keys, body.x, body.min, body.max, body.buckets, STREAMS[body.stream]
    )
    return Response(found, media_type=ARROW_STREAM)


ENDPOINTS = (read_series,)
