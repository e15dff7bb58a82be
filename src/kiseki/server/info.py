"""What anyone may know of a server: that it is one, which, and whether the asker is logged in."""

from __future__ import annotations

import msgspec

from kiseki import __version__
from kiseki.client.protocol import PROTOCOL
from kiseki.server.access import is_authenticated
from kiseki.server.context import Context
from kiseki.server.endpoint import Call, endpoint


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One server; `protocol` is the lowest and the highest version of the append protocol it speaks."""

    server_id: str
    version: str
    protocol: tuple[int, int]
    authenticated: bool
    local: bool
    """Whether it follows the local runs of its user."""
    store: str | None
    """Where it keeps what it has; null for a stranger."""


@endpoint("GET", "/server", public=True)
async def get_server(context: Context, call: Call) -> Server:
    """Say which server this is."""
    known = context.settings.in_process or await is_authenticated(context.auth, call.request)
    return Server(
        server_id=context.store.server_id,
        version=__version__,
        protocol=(PROTOCOL, PROTOCOL),
        authenticated=known,
        local=context.settings.local,
        store=str(context.store.path) if known else None,
    )


ENDPOINTS = (get_server,)
