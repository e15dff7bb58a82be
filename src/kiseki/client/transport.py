"""How a request reaches a server: over HTTP, or in this process through the server's ASGI application."""

from __future__ import annotations

import queue
import threading
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from kiseki.client.address import find_proxy, parse_address
from kiseki.client.http1 import Connection, HttpError

if TYPE_CHECKING:
    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Scope]]
    Send = Callable[[Scope], Awaitable[None]]
    AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class TransportError(RuntimeError):
    """No answer came: the server is unreachable, timed out, or broke off; one line that names the address."""


class Reply(NamedTuple):
    """A whole answer: status, headers (names in lower case), body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Stream(NamedTuple):
    """An answer whose body comes in chunks; the chunks must be read to their end or closed."""

    status: int
    headers: dict[str, str]
    chunks: Generator[bytes, None, None]


class Transport(Protocol):
    """One way to one server."""

    base_url: str
    """Address of the server, without a slash at its end."""
    key: str | None
    """The credential that goes with each request."""

    def stream(
        self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Stream:
        """Send a request and return as soon as status and headers are there; raises TransportError."""

    def request(
        self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a request and return its whole answer; raises TransportError."""

    def is_open(self) -> bool:
        """Return False where the next request must connect first, so may meet another state or server."""

    def close(self) -> None:
        """Give back what the transport holds; a later request opens it anew."""


class HttpTransport:
    """Requests to one base URL over one kept-alive connection; not for use by several threads at once."""

    def __init__(self, base_url: str, key: str | None = None, *, timeout: float = 30.0) -> None:
        """`timeout` in seconds for each connect, read and write; raises ValueError for a bad `base_url`."""
        address = parse_address(base_url)
        self.base_url = base_url.rstrip("/")
        self.key = key
        self._prefix = address.path
        self._connection = Connection(address, find_proxy(address), timeout)

    def stream(
        self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Stream:
        """Send a request and return as soon as status and headers are there; raises TransportError."""
        try:
            head = self._connection.send(method, self._prefix + path, _with_key(headers, self.key), body)
        except (OSError, HttpError) as error:
            raise self._unreachable(error) from error
        return Stream(head.status, head.headers, self._chunks(self._connection.body_chunks(method, head)))

    def request(
        self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a request and return its whole answer; raises TransportError."""
        return _whole(self.stream(method, path, body=body, headers=headers))

    def is_open(self) -> bool:
        """Return False where the next request must connect first, so may meet another state or server."""
        return self._connection.is_open()

    def close(self) -> None:
        """Close the connection; a later request opens another."""
        self._connection.close()

    def _chunks(self, chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
        try:
            yield from chunks
        except (OSError, HttpError) as error:
            self._connection.close()
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> TransportError:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return TransportError(f"cannot reach {self.base_url}: {reason}")


class AsgiTransport:
    """Requests answered by an ASGI application in this process, on an event loop of its own thread.

    The own thread makes it usable where the caller's thread already runs a loop (notebooks).
    """

    def __init__(self, app: AsgiApp, key: str | None = None, *, base_url: str = "http://localhost") -> None:
        """`base_url` is what the application sees as its own address."""
        self._app = app
        self._address = parse_address(base_url)
        self.base_url = base_url.rstrip("/")
        self.key = key

    def stream(
        self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Stream:
        """Send a request and return as soon as status and headers are there; raises TransportError."""
        events: queue.Queue[Scope | BaseException | None] = queue.Queue(maxsize=16)
        left = threading.Event()
        scope = self._scope(method, path, _with_key(headers, self.key))
        thread = threading.Thread(
            target=_run_app, args=(self._app, scope, body, events, left), name="kiseki-asgi", daemon=True
        )
        thread.start()
        start = _next_event(events)
        if start is None:
            raise TransportError(f"{self.base_url} ended {method} {path} without an answer")
        fields = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]}
        return Stream(start["status"], fields, _asgi_chunks(events, left, thread))

    def request(
        self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a request and return its whole answer; raises TransportError."""
        return _whole(self.stream(method, path, body=body, headers=headers))

    def is_open(self) -> bool:
        """Return True: the application is always there."""
        return True

    def close(self) -> None:
        """Nothing is held between requests."""

    def _scope(self, method: str, path: str, headers: Mapping[str, str]) -> Scope:
        from urllib.parse import unquote

        target, _, query = path.partition("?")
        raw = [(b"host", self._address.authority.encode("latin-1"))]
        raw += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https" if self._address.tls else "http",
            "path": unquote(target),
            "raw_path": target.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "root_path": "",
            "headers": raw,
            "client": ("127.0.0.1", 0),
            "server": (self._address.host, self._address.port),
        }


def _run_app(
    app: AsgiApp,
    scope: Scope,
    body: bytes,
    events: queue.Queue[Scope | BaseException | None],
    left: threading.Event,
) -> None:
    import asyncio  # Only for in-process servers: the sidecar never loads it.

    async def serve() -> None:
        sent = False

        async def receive() -> Scope:
            nonlocal sent
            if sent:
                while not left.is_set():
                    await asyncio.sleep(0.05)
                return {"type": "http.disconnect"}
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(event: Scope) -> None:
            while not left.is_set():
                try:
                    events.put_nowait(event)
                    return
                except queue.Full:
                    await asyncio.sleep(0.005)

        await app(scope, receive, send)

    last: BaseException | None = None
    try:
        asyncio.run(serve())
    except BaseException as error:
        last = error
    while not left.is_set():
        try:
            events.put(last, timeout=0.1)
            return
        except queue.Full:
            continue


def _next_event(events: queue.Queue[Scope | BaseException | None]) -> Scope | None:
    event = events.get()
    if isinstance(event, BaseException):
        raise event
    return event


def _asgi_chunks(
    events: queue.Queue[Scope | BaseException | None], left: threading.Event, thread: threading.Thread
) -> Generator[bytes, None, None]:
    try:
        while (event := _next_event(events)) is not None:
            if event.get("body"):
                yield event["body"]
    finally:
        left.set()
        thread.join()


def _with_key(headers: Mapping[str, str] | None, key: str | None) -> dict[str, str]:
    merged = dict(headers or {})
    if key is not None:
        merged.setdefault("Authorization", f"Bearer {key}")
    return merged


def _whole(stream: Stream) -> Reply:
    return Reply(stream.status, stream.headers, b"".join(stream.chunks))
