"""The errand that reads files: hashes them, copies those that never rest, and sends contents by their digest.

Orders and answers are JSON objects; each order has an `id`, which its answers repeat.

`{"do": "hash", "path", "size", "moving", "copy_to"}`: read a file; a moving one only as far as it goes now,
whatever is written meanwhile; with `copy_to`, into a copy there. Answers `{"did": "have", "bytes"}` from time
to time, and at last `{"did": "hashed", "digest", "size", "mtime_ns"}`, `{"did": "changed"}` where it changed
while it was read, `{"did": "gone"}`, or `{"did": "failed", "why"}`.

`{"do": "send", "path", "size", "digest", "to"}`: send a content to the server at `to`. Answers
`{"did": "have", "bytes"}` from time to time, `{"did": "waiting", "why"}` while the server takes nothing, and
at last `{"did": "sent"}`, `{"did": "changed"}`, `{"did": "gone"}`, `{"did": "failed", "why"}` or
`{"did": "refused", "why"}`.
"""

from __future__ import annotations

import hashlib
import os
import queue
import random
import stat
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from kiseki.client.blobs import BlobChanged, BlobRefused, upload_blob
from kiseki.client.transport import HttpTransport, TransportError
from kiseki.sidecar.keys import Keys

PARALLEL: Final = 4
"""How many files are read, and how many sent, at a time; the smallest first."""

PARALLEL_SMALL: Final = 12
"""How many small contents are sent at a time besides: the server's disk makes each wait, not the network."""

SMALL_BYTES: Final = 64 * 1024
"""Contents up to this size are small, and sent without asking first whether the server has them."""

_READ: Final = 1024 * 1024
_TIMEOUT_S: Final = 60.0
_PAUSE_MIN_S: Final = 0.5
_PAUSE_MAX_S: Final = 5.0
_PROGRESS_S: Final = 0.3
_HASHING_S: Final = 5.0

Answer = dict[str, Any]
_Say = Callable[[Answer], None]
_Order = dict[str, Any]
_Queue = queue.PriorityQueue[tuple[int, int, "_Order | None"]]
_LAST: Final = 1 << 63


def main(request: dict[str, Any], say: _Say, orders: Iterator[_Order]) -> None:
    """Do orders until there are no more; `request` is empty."""
    routes: dict[str, _Route] = {}

    def send(order: _Order, say: _Say) -> None:
        send_file(order, say, routes)

    pools = {
        "hash": _Pool(PARALLEL, hash_file, say),
        "send": _Pool(PARALLEL, send, say),
        "send small": _Pool(PARALLEL_SMALL, send, say),
    }
    for order in orders:
        kind = order["do"]
        if kind == "send":
            routes.setdefault(order["to"], _Route())
            kind = "send small" if order["size"] <= SMALL_BYTES else "send"
        pools[kind].put(order)
    for pool in pools.values():
        pool.close()


def hash_file(order: _Order, say: _Say) -> None:
    """Do one `hash` order."""
    said_at = time.monotonic()

    def on_progress(done: int) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= _HASHING_S:
            said_at = time.monotonic()
            say({"id": order["id"], "did": "have", "bytes": done})

    answer = _read(order["path"], order.get("moving", False), order.get("copy_to"), on_progress)
    say({"id": order["id"], **answer})


def send_file(order: _Order, say: _Say, routes: dict[str, _Route]) -> None:
    """Do one `send` order, however long the server is away."""
    route = routes[order["to"]]
    said_at = float("-inf")

    def on_progress(have: int) -> None:
        nonlocal said_at
        now = time.monotonic()
        if have and now - said_at >= _PROGRESS_S:
            route.took()
            said_at = now
            say({"id": order["id"], "did": "have", "bytes": have})

    keys = Keys(order["to"])
    transport = _transport(order["to"], keys)
    while True:
        route.wait()
        try:
            size = order["size"]
            ask = size > SMALL_BYTES
            upload_blob(transport, order["digest"], order["path"], size, on_progress, ask=ask)
            route.took()
            answer: Answer = {"did": "sent"}
            break
        except BlobChanged:
            answer = {"did": "changed"}
            break
        except FileNotFoundError:
            answer = {"did": "gone"}
            break
        except TransportError as error:
            why = str(error)
        except BlobRefused as error:
            why = str(error)
            if error.status == 401:
                why = f"{order['to']} does not accept the key: set KISEKI_API_KEY or run `kiseki login`"
                transport.key = keys.other() or transport.key
            elif not error.later and error.status < 500:
                answer = {"did": "refused", "why": why}
                break
        except OSError as error:
            answer = {"did": "failed", "why": _reason(order["path"], error)}
            break
        say({"id": order["id"], "did": "waiting", "why": why})
        route.pause()
    say({"id": order["id"], **answer})


