"""Where `Api()` asks: a named server, else this user's running server, else the local store for one call."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from kiseki.client.transport import AsgiTransport, HttpTransport, Transport
from kiseki.system.credentials import find_key
from kiseki.system.owner import read_owner
from kiseki.system.paths import store_dir


class Door:
    """The way to the runs, found anew for each call: a server may start or end while an `Api` lives."""

    def __init__(self, base_url: str | None, key: str | None, timeout: float) -> None:
        """`base_url` and `key` None: as the environment says. `timeout` in seconds."""
        self._base_url = base_url or os.environ.get("KISEKI_BASE_URL") or None
        self._key = key or os.environ.get("KISEKI_API_KEY") or None
        self._timeout = timeout
        self._lock = threading.RLock()
        self._open: HttpTransport | None = None
        self._opened_for: tuple[int, str, str | None] | None = None

    @property
    def base_url(self) -> str | None:
        """Address of the server that is asked now; None where the local store is read in this process."""
        found = self._server()
        return None if found is None else found[0]

    @contextmanager
    def transport(self, *, own: bool = False) -> Iterator[Transport]:
        """Give a transport for one call; an `own` one shares its connection with no other call.

        With no server, this process owns the local store for the length of the block.
        """
        with ExitStack() as stack:
            found = self._server()
            if found is None:
                try:
                    instance = stack.enter_context(importlib.import_module("kiseki.app").embedded())
                except Exception:
                    found = self._server()  # One may have started at this moment.
                    if found is None:
                        raise
                else:
                    yield AsgiTransport(instance.asgi)
                    return
            if own:
                yield stack.enter_context(closing(HttpTransport(*found, timeout=self._timeout)))
                return
            stack.enter_context(self._lock)  # Threads may share an Api, but not a connection.
            if self._open is None or (os.getpid(), *found) != self._opened_for:
                self._open = HttpTransport(*found, timeout=self._timeout)
                self._opened_for = (os.getpid(), *found)
            yield self._open

    def _server(self) -> tuple[str, str | None] | None:
        """Base URL and key of the server to ask, None where there is none."""
        if self._base_url is not None:
            url = self._base_url.rstrip("/")
            return url, self._key or find_key(url)
        owner = read_owner(store_dir())
        return (owner.url.rstrip("/"), owner.key) if owner is not None and owner.url else None
