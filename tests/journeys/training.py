"""A training as the journeys need it: numbered rows, and a ledger of each `log()` that has returned."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from tests.journeys.ledger import Ledger, Phase


def main() -> None:
    """Read the orders (JSON in argv[2]), train, finish; argv[1] is the ledger."""
    ledger, orders = Ledger(Path(sys.argv[1])), json.loads(sys.argv[2])
    ledger.goal = ledger.goal or orders["rows"]
    import kiseki

    ledger.phase = Phase.IMPORTED
    ledger.phase = Phase.INIT
    run = kiseki.init(project="journey", config={"orders": orders}, **orders["init"])
    ledger.run_id = run.id
    ledger.phase = Phase.LOGGING
    row: dict[str, Any] = {f"m{k}": k / 7 for k in range(orders["width"])}
    if orders["text"]:
        row["text"] = "x" * orders["text"]
    n = 0
    while n < ledger.goal:
        if n == orders["fork_at"]:
            _fork(ledger, run, orders)
        run.log({"i": n, **row})
        n += 1
        ledger.logged = n
        if orders["pause"]:
            time.sleep(orders["pause"])
    if ledger.child:
        os.waitpid(ledger.child, 0)
    ledger.phase = Phase.FINISH
    run.finish()
    ledger.phase = Phase.FINISHED


def _fork(ledger: Ledger, run: Any, orders: dict[str, Any]) -> None:
    ledger.phase = Phase.FORK
    pid = os.fork()
    if pid:
        ledger.child = pid
        ledger.phase = Phase.FORKED
        return
    for n in range(orders["child_rows"]):
        run.log({"child": n})
        ledger.child_logged = n + 1
        if orders["pause"]:
            time.sleep(orders["pause"])
    os._exit(0)


if __name__ == "__main__":
    main()
