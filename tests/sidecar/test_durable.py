"""Which bytes are known to be on the disk, and what is said where that fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kiseki.sidecar.durable import Durability

Wait = Callable[..., Any]


@pytest.fixture
def durable() -> Iterator[tuple[Durability, list[str]]]:
    """A running thread and what it complained about."""
    said: list[str] = []
    made = Durability(said.append)
    yield made, said
    made.close()


def test_grown_bytes_are_flushed_within_seconds(
    durable: tuple[Durability, list[str]], tmp_path: Path, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush, said = durable
    flushed: list[str] = []
    for name in ("fsync", "fdatasync"):
        real = getattr(os, name)

        def record(descriptor: int, name: str = name, real: Callable[[int], None] = real) -> None:
            flushed.append(f"{name} {os.path.basename(os.readlink(f'/proc/self/fd/{descriptor}'))}")
            real(descriptor)

        monkeypatch.setattr(os, name, record)
    path = tmp_path / "run" / "w.kiseki"
    path.parent.mkdir()
    path.write_bytes(b"x" * 10)
    flush.grew(path, 10)
    assert not flush.covers(path, 10)
    wait_until(lambda: flush.covers(path, 10))
    first = list(flushed)
    assert {"fsync w.kiseki", "fsync run"} <= set(first)
    path.write_bytes(b"x" * 20)
    flush.grew(path, 20)
    wait_until(lambda: flush.covers(path, 20))
    assert flushed[len(first) :] == ["fdatasync w.kiseki"]
    assert said == []


def test_a_file_that_went_away_is_no_trouble(
    durable: tuple[Durability, list[str]], tmp_path: Path, wait_until: Wait
) -> None:
    flush, said = durable
    flush.grew(tmp_path / "gone", 5)
    wait_until(lambda: flush.covers(tmp_path / "gone", 5))
    assert said == []


def test_a_disk_that_fails_is_said_and_holds_nothing_up(
    durable: tuple[Durability, list[str]], tmp_path: Path, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush, said = durable

    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    path = tmp_path / "w.kiseki"
    path.write_bytes(b"x")
    flush.grew(path, 1)
    wait_until(lambda: flush.covers(path, 1))
    assert said == [f"cannot flush {path}: Input/output error"]


def test_what_is_due_is_flushed_at_the_end(tmp_path: Path) -> None:
    flush = Durability(lambda _: None)
    path = tmp_path / "w.kiseki"
    path.write_bytes(b"x")
    flush.grew(path, 1)
    flush.close()
    assert flush.covers(path, 1)


def test_a_file_forgotten_in_the_very_moment_ends_nothing(
    durable: tuple[Durability, list[str]], tmp_path: Path, wait_until: Wait
) -> None:
    flush, _ = durable

    class ForgottenFirst(dict[Path, int]):
        """The main thread forgets the last file between the look whether there is one and taking it."""

        def popitem(self) -> tuple[Path, int]:
            flush._grown = {}
            return dict[Path, int]().popitem()

    flush._grown = ForgottenFirst()
    flush.grew(tmp_path / "forgotten", 1)
    wait_until(lambda: type(flush._grown) is dict)
    path = tmp_path / "w.kiseki"
    path.write_bytes(b"x")
    flush.grew(path, 1)
    wait_until(lambda: flush.covers(path, 1))
