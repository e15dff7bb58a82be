"""The server as a process: owns the store, says where it answers, serves until it is told to end."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import uvicorn
from sqlalchemy import func, select

from kiseki.app.embedding import own_store, store_url
from kiseki.app.errors import StoreTaken
from kiseki.app.instance import Instance, create_instance
from kiseki.app.listening import LOOPBACK, listen, local_url, outside_url, own_names
from kiseki.app.settings import normal_base_path, read_environment
from kiseki.server.auth import link_token, new_key
from kiseki.server.settings import publish_policy, recording_policy
from kiseki.store.tables import api_keys
from kiseki.system.credentials import LocalServer, announce_server, withdraw_server
from kiseki.system.owner import Owner, OwnerLock, read_owner
from kiseki.system.paths import store_dir as user_store_dir

if TYPE_CHECKING:
    from kiseki.store import Store

Announce = Callable[[str], None]

_LOCK_WAIT_S: Final = 10.0
_GRACE_S: Final = 1
"""For how many seconds requests under way may go on when the server ends."""

_KEEP_ALIVE_S: Final = 75
"""How long a silent connection stays open: above the 5 s after which a sidecar lists its live runs."""


def serve(
    store_dir: Path | None,
    *,
    host: str = "127.0.0.1",
    port: int = 7117,
    allowed_hosts: Sequence[str] = (),
    base_path: str = "",
    local_roots: bool = True,
    open_browser: bool = False,
    announce: Announce = print,
) -> None:
    """Serve the store in `store_dir` (None: the user's own) until SIGINT or SIGTERM.

    Says its lines through `announce`: the link that logs a browser in, beyond loopback a first key too;
    where the store is served already, where. Port 0 takes a free one. Raises CannotServe or StoreError,
    whose text is one line, where it cannot start.
    """
    folder = store_dir or user_store_dir()
    try:
        lock = own_store(folder, wait_s=_LOCK_WAIT_S)
    except StoreTaken as taken:
        if not taken.url:
            raise
        announce(f"Kiseki serves {folder} already: {_link_of_owner(folder, taken.url)}")
        return
    try:
        with contextlib.closing(listen(host, port)) as listener:
            _serve_on(
                listener, lock, folder, host, allowed_hosts, base_path, local_roots, open_browser, announce
            )
    finally:
        lock.release()


def _serve_on(
    listener: socket.socket,
    lock: OwnerLock,
    folder: Path,
    host: str,
    allowed_hosts: Sequence[str],
    base_path: str,
    local_roots: bool,
    open_browser: bool,
    announce: Announce,
) -> None:
    port = listener.getsockname()[1]
    inside = host in LOOPBACK
    base_path = normal_base_path(base_path or read_environment().base_path)
    key = new_key()
    instance = create_instance(
        store_url(folder),
        local_roots=local_roots,
        allowed_hosts=[*allowed_hosts, *(() if inside else own_names(host))],
        base_path=base_path,
        own_address=not inside,
        local_key=key,
    )
    if local_roots:
        publish_policy(recording_policy(instance.store))
    try:
        with _found_by_others(lock, local_url(host, port), key, instance.store.server_id):
            server = _Server(instance)
            if inside:
                link = f"{local_url(host, port)}{base_path}/?token={link_token(key)}"
            else:
                link = f"{outside_url(host, port)}{base_path}/?token={instance.auth.issue_token()}"
                _announce_first_key(instance, announce)
            announce(f"Kiseki is up: {link}" + ("" if inside else "  (opens one browser, once)"))
            if open_browser:
                _open_browser(link)
            server.run(sockets=[listener])
    finally:
        instance.close()


@contextlib.contextmanager
def _found_by_others(lock: OwnerLock, url: str, key: str, server_id: str) -> Iterator[None]:
    lock.publish(Owner(url, os.getpid(), key, server_id))
    announce_server(LocalServer(url, key, server_id, os.getpid()))
    try:
        yield
    finally:
        withdraw_server(server_id)


def _link_of_owner(folder: Path, url: str) -> str:
    owner = read_owner(folder)
    return url if owner is None or not owner.key else f"{url}/?token={link_token(owner.key)}"


def _announce_first_key(instance: Instance, announce: Announce) -> None:
    if _has_keys(instance.store):
        return
    _, key = instance.auth.create_key("first key")
    announce(f"First key, for scripts on other machines (shown once): KISEKI_API_KEY={key}")


def _has_keys(store: Store) -> bool:
    with store.read() as connection:
        return connection.execute(select(func.count()).select_from(api_keys)).scalar_one() > 0


def _open_browser(link: str) -> None:
    import webbrowser

    webbrowser.open(link)


class _Server(uvicorn.Server):
    """Uvicorn that ends open event streams first, and returns on a signal instead of raising it again."""

    def __init__(self, instance: Instance) -> None:
        super().__init__(
            uvicorn.Config(
                instance.asgi,
                lifespan="off",
                ws="none",
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_S,
                timeout_keep_alive=_KEEP_ALIVE_S,
            )
        )
        self._instance = instance

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer first, then look for local runs."""
        await super().startup(sockets)
        if self._instance.follower is not None:
            self._instance.follower.start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; the second time, at once."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then wait for the requests under way."""
        self._instance.hub.close()
        await super().shutdown(sockets)
