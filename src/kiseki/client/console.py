"""The console of a run as the public API gives it: its lines, all of them or as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from kiseki.records.console import ConsoleView
from kiseki.records.sgr import without_styles
from kiseki.records.terminal import NOTE, STDERR, STDOUT, Line

if TYPE_CHECKING:
    from kiseki.client.api import Api

PAGE_LINES: Final = 5000
"""Lines that are asked for at once."""

_STREAMS: Final = {"stdout": STDOUT, "stderr": STDERR, "note": NOTE}
_PAUSE_S: Final = 0.5
_PAUSE_WITHOUT_SERVER_S: Final = 1.0


class RunConsole:
    """The console of one lane of a run; `path` is its entity, project and id."""

    def __init__(self, api: Api, path: Sequence[str], lane: int = 0) -> None:
        self._api = api
        self._address = "/".join(["/api/v1/runs", *(quote(part, safe="") for part in path), "console"])
        self._lane = lane

    @property
    def pause(self) -> float:
        """Seconds between two looks at a run that goes on."""
        return _PAUSE_WITHOUT_SERVER_S if self._api.base_url is None else _PAUSE_S

    def view(self, first: int, limit: int = PAGE_LINES) -> ConsoleView:
        """Up to `limit` lines from number `first` on; negative: counted from the end."""
        query = urlencode({"lane": self._lane, "from": first, "limit": limit})
        page = self._api.request("GET", f"{self._address}?{query}")
        lines = [
            (one["n"], Line(round(one["time"] * 1e6), _STREAMS[one["stream"]], one["text"]))
            for one in page["lines"]
        ]
        return ConsoleView(page["total"], page["stable"], page["cursor"], page["live"], lines)

    def texts(self, *, ansi: bool) -> Iterator[str]:
        """The text of every line as it is now, in one request; colours kept where `ansi`."""
        query = urlencode({"lane": self._lane, "ansi": str(ansi).lower()})
        for line in self._api.stream_lines(f"{self._address}/text?{query}"):
            yield line.decode("utf-8", "replace")

    def lines(self, first: int = 0) -> Iterator[tuple[int, Line]]:
        """Every line from number `first` on, as it is now; negative: counted from the end."""
        view = self.view(first)
        # A page of long lines that is counted from the end lacks its beginning.
        start = max(view.total + first, 0) if first < 0 else first
        total = view.total
        if view.lines and view.lines[0][0] > start:
            view = self.view(start)
        while view.lines:
            yield from view.lines
            start = view.lines[-1][0] + 1
            if start >= total:
                return
            view = self.view(start)


def follow_lines(
    view: Callable[[int], ConsoleView], first: int, pause: Callable[[], None]
) -> Iterator[tuple[int, Line]]:
    """Yield lines from number `first` on, each once: when what is written stands behind it, or it all ended.

    `pause` is called between two looks that brought nothing.
    """
    while True:
        seen = view(first)
        ready = [(n, line) for n, line in seen.lines if n >= first and (n < seen.cursor or not seen.live)]
        yield from ready
        if ready:
            first = ready[-1][0] + 1
        elif not seen.live:
            return
        else:
            pause()


def console_texts(console: RunConsole, *, ansi: bool, follow: bool) -> Iterator[str]:
    """The texts of a run's lines, with their colours where `ansi`."""
    if not follow:
        yield from console.texts(ansi=ansi)
        return
    for _, line in follow_lines(console.view, 0, lambda: time.sleep(console.pause)):
        yield line.text if ansi else without_styles(line.text)
