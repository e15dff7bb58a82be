"""What every endpoint works with: the store, its ingest, who may ask, and how the server was set up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kiseki.ingest import Ingest
    from kiseki.server.auth import Auth
    from kiseki.server.hub import LiveHub
    from kiseki.store import Store

DEFAULT_MAX_BODY: Final = 32 * 1024 * 1024
"""Largest request body in bytes: one frame of the largest size, its envelope, and as much again."""


MIN_MAX_BODY: Final = 64 * 1024
"""Smallest limit that leaves the API usable."""


@dataclass(frozen=True)
class ServerSettings:
    """How one server answers; none of it changes while it runs."""

    allowed_hosts: frozenset[str] = frozenset()
    """Host names (lower case, no port) that it answers to besides the loopback ones."""
    base_path: str = ""
    """Path below which a proxy shows the server: "" or "/prefix", without a slash at the end."""
    local: bool = False
    """Whether this server follows the local runs of its user."""
    in_process: bool = False
    """Whether the app is called without a socket, by the process that owns it: no host, no key."""
    own_address: bool = False
    """Whether the address that a connection came in on is a host too (a server bound beyond loopback)."""
    max_body: int = DEFAULT_MAX_BODY


@dataclass(frozen=True)
class Context:
    """The parts of one running instance that endpoints use."""

    store: Store
    ingest: Ingest
    auth: Auth
    hub: LiveHub
    settings: ServerSettings
