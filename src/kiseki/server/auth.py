"""Who may ask: API keys, browser sessions, links with a token, and this user's own key."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
import threading
import time
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, delete, insert, select, update

from kiseki.store.errors import StoreError
from kiseki.store.tables import api_keys, sessions

if TYPE_CHECKING:
    from kiseki.store import Store

SESSION_S: Final = 30 * 86_400
"""How long a browser's cookie holds, in seconds."""

_CACHE_S: Final = 5.0
_USED_EVERY_S: Final = 60.0


class Auth:
    """The credentials that one server accepts; every method but `issue_token` may read or write the store.

    Only digests (SHA-256) of keys and session tokens are stored. `local_key` is this user's own, which
    lies in a file that only the user can read, and is accepted as long as this process lives.
    """

    def __init__(self, store: Store, local_key: str | None = None) -> None:
        self._store = store
        self._local_digest = _digest(local_key) if local_key else None
        self._lock = threading.Lock()
        self._accepted: dict[str, float] = {}
        self._used: dict[str, float] = {}
        self._link_digest = _digest(link_token(local_key)) if local_key else None
        self._tokens: set[str] = set()

    @property
    def cookie_name(self) -> str:
        """The cookie of this server: named after its id, for ports of one host share their cookies."""
        return f"kiseki_{self._store.server_id}"

    def remembers(self, secret: str) -> bool:
        """Whether a key or session was accepted a moment ago; never touches the store."""
        digest = _digest(secret)
        with self._lock:
            return digest == self._local_digest or self._accepted.get(digest, 0.0) > time.monotonic()

    def accepts_key(self, key: str) -> bool:
        """Whether `key` is an API key of this server that is not revoked, or the user's own."""
        digest = _digest(key)
        if self._local_digest is not None and hmac.compare_digest(digest, self._local_digest):
            return True
        if self.remembers(key):
            return True
        query = select(api_keys.c.id).where(api_keys.c.digest == digest, api_keys.c.revoked_us.is_(None))
        with self._store.read() as connection:
            known = connection.execute(query).first() is not None
        if known:
            self._accept(digest)
            self._note_use(digest)
        return known

    def accepts_session(self, token: str) -> bool:
        """Whether `token` is the cookie of a session that has not expired."""
        if self.remembers(token):
            return True
        digest = _digest(token)
        query = select(sessions.c.digest).where(
            sessions.c.digest == digest, sessions.c.expires_us > _now_us()
        )
        with self._store.read() as connection:
            known = connection.execute(query).first() is not None
        if known:
            self._accept(digest)
        return known

    def open_session(self) -> str:
        """Begin a session and return its cookie's value."""
        token, now = secrets.token_urlsafe(32), _now_us()

        def write(connection: Connection) -> None:
            connection.execute(delete(sessions).where(sessions.c.expires_us <= now))
            connection.execute(
                insert(sessions).values(
                    digest=_digest(token), created_us=now, expires_us=now + SESSION_S * 1_000_000
                )
            )

        self._store.write(write).result()
        return token

    def close_session(self, token: str) -> None:
        """End a session; an unknown one is no error."""
        digest = _digest(token)
        self._store.write(lambda c: c.execute(delete(sessions).where(sessions.c.digest == digest))).result()
        self._forget_accepted()

    def create_key(self, name: str) -> tuple[int, str]:
        """Make an API key and return its id and its text, which nobody can read again."""
        key = new_key()
        row = insert(api_keys).values(name=name, digest=_digest(key), created_us=_now_us())

        def write(connection: Connection) -> int:
            return int(connection.execute(row.returning(api_keys.c.id)).scalar_one())

        return self._store.write(write).result(), key

    def revoke_key(self, key_id: int) -> bool:
        """Make an API key worthless from now on; False where there is none with this id."""
        change = (
            update(api_keys)
            .where(api_keys.c.id == key_id, api_keys.c.revoked_us.is_(None))
            .values(revoked_us=_now_us())
        )

        def write(connection: Connection) -> bool:
            connection.execute(change)
            return (
                connection.execute(select(api_keys.c.id).where(api_keys.c.id == key_id)).first() is not None
            )

        known = self._store.write(write).result()
        self._forget_accepted()
        return known

    def issue_token(self) -> str:
        """Return a token for a link that opens one session, once, as long as this process lives."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._tokens.add(_digest(token))
        return token

    def redeem_token(self, token: str) -> bool:
        """Whether a link's token opens a session now: an issued one does so once, this user's own always."""
        digest = _digest(token)
        with self._lock:
            if digest in self._tokens:
                self._tokens.remove(digest)
                return True
        return self._link_digest is not None and hmac.compare_digest(digest, self._link_digest)

    def _accept(self, digest: str) -> None:
        with self._lock:
            if len(self._accepted) > 10_000:
                self._accepted.clear()
            self._accepted[digest] = time.monotonic() + _CACHE_S

    def _forget_accepted(self) -> None:
        with self._lock:
            self._accepted.clear()

    def _note_use(self, digest: str) -> None:
        now = time.monotonic()
        with self._lock:
            if self._used.get(digest, -_USED_EVERY_S) + _USED_EVERY_S > now:
                return
            self._used[digest] = now
        change = update(api_keys).where(api_keys.c.digest == digest).values(used_us=_now_us())
        # Worth a line in a list of keys, not a refused request.
        with contextlib.suppress(StoreError):
            self._store.write(lambda connection: connection.execute(change))


def new_key() -> str:
    """Return a new random API key."""
    return "kk_" + secrets.token_hex(20)


def link_token(local_key: str) -> str:
    """Return the token of the link that this user's browsers log in with, made from their own key."""
    return _digest(f"link {local_key}")[:40]


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _now_us() -> int:
    return time.time_ns() // 1000
