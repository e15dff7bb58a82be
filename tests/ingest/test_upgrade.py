"""A store that the first version wrote is migrated, keeps its data and makes its derived rows anew by itself.

`golden/store-0001.db.gz` was written by it: a finished run, and one whose followed directory is gone.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from kiseki.ingest import Ingest
from kiseki.query import history_rows
from kiseki.records import State
from kiseki.store import Store, open_store
from kiseki.store.tables import DERIVED_VERSION, metrics, runs

from .conftest import RunDirectory, header, send_directory
from .derived import derived_rows

OLD = Path(__file__).with_name("golden") / "store-0001.db.gz"


@pytest.fixture
def old_store(tmp_path: Path) -> Iterator[Store]:
    """The old store, opened by this version."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.db").write_bytes(gzip.decompress(OLD.read_bytes()))
    store = open_store(f"sqlite:///{tmp_path}/store/store.db", create=False, reserve_bytes=0)
    yield store
    store.close()


def run_rows(store: Store) -> dict[str, Any]:
    with store.read() as connection:
        return {row.run_id: row for row in connection.execute(select(runs))}


def test_an_old_store_keeps_its_data_and_is_made_anew(old_store: Store, wait_until: Any) -> None:
    before = run_rows(old_store)
    with old_store.read() as connection:
        known = connection.execute(select(metrics).order_by(metrics.c.run_pk, metrics.c.key)).all()
    assert [(row.stream, row.key, row.points) for row in known] == [("", "acc", 200), ("", "loss", 400)] * 2
    ingest = Ingest(old_store)
    wait_until(lambda: run_rows(old_store)["abc"].version == DERIVED_VERSION)
    after = run_rows(old_store)
    for name in (
        "name",
        "state",
        "config",
        "summary",
        "environment",
        "rows",
        "last_step",
        "tags",
        "ended_us",
        "updated_us",
    ):
        assert getattr(after["abc"], name) == getattr(before["abc"], name), name
    assert after["abc"].fold_facts is not None
    assert len(list(history_rows(old_store, after["abc"].id))) == 400
    # Nothing can make this one again: what is known of it stays.
    assert after["gone"] == before["gone"]
    assert len(list(history_rows(old_store, after["gone"].id))) == 400
    with old_store.read() as connection:
        again = connection.execute(select(metrics).order_by(metrics.c.run_pk, metrics.c.key)).all()
    assert [row[:-1] for row in again] == [row[:-1] for row in known]
    derived = derived_rows(old_store)
    ingest.rebuild(after["abc"].id).result(30)
    assert derived_rows(old_store) == derived
    ingest.close()


def test_a_run_whose_files_are_gone_can_still_be_changed(
    old_store: Store, tmp_path: Path, run_directory: RunDirectory
) -> None:
    ingest = Ingest(old_store)
    before = run_rows(old_store)["gone"]
    # Another writer of that run, sent from elsewhere: config and environment of the old fold are still there.
    later = header(
        40, uid=before.uid, run_id="gone", role="sidecar", primary=False, wall_ns=1_700_000_060 * 10**9
    )
    writer = run_directory.writer(later)
    writer.append(State(writer.now(), "failed", 3, "it was another way", "w000000000000011"))
    writer.close()
    send_directory(ingest, run_directory)
    after = run_rows(old_store)["gone"]
    assert (after.state, after.exit_code) == ("failed", 3)
    assert (after.config, after.environment, after.name) == (before.config, before.environment, before.name)
    ingest.close()
