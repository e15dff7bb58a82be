"""The hub keeps the newest of each run for each stream; a silent stream shows that it lives."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from kiseki.app import Instance
from kiseki.server import live
from kiseki.server.hub import LiveHub, RunAt


def _change(run: str, at: int) -> RunAt:
    return RunAt("ada", "digits", run, at)


def test_changes_from_another_thread_are_coalesced() -> None:
    async def listen() -> list[RunAt]:
        hub = LiveHub()
        subscription = hub.subscribe(lambda change: True)
        thread = threading.Thread(target=lambda: [hub.publish(_change("a", at)) for at in range(1000)])
        thread.start()
        thread.join()
        hub.publish(_change("b", 1))
        return await subscription.next_changes(5)

    assert asyncio.run(listen()) == [_change("a", 999), _change("b", 1)]


def test_publishing_without_a_stream_does_nothing() -> None:
    LiveHub().publish(_change("a", 1))


def test_publishing_after_the_loop_has_ended_does_nothing() -> None:
    hub = LiveHub()

    async def listen() -> None:
        hub.subscribe(lambda change: True)

    asyncio.run(listen())
    hub.publish(_change("a", 1))


def test_silence_ends_after_the_time_given() -> None:
    async def listen() -> list[RunAt]:
        return await LiveHub().subscribe(lambda change: True).next_changes(0.01)

    assert asyncio.run(listen()) == []


def test_closing_wakes_streams_and_ends_later_ones() -> None:
    async def listen() -> tuple[bool, bool]:
        hub = LiveHub()
        first = hub.subscribe(lambda change: True)
        waiting = asyncio.ensure_future(first.next_changes(60))
        await asyncio.sleep(0)
        hub.close()
        await waiting
        return first.closed, hub.subscribe(lambda change: True).closed

    assert asyncio.run(listen()) == (True, True)


def _stream(
    instance: Instance, key: str, until: int, at_first: Callable[[], object] = lambda: None
) -> list[bytes]:
    """The parts of an event stream whose reader leaves after `until` of them."""
    parts: list[bytes] = []

    async def run() -> None:
        left = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                parts.append(message["body"])
                if len(parts) == 1:
                    await asyncio.to_thread(at_first)
                if len(parts) == until:
                    left.set()

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/api/v1/live",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"authorization", f"Bearer {key}".encode())],
        }
        await asyncio.wait_for(instance.asgi(scope, receive, send), 20)

    asyncio.run(run())
    return parts


def test_silent_stream_shows_that_it_lives_until_its_reader_leaves(
    instance: Instance, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "COMMENT_EVERY_S", 0.001)
    parts = _stream(instance, key, until=4)
    assert parts[1:4] == [b":\n\n"] * 3


def test_stream_opened_while_the_server_ends_is_ended(instance: Instance, key: str) -> None:
    instance.hub.close()
    assert _stream(instance, key, until=99)[-1] == b""


def test_stream_ends_with_the_key_it_was_opened_with(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "COMMENT_EVERY_S", 0.001)
    key_id, key = instance.auth.create_key("cluster")
    parts = _stream(instance, key, until=10_000, at_first=lambda: instance.auth.revoke_key(key_id))
    assert parts[-1] == b""
