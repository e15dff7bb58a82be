"""A thread around sources that may hang or fail, so that this costs their metrics and nothing else."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from kiseki.sidecar.log import log
from kiseki.sidecar.sampling.reading import Reading, Source, Watched

HANG_S: Final = 20.0
"""Sources that have not answered after this long are given up, until they answer after all."""


Opener = Callable[[], Source | None]
"""Makes a source, in the guard's thread; None where this machine has no such thing."""


class Guard:
    """One thread that opens and reads some sources, one request at a time."""

    def __init__(self, name: str, openers: Sequence[Opener], wake: Callable[[], None]) -> None:
        """`wake` is called, from the thread, when an answer is there."""
        self.name = name
        self.facts: dict[str, Any] | None = None
        """What the sources say of this machine; None until they are open."""
        self._openers = openers
        self._wake = wake
        self._requests: queue.SimpleQueue[Sequence[Watched]] = queue.SimpleQueue()
        self._readings: list[Reading] | None = None
        self._asked_at: float | None = None
        self._given_up = False
        self._empty = False
        self._said: set[str] = set()
        threading.Thread(target=self._run, name=f"kiseki-{name}", daemon=True).start()

    @property
    def waiting(self) -> bool:
        """Whether an answer is due that is worth waiting for."""
        return self._asked_at is not None and not self._given_up

    def ask(self, watched: Sequence[Watched], now: float) -> bool:
        """Have the sources read, opened if need be; False where there are none, or one still works.

        `now` is monotonic, in seconds.
        """
        if self._asked_at is not None or self._empty:
            return False
        self._asked_at = now
        self._requests.put(watched)
        return True

    def take(self) -> list[Reading] | None:
        """Return the answer once it is there; after that the next request may come."""
        readings, self._readings = self._readings, None
        if readings is not None:
            self._asked_at = None
            if self._given_up:
                self._given_up = False
                log(f"{self.name} metrics: they answer again")
        return readings

    def check(self, now: float) -> None:
        """Give the sources up, with one line in the log, where they hang."""
        if not self._given_up and self._asked_at is not None and now - self._asked_at > HANG_S:
            self._given_up = True
            log(f"{self.name} metrics: no answer for {HANG_S:.0f} s, left out while that lasts")

    def _run(self) -> None:
        sources: list[Source] | None = None
        while True:
            watched = self._requests.get()
            if sources is None:
                sources = self._open()
                self._empty = not sources
            self._readings = [
                reading for source in sources if (reading := self._read(source, watched)) is not None
            ]
            self._wake()
            if not sources:
                return

    def _open(self) -> list[Source]:
        sources = []
        facts: dict[str, Any] = {}
        for opener in self._openers:
            try:
                source = opener()
                if source is not None:
                    sources.append(source)
                    facts |= source.facts()
            except Exception as error:
                self._say(error)
        self.facts = facts
        return sources

    def _read(self, source: Source, watched: Sequence[Watched]) -> Reading | None:
        try:
            return source.read(watched)
        except Exception as error:
            self._say(error)
            return None

    def _say(self, error: Exception) -> None:
        line = f"{self.name} metrics: {type(error).__name__}: {error}"
        if line not in self._said and len(self._said) < 20:
            self._said.add(line)
            log(line)
