"""The server goes away, comes back, is set back, hangs or refuses: it costs nothing and slows nothing."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from tests.journeys.account import rows_in_export, rows_in_files
from tests.journeys.faults import hanging_server, refusing_proxy
from tests.journeys.ledger import Phase
from tests.journeys.world import Home, Server, Training, await_true


def test_server_away_costs_nothing_and_the_run_catches_up(laptop: Home, cloud: Home) -> None:
    server = cloud.server()
    laptop.uploads_to(server)
    training = laptop.train(pause=0.002)
    training.await_rows(100)
    server.stop()
    away_from = training.ledger.logged
    training.await_rows(away_from + 1000)  # goes on at its own pace
    server.start()
    _await_rows(server, training, training.ledger.logged)
    training.ledger.goal = training.ledger.logged + 10
    training.await_end()
    _check_complete(laptop, server, training)


def test_run_that_ended_while_the_server_was_away_arrives_by_sync_and_twice_is_once(
    laptop: Home, cloud: Home
) -> None:
    server = cloud.server()
    laptop.uploads_to(server)
    laptop.env["KISEKI_FINISH_TIMEOUT"] = "1"
    training = laptop.train(pause=0.002)
    training.await_rows(50)
    server.stop()
    training.ledger.goal = training.ledger.logged + 200
    training.await_end()
    assert "kiseki sync" in training.output, "what stayed unsent is said, with the line that sends it"
    laptop.kill_sidecars()
    server.start()
    laptop.kiseki("sync")
    _check_complete(laptop, server, training)
    laptop.kiseki("sync")
    _check_complete(laptop, server, training)


def test_offline_run_is_not_uploaded_before_sync(laptop: Home, cloud: Home) -> None:
    server = cloud.server()
    laptop.uploads_to(server)
    offline = laptop.train(300, mode="offline")
    offline.await_end()
    online = laptop.train(10)  # its sidecar had every occasion to send the other's rows too
    online.await_end()
    _await_rows(server, online, 10)
    assert server.run(offline.ledger.run_id) is None
    laptop.kiseki("sync")
    _check_complete(laptop, server, offline)


def test_finish_is_bounded_with_a_server_that_hangs(laptop: Home) -> None:
    with hanging_server() as url:
        laptop.env |= {
            "KISEKI_BASE_URL": url,
            "KISEKI_API_KEY": "kk_" + "0" * 40,
            "KISEKI_FINISH_TIMEOUT": "2",
        }
        training = laptop.train(200)
        training.await_phase(Phase.FINISH)
        training.await_end(seconds=15.0)
    assert "kiseki sync" in training.output
    assert rows_in_files(laptop.run_folder(training.ledger.run_id))["i"] == list(range(200))


def test_a_server_that_hangs_does_not_slow_the_training(laptop: Home) -> None:
    with hanging_server() as url:
        laptop.env |= {"KISEKI_BASE_URL": url, "KISEKI_API_KEY": "kk_" + "0" * 40}
        training = laptop.train()
        training.await_rows(20_000)
        training.kill()


def test_413_halves_the_request_and_does_not_give_up_the_run(laptop: Home, cloud: Home) -> None:
    server = cloud.server()
    with refusing_proxy(server.url, largest_body=20_000) as proxy:
        laptop.env |= {"KISEKI_BASE_URL": proxy.url, "KISEKI_API_KEY": server.create_key()}
        training = laptop.train(5000, width=10)
        training.await_end()
        _await_rows(server, training, 5000)
        assert proxy.refused > 0, "the proxy never had to refuse: the test proves nothing"
    _check_complete(laptop, server, training)


def test_server_set_back_to_an_older_copy_gets_everything_again(laptop: Home, cloud: Home) -> None:
    server = cloud.server()
    laptop.uploads_to(server)
    training = laptop.train(pause=0.002)
    _await_rows(server, training, 300)
    server.stop()
    copy = cloud.folder / "copy"
    shutil.copytree(server.store, copy)
    server.start()
    _await_rows(server, training, training.ledger.logged + 1000)
    server.kill()
    shutil.rmtree(server.store)
    shutil.move(copy, server.store)
    server.start()
    training.ledger.goal = training.ledger.logged + 100
    training.await_end()
    _check_complete(laptop, server, training)


def test_another_server_behind_the_same_name_stops_the_upload_and_says_so(laptop: Home, cloud: Home) -> None:
    server = cloud.server()
    laptop.uploads_to(server)
    laptop.env["KISEKI_FINISH_TIMEOUT"] = "5"
    training = laptop.train(pause=0.002)
    _await_rows(server, training, 50)
    server.stop()
    first = server.store.rename(cloud.folder / "first")
    server.start()  # the same address, but another server
    server.stop()
    _take_over_keys(first, server.store)
    server.start()
    training.await_rows(training.ledger.logged + 100)
    training.ledger.goal = training.ledger.logged + 10
    training.await_end()
    assert "another server" in training.output
    assert server.run(training.ledger.run_id) is None
    assert rows_in_files(laptop.run_folder(training.ledger.run_id))["i"] == list(
        range(training.ledger.logged)
    )


def test_wrong_key_is_said_and_costs_no_row(laptop: Home, cloud: Home) -> None:
    server = cloud.server()
    laptop.uploads_to(server)
    laptop.env |= {"KISEKI_API_KEY": "kk_" + "0" * 40, "KISEKI_FINISH_TIMEOUT": "3"}
    training = laptop.train(100)
    training.await_end()
    assert "key" in training.output
    laptop.uploads_to(server)
    laptop.kiseki("sync")
    _check_complete(laptop, server, training)


def _await_rows(server: Server, training: Training, rows: int) -> None:
    training.await_phase(Phase.LOGGING)

    def there() -> bool:
        run = server.run(training.ledger.run_id)
        return run is not None and run["rows"] >= rows

    await_true(there, seconds=60.0, what=f"{rows} rows on the server ({training.output})")


def _check_complete(home: Home, server: Server, training: Training) -> None:
    """Files and server hold exactly the rows that the training has logged, and the run is finished."""
    run_id = training.ledger.run_id
    expected = list(range(training.ledger.logged))
    assert rows_in_files(home.run_folder(run_id))["i"] == expected
    _await_rows(server, training, len(expected))
    await_true(lambda: (server.run(run_id) or {}).get("state") == "finished", what="the run to be finished")
    assert rows_in_export(server.rows(run_id))["i"] == expected
    run = server.run(run_id)
    assert run is not None and run["rows"] == len(expected)


def _take_over_keys(old: Path, new: Path) -> None:
    """Let the store `new` accept the keys of the store `old`."""
    with sqlite3.connect(next(new.glob("*.db"))) as database:
        database.execute("ATTACH ? AS old", (str(next(old.glob("*.db"))),))
        database.execute("INSERT INTO api_keys SELECT * FROM old.api_keys")
    database.close()
