"""HTTP over one kept-alive connection, and the in-process way to the same application."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from kiseki.client.address import find_proxy, parse_address
from kiseki.client.http1 import Connection
from kiseki.client.transport import AsgiTransport, HttpTransport, TransportError

Script = list[bytes | None]


class ScriptedServer:
    """Answers each request on each connection with the next bytes of a script; None closes the connection."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[bytes] = []
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        while self.script:
            request = b""
            while b"\r\n\r\n" not in request:
                data = connection.recv(65536)
                if not data:
                    return
                request += data
            head, _, body = request.partition(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            )
            while len(body) < length:
                body += connection.recv(65536)
            self.requests.append(head + b"\r\n\r\n" + body)
            answer = self.script.pop(0)
            if answer is None:
                return
            connection.sendall(answer)
            if self.script and self.script[0] is None:
                self.script.pop(0)
                return


@contextmanager
def scripted(*script: bytes | None) -> Iterator[ScriptedServer]:
    server = ScriptedServer(list(script))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        thread.join(5)


def _answer(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def test_requests_share_one_connection() -> None:
    with scripted(_answer(b"one"), _answer(b"two")) as server:
        transport = HttpTransport(server.url, "secret")
        assert not transport.is_open()
        assert transport.request("POST", "/a", body=b"xyz").body == b"one"
        assert transport.is_open()
        assert transport.request("GET", "/b").body == b"two"
        assert server.connections == 1
        assert b"Authorization: Bearer secret" in server.requests[0]
        assert server.requests[0].endswith(b"\r\n\r\nxyz")
        transport.close()


def test_a_connection_that_the_server_closed_is_noticed_before_it_is_used(
    wait_until: Callable[..., Any],
) -> None:
    with scripted(_answer(b"one"), None, _answer(b"two")) as server:
        transport = HttpTransport(server.url)
        transport.request("GET", "/")
        wait_until(lambda: not transport.is_open())
        assert transport.request("GET", "/").body == b"two"
        assert server.connections == 2


def test_chunked_answers_and_answers_without_length_are_read() -> None:
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n"
    )
    bare = b"HTTP/1.1 200 OK\r\n\r\nuntil the end"
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
    with scripted(chunked, early, bare, None) as server:
        transport = HttpTransport(server.url)
        assert transport.request("GET", "/").body == b"abcde"
        assert transport.request("GET", "/").status == 204
        assert transport.request("GET", "/").body == b"until the end"
        assert not transport.is_open()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ([None], "closed the connection"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", None], "closed the connection"),
        ([b"SSH-2.0-OpenSSH\r\n\r\n"], "not HTTP/1.1"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n"], "length"),
    ],
)
def test_a_broken_answer_is_one_line_that_names_the_server(script: Script, reason: str) -> None:
    with scripted(*script) as server:
        with pytest.raises(TransportError, match=reason) as caught:
            HttpTransport(server.url).request("GET", "/")
        assert server.url in str(caught.value)


def test_nobody_there_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TransportError, match=f"cannot reach http://127.0.0.1:{port}: Connection refused"):
        HttpTransport(f"http://127.0.0.1:{port}").request("GET", "/")


def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(TransportError, match="timed out"):
            HttpTransport(url, timeout=0.1).request("GET", "/")