class _Pool:
    """Threads that do orders of one kind, the smallest first; they are started as they are needed."""

    def __init__(self, size: int, do: Callable[[_Order, _Say], None], say: _Say) -> None:
        self._size = size
        self._do = do
        self._say = say
        self._orders: _Queue = queue.PriorityQueue()
        self._threads: list[threading.Thread] = []

    def put(self, order: _Order) -> None:
        """Have an order done."""
        self._orders.put((int(order["size"]), int(order["id"]), order))
        if len(self._threads) < self._size:
            self._threads.append(
                threading.Thread(target=_work, args=(self._orders, self._say, self._do), daemon=True)
            )
            self._threads[-1].start()

    def close(self) -> None:
        """Wait until all orders are done, and end the threads."""
        for number, _ in enumerate(self._threads):
            self._orders.put((_LAST, number, None))
        for thread in self._threads:
            thread.join()


class _Route:
    """The way to one server, which all threads leave alone for a while after it failed one of them."""

    def __init__(self) -> None:
        self._failures = 0
        self._resume_at = 0.0

    def wait(self) -> None:
        """Wait until it is worth trying."""
        while (left := self._resume_at - time.monotonic()) > 0:
            time.sleep(left)

    def pause(self) -> None:
        """Half a second, doubled with each failure up to five, spread so that clients do not meet."""
        if time.monotonic() < self._resume_at:  # Another thread met the same.
            return
        self._failures += 1
        pause = min(_PAUSE_MAX_S, _PAUSE_MIN_S * 2.0 ** min(self._failures - 1, 10))
        self._resume_at = time.monotonic() + pause * random.uniform(0.75, 1.25)

    def took(self) -> None:
        """The server answered."""
        self._failures = 0


_own = threading.local()


def _transport(base_url: str, keys: Keys) -> HttpTransport:
    """This thread's connection to a server."""
    transports: dict[str, HttpTransport] = _own.__dict__.setdefault("transports", {})
    if base_url not in transports:
        transports[base_url] = HttpTransport(base_url, keys.first(), timeout=_TIMEOUT_S)
    return transports[base_url]


def _work(orders: _Queue, say: _Say, do: Callable[[_Order, _Say], None]) -> None:
    while (order := orders.get()[2]) is not None:
        try:
            do(order, say)
        except BrokenPipeError:  # The sidecar is gone; the next one goes on.
            return
        except Exception as error:  # One bad file must not cost the others their thread.
            why = f"{order['path']}: {type(error).__name__}: {error}"
            say({"id": order["id"], "did": "failed", "why": why})


def _read(path: str, moving: bool, copy_to: str | None, on_progress: Callable[[int], None]) -> Answer:
    try:
        # A pipe that took the file's place would hold an open without O_NONBLOCK for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        return {"did": "gone"}
    except OSError as error:
        return {"did": "failed", "why": _reason(path, error)}
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            return {"did": "gone"}
        if not moving:
            digest, size = _hash(descriptor, before.st_size + 1, None, on_progress)
            if size != before.st_size or not _same(before, os.fstat(descriptor)) or not _is_at(path, before):
                return {"did": "changed"}
        elif copy_to is None:
            digest, size = _hash(descriptor, before.st_size, None, on_progress)
        else:
            os.makedirs(os.path.dirname(copy_to), exist_ok=True)
            with open(copy_to, "wb", buffering=0) as copy:
                digest, size = _hash(descriptor, before.st_size, copy.fileno(), on_progress)
        return {"did": "hashed", "digest": digest, "size": size, "mtime_ns": before.st_mtime_ns}
    except OSError as error:
        return {"did": "failed", "why": _reason(path, error)}
    finally:
        os.close(descriptor)


def _hash(
    descriptor: int, most: int, copy: int | None, on_progress: Callable[[int], None]
) -> tuple[str, int]:
    """SHA-256 and size of what is read, at most `most` bytes; written to `copy` too."""
    digest, size = hashlib.sha256(), 0
    while size < most and (data := os.read(descriptor, min(_READ, most - size))):
        digest.update(data)
        size += len(data)
        rest = memoryview(data) if copy is not None else memoryview(b"")
        while copy is not None and rest:
            rest = rest[os.write(copy, rest) :]
        on_progress(size)
    return digest.hexdigest(), size


def _same(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_size,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )


def _is_at(path: str, status: os.stat_result) -> bool:
    """Whether the file that was read is still the one that has this name."""
    try:
        found = os.stat(path)
    except OSError:
        return False
    return (found.st_ino, found.st_dev) == (status.st_ino, status.st_dev)


def _reason(path: str, error: OSError) -> str:
    return f"{path} cannot be read: {error.strerror or error}"
