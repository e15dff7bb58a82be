"""Inside an errand's process: niced, tied to the sidecar's life, its standard streams put out of reach.

A module that is run as an errand offers `main(request, say, orders) -> None`: `request` is the object that
`Errand(module, request)` was given, `say(object)` sends one line back, and `orders` yields every object that
`Errand.send` sends, until `Errand.no_more`. What it prints, and what its own children print, goes to
`sidecar.log`.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

_NICENESS: Final = 5
_LOOK_S: Final = 1.0


def main(module: str, parent: int) -> int:
    """Do the errand for the sidecar `parent`; returns the exit status."""
    os.closerange(3, 4096)
    orders_from, answers_to = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    try:
        os.nice(_NICENESS)
    except OSError:
        pass
    _end_with(parent, orders_from)
    orders = _orders(orders_from)
    try:
        importlib.import_module(module).main(next(orders), _sender(answers_to), orders)
    except BrokenPipeError:  # Nobody listens any more.
        return 1
    except Exception as error:
        sys.stderr.write(f"{module}: {type(error).__name__}: {error}\n")
        return 1
    return 0


def _sender(descriptor: int) -> Callable[[dict[str, Any]], None]:
    lock = threading.Lock()

    def say(answer: dict[str, Any]) -> None:
        line = memoryview(json.dumps(answer, default=str).encode() + b"\n")
        with lock:
            while line:
                line = line[os.write(descriptor, line) :]

    return say


def _orders(descriptor: int) -> Iterator[dict[str, Any]]:
    with open(descriptor, "rb") as lines:
        for line in lines:
            yield json.loads(line)


def _end_with(parent: int, orders_from: int) -> None:
    """End this process, and what it started, as soon as the sidecar is gone, whatever is under way."""

    def watch() -> None:
        poll = select.poll()
        poll.register(orders_from, 0)  # Only that the other end was closed.
        poll.poll()
        while os.getppid() == parent:  # Closed by `no_more`.
            time.sleep(_LOOK_S)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, name="kiseki-parent", daemon=True).start()
