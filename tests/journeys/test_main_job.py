"""The five lines of the README, with no server, with this user's server, and read back in every way."""

from __future__ import annotations

import json
from functools import partial

from tests.journeys.world import Home, Server, await_true

FIVE_LINES = """
import kiseki as wandb
acc, loss = 0.5, 0.25
config = dict(learning_rate=0.01, momentum=0.2, architecture="CNN", dataset_id="peds-0192", infra="AWS")
wandb.init(project="detect-pedestrians", notes="tweak baseline", tags=["baseline", "paper1"], config=config)
for epoch in range(10):
    wandb.log({"accuracy": acc, "loss": loss})
"""


def test_without_a_server_the_run_lies_in_the_folder_and_reads_back(laptop: Home) -> None:
    done = laptop.python(FIVE_LINES)
    said = done.stdout + done.stderr
    folder = laptop.run_folders()[0]
    assert folder.parent == laptop.work / "kiseki"
    assert (laptop.work / "kiseki" / ".gitignore").read_text().strip() == "*"
    assert "kiseki up" in said and folder.name in said
    run_id = folder.name.split("-", 2)[2]

    shown = json.loads(laptop.kiseki("runs", "--json").stdout)
    runs = shown["runs"] if isinstance(shown, dict) else shown
    assert [(run["id"], run["state"]) for run in runs] == [(run_id, "finished")]
    one = json.loads(laptop.kiseki("show", str(folder), "--json").stdout)
    assert one["config"]["architecture"] == "CNN" and one["notes"] == "tweak baseline"
    assert one["tags"] == ["baseline", "paper1"]
    rows = [json.loads(line) for line in laptop.kiseki("export", run_id).stdout.splitlines()]
    assert [(row["_step"], row["accuracy"], row["loss"]) for row in rows] == [
        (step, 0.5, 0.25) for step in range(10)
    ]
    read = laptop.python(
        f"""
import json, kiseki
(run,) = kiseki.Api().runs("detect-pedestrians")
same = kiseki.Api().run("detect-pedestrians/{run_id}")
assert (run.id, run.name, run.state) == (same.id, same.name, same.state)
rows = list(run.scan_history())
assert len(rows) == 10 and len(run.history(pandas=False)) == 10
print(json.dumps([run.state, run.config, run.summary["loss"], run.tags, run.notes]))
"""
    )
    state, config, loss, tags, notes = json.loads(read.stdout.splitlines()[-1])
    assert (state, loss, tags, notes) == ("finished", 0.25, ["baseline", "paper1"], "tweak baseline")
    assert config["learning_rate"] == 0.01


def test_own_server_shows_the_run_at_once_and_live(laptop: Home) -> None:
    earlier = laptop.train(5)
    earlier.await_end()
    laptop.kiseki("doctor")
    server = laptop.server()
    await_true(lambda: server.run(earlier.ledger.run_id), what="the run from before the server's start")
    training = laptop.train(pause=0.005)
    training.await_rows(1)
    run_id = training.ledger.run_id
    await_true(lambda: (server.run(run_id) or {}).get("state") == "running", what="the live run")
    for _ in range(3):
        await_true(partial(_has_more, server, run_id, _rows(server, run_id)), what="more rows, live")
    training.ledger.goal = training.ledger.logged + 1
    training.await_end()
    await_true(lambda: (server.run(run_id) or {}).get("state") == "finished", what="the end of the run")


def test_streaming_to_a_server_prints_the_page(laptop: Home, cloud: Home) -> None:
    server = cloud.server()
    laptop.uploads_to(server)
    done = laptop.python(FIVE_LINES)
    (run,) = server.runs()
    assert (run["project"], run["name"], run["state"]) == ("detect-pedestrians", run["name"], "finished")
    assert f"{server.url}/{run['entity']}/detect-pedestrians/runs/{run['id']}" in done.stdout + done.stderr


def _rows(server: Server, run_id: str) -> int:
    rows: int = (server.run(run_id) or {}).get("rows", 0)
    return rows


def _has_more(server: Server, run_id: str, than: int) -> bool:
    return _rows(server, run_id) > than
