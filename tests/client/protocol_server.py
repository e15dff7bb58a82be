"""A tiny server that speaks the append protocol strictly, in memory, and can be told to misbehave."""

from __future__ import annotations

import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kiseki.client.protocol import Answer, Part, Response, decode_request, encode_response
from kiseki.records.framing import split_frames
from kiseki.records.reader import read_header


class StrictServer:
    """Holds each writer's bytes; every breach of the protocol by a client is kept in `breaches`."""

    def __init__(self, server_id: str = "server-a", key: str | None = None) -> None:
        self.server_id = server_id
        self.key = key
        self.max_body = 8 * 1024 * 1024
        self.writers: dict[str, bytearray] = {}
        self.uids: dict[tuple[str, str, str], str] = {}
        self.following: set[str] = set()
        self.requests: list[list[Part]] = []
        self.breaches: list[str] = []
        self.heartbeats: dict[str, int] = {}
        self.before: Callable[[bytes], str | int | None] = lambda body: None
        """Called before a request is taken: a status to answer with, or "drop" to close without an answer."""
        self.after: Callable[[bytes], str | int | None] = lambda body: None
        """The same, called when the request has been taken: "drop" loses the answer."""
        self.lock = threading.Lock()

    def answer(self, body: bytes, key: str | None) -> bytes:
        """Take one request, return the body of its answer."""
        request = decode_request(body)
        with self.lock:
            self.requests.append(list(request.parts))
            answers = [self._take(part, part.key or key) for part in request.parts]
            return encode_response(Response(server_id=self.server_id, max_body=self.max_body, parts=answers))

    def _take(self, part: Part, key: str | None) -> Answer:
        if self.key is not None and key != self.key:
            return Answer(status=401, error="unknown key")
        if part.live:
            self.heartbeats[part.writer] = self.heartbeats.get(part.writer, 0) + 1
        if part.writer in self.following:
            if part.data:
                self.breaches.append("data for a followed writer")
            return Answer(status=200, following=True)
        have = self.writers.get(part.writer, bytearray())
        crc = zlib.crc32(have)
        if part.offset is None:
            if part.data:
                self.breaches.append("data without an offset")
            return Answer(status=200, offset=len(have), crc=crc)
        if (part.offset, part.crc) != (len(have), crc):
            return Answer(status=409, offset=len(have), crc=crc)
        if zlib.crc32(part.data, crc) != part.end_crc:
            self.breaches.append("end_crc does not fit the data")
            return Answer(status=400, error="damaged on the way")
        if not part.data:
            return Answer(status=200, offset=len(have), crc=crc)
        start = 0
        if part.offset == 0:
            header, start = read_header(part.data)
            if (
                self.uids.setdefault((header.entity, header.project, header.run_id), part.run_uid)
                != part.run_uid
            ):
                return Answer(status=409, error="exists; use resume or another id")
        if split_frames(part.data, start).end != len(part.data):
            self.breaches.append("data that is not whole frames")
            return Answer(status=400, error="not whole frames")
        self.writers[part.writer] = have + part.data
        return Answer(status=200, offset=len(have) + len(part.data), crc=part.end_crc, url="http://here/run")


def _handler(server: StrictServer, connections: set[socket.socket]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            connections.add(self.connection)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            fault = server.before(body)
            if fault is None:
                key = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
                answer = server.answer(body, key)
                fault = server.after(body)
            if fault == "drop":
                self.close_connection = True
                return
            status = fault if isinstance(fault, int) else 200
            payload = b"" if status != 200 else answer
            self.send_response(status)
            self.send_header("Content-Type", "application/x-msgpack")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def serve(server: StrictServer, port: int = 0) -> Iterator[str]:
    """Serve until the block ends; yields the base URL. A port of 0 takes a free one."""
    connections: set[socket.socket] = set()
    http = _Http(("127.0.0.1", port), _handler(server, connections))
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}"
    finally:
        http.shutdown()
        http.server_close()
        for connection in connections:  # As a process that ends would.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        thread.join()
