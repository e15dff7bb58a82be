"""The append protocol's client: brings writers' files to one server, whatever happens on the way."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from kiseki.client import protocol
from kiseki.client.protocol import Answer, Part, Response
from kiseki.client.source import FrameSource
from kiseki.client.transport import Reply, Transport, TransportError
from kiseki.records.framing import PRELUDE_BYTES, split_frames

HEARTBEAT_S: Final = 5.0
"""A live writer is listed to the server at least this often."""

_TURN_BYTES: Final = 256 * 1024
_REQUEST_BYTES: Final = 4 * 1024 * 1024
_REQUEST_PARTS: Final = 512
_ENVELOPE: Final = 512
_MIN_LIMIT: Final = 4 * 1024
_PAUSE_MIN_S: Final = 0.5
_PAUSE_MAX_S: Final = 5.0
_OVERSIZE_PAUSE_S: Final = 60.0
_GROW_AFTER_S: Final = 60.0
_MALFORMED_TRIES: Final = 2


class Upload:
    """One writer on its way to the server; `Uploader` moves it, others read it."""

    def __init__(self, run_uid: str, writer: str, path: Path, *, live: bool, key: str | None = None) -> None:
        self.run_uid = run_uid
        self.writer = writer
        self.source = FrameSource(path)
        self.key = key
        self.live = live
        """Whether the writer's process is known to live; sent with every part."""
        self.size = 0
        """Bytes in the file when its owner last looked; beyond `offset` there may be something to send."""
        self.offset = 0
        """Bytes that the server has."""
        self.crc = 0
        self.asked = False
        """Whether the server has said on this connection what it has."""
        self.following = False
        """The server reads the file itself."""
        self.stopped = False
        """Nothing more will be sent; `error` says why."""
        self.error: str | None = None
        self.damage: str | None = None
        """Where the file is torn or damaged; pending while its writer lives."""
        self.url: str | None = None
        self.server_id: str | None = None
        self.resume_at = 0.0
        self.contact_at = float("-inf")
        self.failures = 0
        self.pending_at = (-1, -1)

    @property
    def settled(self) -> bool:
        """Whether there is nothing left to do for the bytes that lie in the file now."""
        if self.stopped or (self.asked and self.following):
            return True
        return self.asked and (self.offset >= self.size or self.pending_at == (self.offset, self.size))


