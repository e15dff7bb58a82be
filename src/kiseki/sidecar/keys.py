"""The keys that the sidecar and its errands have for a server."""

from __future__ import annotations

import os
from collections.abc import Callable

from kiseki.system.credentials import find_key


class Keys:
    """The keys that may be meant for a server: the environment's, and what `login` or `up` wrote since."""

    def __init__(self, base_url: str) -> None:
        """Nothing is read before it is asked for."""
        self._sources: list[Callable[[], str | None]] = [
            lambda: os.environ.get("KISEKI_API_KEY") or None,
            lambda: find_key(base_url),
        ]

    def first(self) -> str | None:
        """The first key there is."""
        return next((key for source in self._sources if (key := source())), None)

    def other(self) -> str | None:
        """The next key to try after one was refused."""
        self._sources.reverse()
        return self.first()
