"""The sidecar's end of the file worker: one child process for all runs, started anew if it dies."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from kiseki.sidecar.errand import Errand
from kiseki.sidecar.log import log

MODULE: Final = "kiseki.sidecar.file_worker"

IDLE_S: Final = 10.0
"""The worker ends after this long without an order."""

_PAUSE_MIN_S: Final = 0.5
_PAUSE_MAX_S: Final = 60.0
_FINAL: Final = frozenset({"hashed", "sent", "changed", "gone", "failed", "refused"})

Message: TypeAlias = dict[str, Any]
Take: TypeAlias = Callable[[Message, Message], None]
"""Is called with an order and each answer to it."""


class FileWork:
    """Hands orders to the worker and its answers back; an order outlives the worker that had it."""

    def __init__(self) -> None:
        """No process is started before the first order."""
        self._errand: Errand | None = None
        self._orders: dict[int, tuple[Message, Take]] = {}
        self._last_id = 0
        self._busy_at = 0.0
        self._deaths = 0
        self._start_at = 0.0
        self._resting = False

    def order(self, order: Message, take: Take) -> None:
        """Have the worker do `order`; `take` is called from `work`, the last time with the final answer."""
        self._last_id += 1
        order = {**order, "id": self._last_id}
        self._orders[self._last_id] = (order, take)
        self._busy_at = time.monotonic()
        if self._errand is not None:
            self._errand.send(order)

    def prepare(self, now: float) -> None:
        """Have a worker ready for orders that come soon: the end of a short training waits for its start."""
        if self._errand is None and now >= self._start_at:
            self._busy_at = now
            self._start(now)

    def forget(self, take: Take) -> None:
        """Call `take` no more; what the worker does of it is done in vain."""
        for number in [number for number, (_, whose) in self._orders.items() if whose == take]:
            del self._orders[number]

    def work(self, now: float) -> None:
        """Hand out answers; see that a worker is there while there are orders, and for a while after."""
        if self._errand is not None:
            for answer in self._errand.lines():
                self._hand_out(answer)
            if self._errand.finished:
                self._note_end(self._errand.status, now)
        if self._errand is None and self._orders and now >= self._start_at:
            self._start(now)
        elif not self._orders and now - self._busy_at >= IDLE_S:
            self.rest()

    def due(self) -> float:
        """Return the monotonic time at which there is something to do if the worker says nothing before."""
        if self._errand is None:
            return self._start_at if self._orders else float("inf")
        return float("inf") if self._orders or self._resting else self._busy_at + IDLE_S

    def register(self, poll: select.poll) -> None:
        """Let `poll` return when the worker has said something."""
        if self._errand is not None:
            self._errand.register(poll)

    @property
    def pid(self) -> int | None:
        """The worker's process, None while there is none."""
        return None if self._errand is None else self._errand.pid

    def rest(self) -> None:
        """Let the worker end: nobody has orders any more. One that comes late has the next worker do it."""
        if self._errand is not None:
            self._resting = True
            self._errand.no_more()

    def _hand_out(self, answer: Message) -> None:
        number = answer["id"]
        if number not in self._orders:
            return
        order, take = self._orders[number]
        self._deaths = 0
        if answer["did"] in _FINAL:
            del self._orders[number]
            self._busy_at = time.monotonic()
        take(order, answer)

    def _start(self, now: float) -> None:
        try:
            self._errand = Errand(MODULE, {})
        except OSError as error:
            log(f"files wait: no process for them can be started: {error}")
            self._pause(now)
            return
        for order, _ in self._orders.values():
            self._errand.send(order)

    def _note_end(self, status: int | None, now: float) -> None:
        self._errand = None
        resting, self._resting = self._resting, False
        if self._orders and not resting:
            log(f"{MODULE} ended with {status}; the next one goes on")
            self._pause(now)

    def _pause(self, now: float) -> None:
        """Half a second, doubled while one worker after the other dies without an answer."""
        self._start_at = now + min(_PAUSE_MAX_S, _PAUSE_MIN_S * 2.0 ** min(self._deaths, 10))
        self._deaths += 1