class Uploader:
    """The uploads to one server: which parts go next, and what an answer means for each of them."""

    def __init__(
        self,
        transport: Transport,
        *,
        find_key: Callable[[], str | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`find_key` is asked again after a 401: a later `kiseki login` takes effect by itself."""
        self._transport = transport
        self._find_key = find_key
        self._clock = clock
        self._uploads: list[Upload] = []
        self._limit = protocol.DEFAULT_MAX_BODY
        self._may_grow_at = float("-inf")
        self._resume_at = 0.0
        self._failures = 0
        self.error: str | None = None
        """Why the server cannot be used at this moment; None where its last answer was good."""
        self.unauthorized: str | None = None
        """Why the server took no key at its last answer, None where it did."""

    @property
    def failures(self) -> int:
        """Requests in a row that got no usable answer."""
        return self._failures

    @property
    def paused_until(self) -> float:
        """The clock's time before which no request is sent, since the last one failed."""
        return self._resume_at

    def add(self, upload: Upload) -> None:
        """Take an upload; its first part asks the server what it has."""
        self._uploads.append(upload)

    def remove(self, upload: Upload) -> None:
        """Forget an upload."""
        self._uploads.remove(upload)

    def turn(self) -> bool:
        """Send one request if one is due and take its answer; True where the server took a part."""
        now = self._clock()
        parts = self.compose(now)
        if not parts:
            return False
        body = protocol.encode_request([part for _, part in parts])
        headers = {"Content-Type": protocol.MSGPACK, "Accept": protocol.MSGPACK}
        try:
            reply = self._transport.request("POST", protocol.APPEND_PATH, body=body, headers=headers)
        except TransportError as error:
            self._pause(str(error))
            return False
        return self._take_reply(parts, len(body), reply)

    def next_turn(self) -> float:
        """Return the clock's time at which `turn` has something to do if no file grows before."""
        due = float("inf")
        for upload in self._uploads:
            if upload.stopped:
                continue
            if upload.asked and upload.settled:
                at = upload.contact_at + HEARTBEAT_S if upload.live else float("inf")
            else:
                at = upload.resume_at
            due = min(due, max(at, upload.resume_at))
        return max(due, self._resume_at)

    def compose(self, now: float) -> list[tuple[Upload, Part]]:
        """Return the parts of the request that is due at `now`, none where none is."""
        if now < self._resume_at:
            return []
        if not self._transport.is_open():
            for upload in self._uploads:
                upload.asked = False
        parts: list[tuple[Upload, Part]] = []
        room = min(self._limit, _REQUEST_BYTES) - _ENVELOPE
        for upload in list(self._uploads):
            if upload.stopped or now < upload.resume_at:
                continue
            if parts and room < _ENVELOPE:
                break
            part = _next_part(upload, now, min(room, _TURN_BYTES))
            if part is None:
                continue
            cost = len(part.data) + _ENVELOPE
            if parts and (cost > room or len(parts) == _REQUEST_PARTS):
                break
            parts.append((upload, part))
            room -= cost
        self._take_turns(parts)
        return parts

    def settle(self, parts: Sequence[tuple[Upload, Part]], response: Response) -> bool:
        """Apply a server's answers to the parts they answer; True where one was taken."""
        now = self._clock()
        taken = False
        for (upload, part), answer in zip(parts, response.parts, strict=True):
            if upload.server_id is None:
                upload.server_id = response.server_id
            if upload.server_id != response.server_id:
                where = self._transport.base_url
                _stop(upload, f"another server answers at {where} now; {_sync_line(upload)}")
                continue
            taken |= self._settle_part(upload, part, answer, now)
        return taken

    def _take_turns(self, parts: Sequence[tuple[Upload, Part]]) -> None:
        served = {id(upload) for upload, _ in parts}
        self._uploads.sort(key=lambda upload: id(upload) in served)

    def _take_reply(self, parts: Sequence[tuple[Upload, Part]], body_size: int, reply: Reply) -> bool:
        where = self._transport.base_url
        if reply.status == protocol.TAKEN:
            try:
                response = protocol.decode_response(reply.body)
            except msgspec.DecodeError:
                self._pause(f"{where} does not answer like a Kiseki server; check the address")
                return False
            low, high = response.protocol
            if not low <= protocol.PROTOCOL <= high or len(response.parts) != len(parts):
                ours = protocol.PROTOCOL
                self._pause(f"{where} speaks append protocol {low}-{high}, we speak {ours}: update the older")
                return False
            self._failures, self.error, self.unauthorized = 0, None, None
            self._follow_stated(max(response.max_body, _MIN_LIMIT))
            return self.settle(parts, response)
        if reply.status == protocol.TOO_LARGE:
            for upload, part in parts:
                self._shrink(upload, part, body_size, alone=len(parts) == 1)
            return False
        if reply.status == protocol.UNAUTHORIZED:
            self._refuse_key(_key_line(where))
        self._pause(_refusal(where, reply), reply.headers.get("retry-after", ""))
        return False

    def _settle_part(self, upload: Upload, part: Part, answer: Answer, now: float) -> bool:
        if answer.url is not None:
            upload.url = answer.url if "://" in answer.url else f"{self._transport.base_url}{answer.url}"
        if answer.status == protocol.TAKEN:
            upload.contact_at = now
            upload.following = answer.following
            upload.asked = True
            upload.failures, upload.error = 0, None
            if not answer.following:
                self._believe(upload, part, answer)
            return True
        if answer.status == protocol.CONFLICT and answer.error is None:
            upload.contact_at = now
            upload.asked = True
            before = upload.offset, upload.crc
            self._believe(upload, part, answer)
            if before == (upload.offset, upload.crc):  # Agreed, and yet refused: do not spin.
                self._pause_upload(upload, now, "the server refuses bytes that follow on those it has")
        elif answer.status == protocol.TOO_LARGE:
            self._shrink(upload, part, len(part.data), alone=True)
        elif answer.status == protocol.UNAUTHORIZED:
            self._refuse_key(answer.error or _key_line(self._transport.base_url))
            self._pause_upload(upload, now, self.unauthorized or "")
        elif answer.status in protocol.WAITING_STATUSES:
            self._pause_upload(upload, now, answer.error or f"the server is busy or full ({answer.status})")
        elif answer.status == protocol.MALFORMED and upload.failures < _MALFORMED_TRIES:
            self._pause_upload(upload, now, answer.error or "the server cannot read what was sent")
        else:
            reason = answer.error or f"the server answered {answer.status}"
            _stop(upload, f"{self._transport.base_url} refuses this run: {reason}")
        return False

    def _believe(self, upload: Upload, part: Part, answer: Answer) -> None:
        """Go on from where the server is, if it has the beginning of this very file."""
        there = (answer.offset, answer.crc)
        sent = (part.offset + len(part.data), part.end_crc) if part.data and part.offset is not None else None
        if there in ((upload.offset, upload.crc), sent):
            upload.offset, upload.crc = there
            return
        try:
            crc = upload.source.crc(answer.offset)
        except OSError as error:
            _stop(upload, f"cannot read {upload.source.path}: {error.strerror}")
            return
        if crc == answer.crc:
            upload.offset, upload.crc = answer.offset, answer.crc
            upload.pending_at = (-1, -1)
        elif crc is None:
            _stop(upload, f"the server has {answer.offset} bytes, more than {upload.source.path}")
        else:
            _stop(upload, f"the server's {answer.offset} bytes are not the beginning of {upload.source.path}")

    def _shrink(self, upload: Upload, part: Part, sent: int, *, alone: bool) -> None:
        start = PRELUDE_BYTES if part.offset == 0 else 0
        if alone and part.data and len(split_frames(part.data, start, verify=False).spans) <= 1:
            upload.resume_at = self._clock() + _OVERSIZE_PAUSE_S
            where = f"byte {part.offset} of {upload.source.path}"
            upload.error = f"the record at {where} has {len(part.data)} bytes, more than the server takes"
            return
        if self._limit <= _MIN_LIMIT or not part.data:
            self._pause_upload(upload, self._clock(), f"the server takes no request of {sent} bytes")
        self._limit = max(_MIN_LIMIT, min(self._limit, sent // 2))
        self._may_grow_at = self._clock() + _GROW_AFTER_S

    def _follow_stated(self, stated: int) -> None:
        """Keep to what the server says it takes, after a 413 again step by step: a proxy may take less."""
        if self._limit < stated and self._clock() >= self._may_grow_at:
            self._limit *= 2
        self._limit = min(self._limit, stated)

    def _refuse_key(self, why: str) -> None:
        self.unauthorized = why
        if self._find_key is not None:
            self._transport.key = self._find_key() or self._transport.key

    def _pause(self, error: str, retry_after: str = "") -> None:
        self._failures += 1
        self.error = error
        pause = float(retry_after) if retry_after.isdecimal() else _backoff(self._failures)
        self._resume_at = self._clock() + min(pause, 60.0)
        for upload in self._uploads:
            upload.asked = False

    def _pause_upload(self, upload: Upload, now: float, error: str) -> None:
        upload.failures += 1
        upload.error = error
        upload.resume_at = now + _backoff(upload.failures)


def _next_part(upload: Upload, now: float, room: int) -> Part | None:
    if not upload.asked:
        return _part(upload, None)
    beat = upload.live and now >= upload.contact_at + HEARTBEAT_S
    if beat:
        upload.pending_at = (-1, -1)  # A torn frame may have been replaced by one of the same size.
    if not upload.following and not upload.settled:
        try:
            chunk = upload.source.read(upload.offset, upload.crc, max(room, 1))
        except OSError as error:
            _stop(upload, f"cannot read {upload.source.path}: {error.strerror}")
            return None
        upload.damage = chunk.damage
        if chunk.data:
            return _part(upload, upload.offset, chunk.data, chunk.end_crc)
        upload.pending_at = (upload.offset, upload.size)
    if beat:
        return _part(upload, None if upload.following else upload.offset, b"", upload.crc)
    return None


def _part(upload: Upload, offset: int | None, data: bytes = b"", end_crc: int = 0) -> Part:
    return Part(
        run_uid=upload.run_uid,
        writer=upload.writer,
        offset=offset,
        crc=0 if offset is None else upload.crc,
        end_crc=0 if offset is None else end_crc,
        data=data,
        key=upload.key,
        live=upload.live,
    )


def _stop(upload: Upload, error: str) -> None:
    upload.stopped = True
    upload.error = error


def _backoff(failures: int) -> float:
    """Half a second, doubled with each failure up to five, spread so that a thousand clients do not meet."""
    return min(_PAUSE_MAX_S, _PAUSE_MIN_S * 2.0 ** min(failures - 1, 10)) * random.uniform(0.75, 1.25)


def _refusal(where: str, reply: Reply) -> str:
    if reply.status == protocol.UNAUTHORIZED:
        return _key_line(where)
    if reply.status == 404:
        return f"{where} has no Kiseki append endpoint; check the address"
    try:
        return f"{where} answered {reply.status}: {protocol.decode_error(reply.body)}"
    except msgspec.DecodeError:
        return f"{where} answered {reply.status}"


def _key_line(where: str) -> str:
    return f"{where} does not accept the key: set KISEKI_API_KEY or run `kiseki login`"


def _sync_line(upload: Upload) -> str:
    return f"to send this run there: kiseki sync {upload.source.path.parent}"
