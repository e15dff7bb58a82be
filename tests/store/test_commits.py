"""The writer thread: groups share a commit, a failing job undoes only itself, a full queue refuses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select

from kiseki.store import Store, StoreBusy, open_store
from kiseki.store.tables import meta


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(f"sqlite:///{tmp_path}/store.db", queue_limit=50)
    yield store
    store.close()


def put(key: str, value: str = "v") -> object:
    return lambda connection: connection.execute(insert(meta).values(key=key, value=value))


def keys(store: Store) -> set[str]:
    with store.read() as connection:
        return set(connection.scalars(select(meta.c.key))) - {"server_id"}


class Gate:
    """A job that holds the writer until it is opened."""

    def __init__(self, store: Store) -> None:
        self._open = threading.Event()
        entered = threading.Event()

        def hold(_connection: Connection) -> None:
            entered.set()
            assert self._open.wait(20)

        self.future = store.write(hold)
        assert entered.wait(20)

    def open(self) -> None:
        self._open.set()


def test_jobs_that_wait_share_a_commit(store: Store) -> None:
    gate = Gate(store)
    before = store.writer.commits
    futures = [store.write(put(f"k{i}")) for i in range(40)]  # type: ignore[arg-type]
    assert not futures[0].done()
    gate.open()
    for future in futures:
        future.result(20)
    assert keys(store) == {f"k{i}" for i in range(40)}
    assert store.writer.commits - before < 10


def test_a_failing_job_undoes_only_itself(store: Store) -> None:
    undone: list[int] = []
    store.writer.on_rollback.append(lambda: undone.append(1))
    gate = Gate(store)

    def fail(connection: Connection) -> None:
        connection.execute(insert(meta).values(key="half", value="v"))
        raise ValueError("no")

    before, failing, after = store.write(put("a")), store.write(fail), store.write(put("b"))  # type: ignore[arg-type]
    gate.open()
    before.result(20)
    after.result(20)
    with pytest.raises(ValueError, match="no"):
        failing.result(20)
    assert keys(store) == {"a", "b"}
    assert undone


def test_a_full_queue_refuses(store: Store) -> None:
    gate = Gate(store)
    waiting = [store.write(lambda connection: None) for _ in range(50)]
    with pytest.raises(StoreBusy, match="try again"):
        store.write(lambda connection: None)
    gate.open()
    for future in waiting:
        future.result(20)
    store.write(lambda connection: None).result(20)


def test_background_jobs_come_after_the_others(store: Store) -> None:
    order: list[str] = []
    gate = Gate(store)
    low = store.write(lambda connection: order.append("low"), low=True)
    high = [store.write(lambda connection: order.append("high")) for _ in range(5)]
    gate.open()
    low.result(20)
    for future in high:
        future.result(20)
    assert order[:5] == ["high"] * 5


def test_closing_finishes_what_is_queued(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/other.db"
    store = open_store(url)
    futures = [store.write(put(f"k{i}")) for i in range(30)]  # type: ignore[arg-type]
    store.close()
    assert all(future.done() for future in futures)
    again = open_store(url)
    assert len(keys(again)) == 30
    again.close()


def test_a_reader_keeps_its_snapshot(store: Store) -> None:
    with store.read() as connection:
        assert connection.scalars(select(meta.c.key)).all() == ["server_id"]
        store.write(put("new")).result(20)  # type: ignore[arg-type]
        assert connection.scalars(select(meta.c.key)).all() == ["server_id"]
    assert keys(store) == {"new"}
