"""What misbehaves: a server that never answers, a proxy that refuses large bodies, a disk that is small."""

from __future__ import annotations

import http.client
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest


@contextmanager
def hanging_server() -> Iterator[str]:
    """The URL of a listener that takes connections and bytes and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        held: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    held.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for connection in held:
                connection.close()


class RefusingProxy(ThreadingHTTPServer):
    """Passes requests on to `target`, but answers 413 in plain HTML to larger bodies, as nginx does."""

    daemon_threads = True

    def __init__(self, target: str, largest_body: int) -> None:
        super().__init__(("127.0.0.1", 0), _Pass)
        self.target, self.largest_body = target, largest_body
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.refused = 0


class _Pass(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RefusingProxy

    def do_GET(self) -> None:
        self._pass(b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if len(body) > self.server.largest_body:
            self.server.refused += 1
            self._answer(413, "text/html", b"<html><h1>413 Request Entity Too Large</h1></html>")
            return
        self._pass(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _pass(self, body: bytes) -> None:
        target = urlsplit(self.server.target)
        connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=30)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
        connection.request(self.command, self.path, body or None, headers)
        answer = connection.getresponse()
        self._answer(answer.status, answer.headers.get("Content-Type", ""), answer.read())
        connection.close()

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def refusing_proxy(target: str, *, largest_body: int) -> Iterator[RefusingProxy]:
    """A running proxy before the server at `target`."""
    with RefusingProxy(target, largest_body) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        try:
            yield proxy
        finally:
            proxy.shutdown()


@contextmanager
def disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system in memory of so many MB, mounted on `folder`."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting a small tmpfs needs root: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
