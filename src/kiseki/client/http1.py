"""A small HTTP/1.1 client over one kept-alive socket (RFC 9112), because http.client always loads OpenSSL."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from kiseki.client.address import Address

if TYPE_CHECKING:
    import ssl

_READ: Final = 64 * 1024
_MAX_HEAD: Final = 64 * 1024
_CONNECT_S: Final = 10.0


class HttpError(Exception):
    """The peer speaks no HTTP/1.1 that this client understands, or broke off in the middle of an answer."""


class Head(NamedTuple):
    """Status and headers (names in lower case) of an answer."""

    status: int
    headers: dict[str, str]


class Connection:
    """One socket to one server, kept alive between requests; opened by the first request."""

    def __init__(self, address: Address, proxy: Address | None, timeout: float) -> None:
        """`proxy` None connects directly; `timeout` in seconds bounds each connect, read and write."""
        self._address = address
        self._proxy = proxy
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._buffer = b""
        self._tls: ssl.SSLContext | None = None

    def is_open(self) -> bool:
        """Return True where a request would travel on a socket that the server has not closed meanwhile."""
        if self._socket is None:
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | select.POLLHUP | select.POLLERR)
        if self._buffer or poll.poll(0):  # Unasked bytes or an end: either way not to be used again.
            self.close()
            return False
        return True

    def close(self) -> None:
        """Close the socket; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._buffer = b""

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Head:
        """Send one request and return the head of its answer; `body_chunks` must then be read to its end.

        Raises OSError (unreachable, timed out, TLS refused) or HttpError; the socket is closed then.
        """
        try:
            if not self.is_open():
                self._open()
            assert self._socket is not None
            if self._proxy is not None and not self._address.tls:
                target = f"{self._address.origin}{target}"
            lines = [f"{method} {target} HTTP/1.1", f"Host: {self._address.authority}"]
            lines += [f"{name}: {_clean(value)}" for name, value in headers.items()]
            lines.append(f"Content-Length: {len(body)}")
            head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
            if len(body) <= _READ:
                self._socket.sendall(head + body)
            else:
                self._send_large(head, body)
            return self._read_head()
        except BaseException:
            self.close()
            raise

    def body_chunks(self, method: str, head: Head) -> Iterator[bytes]:
        """Yield the answer's body; closes the socket where the answer says so or the reading is given up."""
        whole = False
        try:
            if method == "HEAD" or head.status in (204, 304):
                pass
            elif head.headers.get("transfer-encoding", "").lower().endswith("chunked"):
                yield from self._chunked()
            elif "content-length" in head.headers:
                yield from self._counted(_number(head.headers["content-length"], 10))
            else:
                yield from self._until_closed()
                return
            whole = head.headers.get("connection", "").lower() != "close"
        finally:
            if not whole:
                self.close()

    def _send_large(self, head: bytes, body: bytes) -> None:
        """Send a body that a server may refuse by its head, without losing that refusal to a reset."""
        assert self._socket is not None
        try:
            self._socket.sendall(head)
            view = memoryview(body)
            for start in range(0, len(view), _READ):
                self._socket.sendall(view[start : start + _READ])
        except (BrokenPipeError, ConnectionResetError):
            if not select.select([self._socket], [], [], 0)[0]:
                raise

    def _open(self) -> None:
        peer = self._proxy or self._address
        raw = socket.create_connection((peer.host, peer.port), min(self._timeout, _CONNECT_S))
        try:
            raw.settimeout(self._timeout)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._socket = raw
            if self._address.tls:
                if self._proxy is not None:
                    self._tunnel(raw)
                self._socket = self._wrap_tls(raw)
        except BaseException:
            raw.close()
            raise

    def _tunnel(self, raw: socket.socket) -> None:
        target = f"{self._address.bracketed}:{self._address.port}"
        raw.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode("latin-1"))
        head = self._read_head()
        if head.status != 200:
            raise HttpError(f"the proxy answered {head.status} to CONNECT {target}")

    def _wrap_tls(self, raw: socket.socket) -> socket.socket:
        import ssl  # Loads OpenSSL: 6 MB that a sidecar of an http address never pays.

        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls.wrap_socket(raw, server_hostname=self._address.host)

    def _read_head(self) -> Head:
        while True:
            while b"\r\n\r\n" not in self._buffer:
                if len(self._buffer) > _MAX_HEAD:
                    raise HttpError("the answer's header is longer than 64 kB")
                self._fill()
            block, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            first, *rest = block.decode("latin-1").split("\r\n")
            words = first.split(" ", 2)
            if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdecimal():
                raise HttpError(f"the answer begins with {first[:60]!r}, which is not HTTP/1.1")
            status = int(words[1])
            if status >= 200:
                pairs = (line.partition(":") for line in rest)
                return Head(status, {name.strip().lower(): value.strip() for name, _, value in pairs})

    def _fill(self) -> None:
        assert self._socket is not None
        data = self._socket.recv(_READ)
        if not data:
            raise HttpError("the server closed the connection before its answer was complete")
        self._buffer += data

    def _counted(self, left: int) -> Iterator[bytes]:
        while left:
            if not self._buffer:
                self._fill()
            chunk, self._buffer = self._buffer[:left], self._buffer[left:]
            left -= len(chunk)
            yield chunk

    def _chunked(self) -> Iterator[bytes]:
        while size := _number(self._line().split(";", 1)[0], 16):
            yield from self._counted(size)
            self._line()
        while self._line():  # Trailers, up to the empty line.
            pass

    def _line(self) -> str:
        while b"\r\n" not in self._buffer:
            if len(self._buffer) > _MAX_HEAD:
                raise HttpError("a line of the chunked answer is longer than 64 kB")
            self._fill()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line.decode("latin-1").strip()

    def _until_closed(self) -> Iterator[bytes]:
        assert self._socket is not None
        if self._buffer:
            yield self._buffer
            self._buffer = b""
        while data := self._socket.recv(_READ):
            yield data


def _clean(value: str) -> str:
    if "\r" in value or "\n" in value:
        raise HttpError("a header value may not contain a line break")
    return value


def _number(text: str, base: int) -> int:
    try:
        return int(text.strip(), base)
    except ValueError:
        raise HttpError(f"the answer gives its length as {text[:40]!r}") from None
