"""API keys: list, create, revoke."""

from __future__ import annotations

from typing import Annotated

import msgspec
from sqlalchemy import select
from starlette.responses import Response

from kiseki.server.context import Context
from kiseki.server.endpoint import endpoint
from kiseki.server.errors import ApiError
from kiseki.store.tables import api_keys


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One API key without its text; times in unix seconds (`used` to the minute)."""

    id: int
    name: str
    created: float
    used: float | None
    revoked: float | None


class Keys(msgspec.Struct, frozen=True):
    """All API keys, oldest first."""

    keys: list[Key]


class NewKey(msgspec.Struct, frozen=True):
    """What a key is called."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class CreatedKey(msgspec.Struct, frozen=True):
    """A key's text, shown this once."""

    id: int
    key: str


class KeyPath(msgspec.Struct, frozen=True):
    """Which key."""

    id: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


@endpoint("GET", "/keys")
def list_keys(context: Context) -> Keys:
    """List the API keys, revoked ones included."""
    with context.store.read() as connection:
        rows = connection.execute(select(api_keys).order_by(api_keys.c.id)).all()
    return Keys(
        [
            Key(
                id=row.id,
                name=row.name,
                created=row.created_us / 1e6,
                used=None if row.used_us is None else row.used_us / 1e6,
                revoked=None if row.revoked_us is None else row.revoked_us / 1e6,
            )
            for row in rows
        ]
    )


@endpoint("POST", "/keys", status=201)
def create_key(context: Context, body: NewKey) -> CreatedKey:
    """Create an API key."""
    return CreatedKey(*context.auth.create_key(body.name))


@endpoint("DELETE", "/keys/{id}", status=204)
def revoke_key(context: Context, path: KeyPath) -> Response:
    """Revoke an API key at once."""
    if not context.auth.revoke_key(path.id):
        raise ApiError(404, f"there is no key {path.id} on this server; `kiseki key list` shows them")
    return Response(status_code=204)


ENDPOINTS = (list_keys, create_key, revoke_key)
