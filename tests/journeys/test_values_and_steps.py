"""What trainings throw at `log()`: it never raises, keeps earlier steps, and turns no value into another."""

from __future__ import annotations

import json
import math

from tests.journeys.account import rows_in_files
from tests.journeys.world import Home, await_true


def test_none_strings_and_infinities_never_raise_and_are_kept_as_they_are(laptop: Home) -> None:
    server = laptop.server()
    code = """
import kiseki
run = kiseki.init(project="journey", id="values")
inf = float("inf")
for i in range(3):
    kiseki.log({"a": 1.5, "none": None, "text": "hello", "inf": inf, "ninf": -inf, "nan": float("nan"),
                "big": 2**70, "yes": True, "odd": object(), "z": 2})
kiseki.finish()
"""
    done = laptop.python(code)
    assert done.stderr.count("odd") + done.stdout.count("odd") == 1, "one warning that names the key"
    await_true(lambda: (server.run("values") or {}).get("rows") == 3, what="three rows")
    rows = server.rows("values")
    assert len(rows) == 3
    for row in rows:
        assert (row["a"], row["none"], row["text"], row["yes"], row["z"]) == (1.5, None, "hello", True, 2)
        assert row["inf"] == math.inf and row["ninf"] == -math.inf and math.isnan(row["nan"])
        assert row["big"] == 2**70 and isinstance(row["big"], int)


def test_steps_that_go_back_are_kept(laptop: Home) -> None:
    server = laptop.server()
    code = """
import kiseki
run = kiseki.init(project="journey", id="steps")
run.log({"a": 1}, step=500)
run.log({"b": 2}, step=3)
run.log({"c": 3})
run.log({"d": 4})
run.finish()
"""
    laptop.python(code)
    expected = [{"_step": 3, "b": 2}, {"_step": 500, "a": 1, "c": 3}, {"_step": 501, "d": 4}]
    await_true(lambda: (server.run("steps") or {}).get("rows") == 4, what="four rows")
    assert [_bare(row) for row in server.rows("steps")] == expected
    shown = laptop.kiseki("export", str(laptop.run_folder("steps"))).stdout
    assert [_bare(json.loads(line)) for line in shown.splitlines()] == expected


def test_kill_at_200_rows_a_second_loses_nothing(laptop: Home, cloud: Home) -> None:
    server = cloud.server()
    laptop.uploads_to(server)
    training = laptop.train(pause=0.005, width=10)
    training.await_rows(400)
    training.kill()
    returned, run_id = training.ledger.logged, training.ledger.run_id
    found = rows_in_files(laptop.run_folder(run_id))["i"]
    assert found in (list(range(returned)), list(range(returned + 1)))
    await_true(lambda: (server.run(run_id) or {}).get("rows") == len(found), what="all rows on the server")
    await_true(lambda: (server.run(run_id) or {}).get("state") == "crashed", what="the run to be crashed")


def _bare(row: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in row.items() if key not in ("_runtime", "_timestamp")}
