"""The sidecar's uploads: one uploader a server, the credential of each, and how far every writer is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from kiseki.client.transport import HttpTransport, Reply, TransportError
from kiseki.client.uploader import Upload, Uploader
from kiseki.sidecar.follow import WriterFollow
from kiseki.sidecar.keys import Keys
from kiseki.sidecar.spool import Progress

BATCH_S: Final = 0.1
"""Appends to one server are this far apart, so that a busy run sends many rows in each."""

_EAGER_BYTES: Final = 64 * 1024
_TIMEOUT_S: Final = 30.0


class Server:
    """One server, the uploads to it, and when it is next worth asking."""

    def __init__(self, base_url: str) -> None:
        """Raises ValueError where `base_url` is no URL."""
        self._keys = Keys(base_url)
        self._transport = HttpTransport(base_url, self._keys.first(), timeout=_TIMEOUT_S)
        self.uploader = Uploader(self._transport, find_key=self._keys.other)
        self.uploads: list[Upload] = []
        self._sent_at = float("-inf")
        self.taken_at = time.monotonic()
        """When the server last took anything, heartbeats too."""

    def add(self, follow: WriterFollow) -> None:
        """Upload a writer's file from now on."""
        header = follow.header
        follow.upload = Upload(header.run_uid, header.writer, follow.path, live=not follow.ended)
        follow.upload.size = follow.size
        self.uploads.append(follow.upload)
        self.uploader.add(follow.upload)

    def remove(self, upload: Upload) -> None:
        """Stop uploading a writer's file."""
        if upload in self.uploads:
            self.uploads.remove(upload)
            self.uploader.remove(upload)

    def work(self, now: float) -> None:
        """Send what is due, at most one request."""
        if now < self.due():
            return
        before = [upload.offset for upload in self.uploads]
        if self.uploader.turn():
            self.taken_at = time.monotonic()
        if before != [upload.offset for upload in self.uploads]:  # Questions and heartbeats delay no rows.
            self._sent_at = now

    def due(self) -> float:
        """Return the monotonic time of the next request if nothing grows before, else infinity."""
        due = self.uploader.next_turn()
        waiting = [upload for upload in self.uploads if not upload.settled]
        many = sum(upload.size - upload.offset for upload in waiting) >= _EAGER_BYTES
        last = any(not upload.live for upload in waiting)  # `finish` waits for these.
        return due if many or last else max(due, self._sent_at + BATCH_S)

    def ready_at(self) -> float:
        """Return the monotonic time from which on a grown file leads to a request; infinity if none does."""
        if all(upload.stopped or upload.following for upload in self.uploads):
            return float("inf")
        return max(self._sent_at + BATCH_S, self.uploader.paused_until)

    def progress(self, follow: WriterFollow) -> Progress:
        """Say how far a writer's upload is."""
        upload = follow.upload
        assert upload is not None
        error = upload.error or self.uploader.error
        if upload.stopped:
            state = "stopped"
        elif upload.asked and upload.following:
            state = "following"
        elif error is not None:
            state = "waiting"
        elif follow.ended and upload.settled:
            state, error = "done", upload.damage
        else:
            state = "sending"
        return Progress(upload.offset, follow.size, state, error, upload.url)

    def get(self, path: str) -> Reply | None:
        """Answer to a GET over the connection that is open; None where there is none, or it broke."""
        if not self._transport.is_open():
            return None
        try:
            return self._transport.request("GET", path)
        except TransportError:
            return None

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


def ask(servers: Mapping[str, Server], base_url: str, path: str) -> Reply | None:
    """Answer of one of `servers` to a GET, None where it cannot be had at once."""
    server = servers.get(base_url)
    return None if server is None else server.get(path)
