"""The event stream: server-sent events that carry only "run X is at N" (https://html.spec.whatwg.org/#server-sent-events)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from kiseki.server.access import is_authenticated
from kiseki.server.context import Context
from kiseki.server.endpoint import Call, endpoint
from kiseki.server.errors import ApiError
from kiseki.server.hub import LiveHub, RunAt

EVENT_STREAM = "text/event-stream"
COMMENT_EVERY_S: Final = 10.0
"""Silence after which a comment shows both ends that the connection lives.

As often the stream's credential is looked at again: a revoked key or an ended session ends it.
"""

MIN_INTERVAL_S: Final = 0.1
"""Shortest time between two batches of one stream; what changes meanwhile is told once."""


class LiveQuery(msgspec.Struct, frozen=True):
    """Which changes: those of one project (`entity/project`), or all."""

    project: str = ""


@endpoint("GET", "/live", media=EVENT_STREAM)
async def follow_changes(context: Context, call: Call, query: LiveQuery) -> Response:
    """Stream `event: run` with `{entity, project, run, at}` for each run that changes, newest `at` only."""

    async def allowed() -> bool:
        return context.settings.in_process or await is_authenticated(context.auth, call.request)

    return _EventStream(context.hub, _wanted(query.project), allowed)


def _wanted(project: str) -> Callable[[RunAt], bool]:
    if not project:
        return lambda change: True
    entity, slash, name = project.partition("/")
    if not (entity and slash and name):
        raise ApiError(400, f"project is {project!r}; it takes entity/project")
    return lambda change: change.project == name and change.entity == entity


class _EventStream(Response):
    def __init__(
        self, hub: LiveHub, wants: Callable[[RunAt], bool], allowed: Callable[[], Awaitable[bool]]
    ) -> None:
        super().__init__(
            media_type=EVENT_STREAM, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        del self.headers["content-length"]
        self._hub = hub
        self._wants = wants
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        sending = asyncio.ensure_future(self._send_changes(send))
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send_changes(self, send: Send) -> None:
        subscription = self._hub.subscribe(self._wants)
        try:
            # The first bytes let the browser know that the stream is open.
            await _send_part(send, b": kiseki\n\n")
            checked = time.monotonic()
            while not subscription.closed:
                changes = await subscription.next_changes(COMMENT_EVERY_S)
                if time.monotonic() - checked >= COMMENT_EVERY_S:
                    if not await self._allowed():
                        break
                    checked = time.monotonic()
                await _send_part(send, b"".join(map(_event, changes)) or b":\n\n")
                if changes:
                    await asyncio.sleep(MIN_INTERVAL_S)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._hub.unsubscribe(subscription)


def _event(change: RunAt) -> bytes:
    return b"event: run\ndata: " + msgspec.json.encode(change) + b"\n\n"


async def _send_part(send: Send, part: bytes) -> None:
    await send({"type": "http.response.body", "body": part, "more_body": True})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


ENDPOINTS = (follow_changes,)
