"""One running instance: a store, its ingest, the follower of local runs, and the ASGI app over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kiseki.app.settings import normal_base_path, read_environment
from kiseki.ingest import Ingest
from kiseki.server.application import create_app
from kiseki.server.auth import Auth
from kiseki.server.context import Context, ServerSettings
from kiseki.server.guard import host_name
from kiseki.server.hub import LiveHub, RunAt
from kiseki.store import Store, open_store
from kiseki.system.paths import local_roots as find_local_roots

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from kiseki.ingest import Change, LocalFollower


class Instance:
    """Everything that one process needs to answer; made by `create_instance`, ended by `close`."""

    def __init__(
        self,
        store: Store,
        ingest: Ingest,
        follower: LocalFollower | None,
        context: Context,
    ) -> None:
        self.store = store
        self.ingest = ingest
        self.follower = follower
        self.auth = context.auth
        self.hub = context.hub
        self.asgi: ASGIApp = create_app(context)
        self._closed = False

    def close(self) -> None:
        """End streams, stop following, write what is under way, and close the store. Twice is once."""
        if self._closed:
            return
        self._closed = True
        self.hub.close()
        if self.follower is not None:
            self.follower.close()
        self.ingest.close()
        self.store.close()


def create_instance(
    store_url: str,
    *,
    local_roots: bool,
    allowed_hosts: Sequence[str] = (),
    base_path: str = "",
    own_address: bool = False,
    in_process: bool = False,
    local_key: str | None = None,
) -> Instance:
    """Open the store at `store_url` and put an instance over it.

    `local_roots`: show the runs under this user's recorded folders too. `own_address`: answer to the
    address that a connection came in on (a server bound beyond loopback). `in_process`: the app is called
    without a socket, by its owner, and asks for no key. `local_key`: a key that is accepted as long as
    the instance lives. The caller holds the owner's lock of the store. Raises StoreError, CannotServe.
    """
    environment = read_environment()
    settings = ServerSettings(
        allowed_hosts=frozenset(host_name(host) for host in (*allowed_hosts, *environment.allowed_hosts)),
        base_path=normal_base_path(base_path or environment.base_path),
        local=local_roots,
        in_process=in_process,
        own_address=own_address,
        max_body=environment.max_body,
    )
    store = open_store(store_url)
    try:
        ingest = Ingest(store)
        hub = LiveHub()
        ingest.subscribe(lambda change: hub.publish(_run_at(change)))
        follower = _follow(ingest) if local_roots else None
    except BaseException:
        store.close()
        raise
    auth = Auth(store, local_key)
    context = Context(store=store, ingest=ingest, auth=auth, hub=hub, settings=settings)
    return Instance(store, ingest, follower, context)


def _follow(ingest: Ingest) -> LocalFollower:
    from kiseki.ingest import LocalFollower

    return LocalFollower(ingest, find_local_roots)


def _run_at(change: Change) -> RunAt:
    return RunAt(change.entity, change.project, change.run_id, change.at)
