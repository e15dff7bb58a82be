"""The limits of recorded output: all at first, then the slow and the newest, and a note of the rest."""

from __future__ import annotations

import pytest

from kiseki.sdk.console import limits
from kiseki.sdk.console.limits import BYTES_PER_S, NEWEST_BYTES, Limits


class Clock:
    """Seconds as the test says."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def kept(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> tuple[Limits, list[tuple[int, bytes]]]:
    """Limits whose free bytes are used up, and what they let pass from then on."""
    monkeypatch.setattr(limits, "FREE_BYTES", 1000)
    found: list[tuple[int, bytes]] = []
    some = Limits(lambda stream, data: found.append((stream, data)), clock)
    some.pass_on(1, b"x" * 1000)
    assert found == [(1, b"x" * 1000)]
    found.clear()
    return some, found


def test_slow_output_passes_at_once(kept: tuple[Limits, list[tuple[int, bytes]]], clock: Clock) -> None:
    some, found = kept
    for n in range(100):
        clock.now += 1.0
        some.pass_on(1, b"%060000d" % n)
        assert len(found) == n + 1
    some.end()
    assert len(found) == 100 and all(stream == 1 for stream, _ in found)


def test_of_a_flood_the_newest_is_kept_and_the_rest_counted(
    kept: tuple[Limits, list[tuple[int, bytes]]], clock: Clock
) -> None:
    some, found = kept
    lines = [b"%0999d\n" % n for n in range(10_000)]
    for n, line in enumerate(lines):
        some.pass_on(1 + n % 2, line)
        clock.now += 0.001
    some.end()
    assert b"".join(data for stream, data in found if stream).endswith(b"".join(lines[-50:]))
    notes = [data for stream, data in found if stream == 0]
    passed = [data for stream, data in found if stream]
    said = [
        (int(words[0].replace(b",", b"")), int(words[3].replace(b",", b"")))
        for words in map(bytes.split, notes)
    ]
    assert sum(count for count, _ in said) + sum(map(len, passed)) == 10_000_000
    assert sum(count for _, count in said) + len(passed) == 10_000
    # Ten seconds, and what may come at once at the beginning and at the end.
    assert len(b"".join(passed)) <= 11 * BYTES_PER_S + NEWEST_BYTES
    assert 8 <= len(notes) <= 12


def test_what_did_not_arrive_is_said_at_the_end(kept: tuple[Limits, list[tuple[int, bytes]]]) -> None:
    some, found = kept
    some.leave_out(12_345, 67)
    some.end()
    assert found == [(0, b"12,345 bytes in 67 lines were left out here: too much output")]


def test_newest_passes_by_itself_once_there_is_room(
    kept: tuple[Limits, list[tuple[int, bytes]]], clock: Clock, wait_until: object
) -> None:
    some, found = kept
    for _ in range(3):
        some.pass_on(1, b"y" * NEWEST_BYTES)
    assert len(found) == 1  # the first one used up what may come at once
    clock.now += 2.0
    assert callable(wait_until)
    wait_until(lambda: len(found) == 3, what="the newest bytes to be passed on")
    assert [stream for stream, _ in found] == [1, 0, 1]
    some.end()