def test_a_base_path_and_a_proxy_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(_answer(b"direct")) as server:
        assert HttpTransport(f"{server.url}/base/").request("GET", "/x").body == b"direct"
        assert server.requests[0].startswith(b"GET /base/x HTTP/1.1")
    with scripted(_answer(b"proxied")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert HttpTransport("http://tracker.example:8000").request("GET", "/x").body == b"proxied"
        assert proxy.requests[0].startswith(b"GET http://tracker.example:8000/x HTTP/1.1")


CERTIFICATE = Path(__file__).with_name("localhost.pem")


@contextmanager
def tls_server() -> Iterator[int]:
    """Answers one request over TLS; yields its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with suppress(OSError):
            raw, _ = listener.accept()
            with raw, context.wrap_socket(raw, server_side=True) as connection:
                connection.recv(65536)
                connection.sendall(_answer(b"over TLS"))

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


@contextmanager
def tunnelling_proxy(status: str) -> Iterator[tuple[str, list[bytes]]]:
    """Answers one CONNECT with `status` and, where that is 200, carries the bytes both ways."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []

    def carry(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        client, _ = listener.accept()
        with client:
            asked.append(client.recv(65536))
            client.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())
            if status.startswith("200"):
                port = int(asked[0].split()[1].rsplit(b":")[1])
                with socket.create_connection(("127.0.0.1", port)) as server:
                    back = threading.Thread(target=carry, args=(server, client), daemon=True)
                    back.start()
                    carry(client, server)
                    back.join(5)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    listener.close()
    thread.join(5)


def test_https_trusts_what_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with tls_server() as port, pytest.raises(TransportError, match="certificate verify failed"):
        HttpTransport(f"https://localhost:{port}").request("GET", "/")
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with tls_server() as port:
        transport = HttpTransport(f"https://localhost:{port}")
        assert transport.request("GET", "/").body == b"over TLS"
        transport.close()


def test_https_through_a_proxy_is_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with tls_server() as port, tunnelling_proxy("200 OK") as (proxy, asked):
        # Loopback needs no proxy, so the tunnel is asked for by hand.
        address = parse_address(f"https://localhost:{port}")
        connection = Connection(address, parse_address(proxy), 20)
        head = connection.send("GET", "/", {}, b"")
        assert b"".join(connection.body_chunks("GET", head)) == b"over TLS"
        assert asked[0].startswith(f"CONNECT localhost:{port} HTTP/1.1".encode())
        connection.close()


def test_a_proxy_that_refuses_the_tunnel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with tunnelling_proxy("403 Forbidden") as (proxy, _):
        monkeypatch.setenv("https_proxy", proxy)
        with pytest.raises(TransportError, match="the proxy answered 403 to CONNECT"):
            HttpTransport("https://tracker.example").request("GET", "/")


@pytest.mark.parametrize("url", ["localhost:7117", "ftp://x", "http://", "http://x:port"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="server address"):
        HttpTransport(url)


@pytest.mark.parametrize(
    ("url", "exempt"),
    [
        ("http://127.0.0.1:1", True),
        ("http://localhost", True),
        ("http://a.internal", True),
        ("http://internal.example", False),
    ],
)
def test_no_proxy_is_obeyed(monkeypatch: pytest.MonkeyPatch, url: str, exempt: bool) -> None:
    monkeypatch.setenv("http_proxy", "proxy.example:3128")
    monkeypatch.setenv("no_proxy", ".internal, other")
    assert (find_proxy(parse_address(url)) is None) is exempt


def test_an_application_in_this_process_answers_within_a_running_loop() -> None:
    import asyncio

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        await send(
            {"type": "http.response.start", "status": 201, "headers": [(b"X-Path", scope["path"].encode())]}
        )
        for piece in (body, b"-", scope["query_string"]):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def inside() -> None:
        reply = AsgiTransport(app).request("POST", "/a%20b?c=d", body=b"xyz")
        assert (reply.status, reply.headers["x-path"], reply.body) == (201, "/a b", b"xyz-c=d")

    asyncio.run(inside())


def test_a_stream_from_the_process_can_be_left() -> None:
    left = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            for _ in range(10_000):
                await send({"type": "http.response.body", "body": b"x" * 100, "more_body": True})
        finally:
            left.set()

    stream = AsgiTransport(app).stream("GET", "/")
    assert next(stream.chunks) == b"x" * 100
    stream.chunks.close()  # type: ignore[attr-defined]
    assert left.is_set()


def test_an_error_inside_the_application_reaches_the_caller() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("broken")

    with pytest.raises(LookupError, match="broken"):
        AsgiTransport(app).request("GET", "/")
