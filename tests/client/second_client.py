"""A second client of the append protocol, from docs/formats/append.md and the standard library alone."""

from __future__ import annotations

import http.client
import json
import struct
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class Refused(Exception):
    """The server does not take this file."""


def send_file(base_url: str, key: str, path: Path, run_uid: str, writer: str, *, frames: int = 50) -> int:
    """Bring `path` to the server, `frames` frames a request; returns the number of requests that had data."""
    data = path.read_bytes()
    ends = _frame_ends(data)
    where = _post(base_url, key, {"run_uid": run_uid, "writer": writer, "offset": None})
    requests = 0
    while True:
        if where["following"]:
            return requests
        offset = where["offset"]
        if offset > len(data) or zlib.crc32(data[:offset]) != where["crc"]:
            raise Refused(f"the server has other bytes than {path}")
        left = [end for end in ends if end > offset]
        if not left:
            return requests
        end = left[min(frames, len(left)) - 1]
        where = _post(
            base_url,
            key,
            {
                "run_uid": run_uid,
                "writer": writer,
                "offset": offset,
                "crc": where["crc"],
                "end_crc": zlib.crc32(data[:end]),
                "data": data[offset:end],
                "live": False,
            },
        )
        requests += 1
        if where["status"] not in (200, 409) or where["error"]:
            raise Refused(f"{where['status']}: {where['error']}")


def _frame_ends(data: bytes) -> list[int]:
    """Ends of the whole, good frames; the first one that may be an end is that of the header's frame."""
    ends, position = [], 16
    while position + 8 <= len(data):
        size, check = struct.unpack_from("<II", data, position)
        end = position + 8 + size
        if not 1 <= size <= 16 * 1024 * 1024 or end > len(data):
            break
        if zlib.crc32(data[position : position + 4] + data[position + 8 : end]) != check:
            break
        ends.append(end)
        position = end
    return ends


def _post(base_url: str, key: str, part: dict[str, Any]) -> dict[str, Any]:
    place = urlsplit(base_url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 80, timeout=20)
    headers = {"Content-Type": "application/x-msgpack", "Authorization": f"Bearer {key}"}
    body = _pack({"protocol": 1, "parts": [part]})
    try:
        connection.request("POST", f"{place.path}/api/v1/append", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise Refused(f"{answer.status}: {json.loads(text)['error']}")
        found: dict[str, Any] = json.loads(text)["parts"][0]
        return found
    finally:
        connection.close()


def _pack(value: Any) -> bytes:
    """MessagePack, each value in its widest form."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return b"\xcf" + struct.pack(">Q", value)
    if isinstance(value, str):
        return b"\xdb" + struct.pack(">I", len(value.encode())) + value.encode()
    if isinstance(value, bytes):
        return b"\xc6" + struct.pack(">I", len(value)) + value
    if isinstance(value, list):
        return b"\xdd" + struct.pack(">I", len(value)) + b"".join(map(_pack, value))
    pairs = b"".join(_pack(name) + _pack(inner) for name, inner in value.items())
    return b"\xdf" + struct.pack(">I", len(value)) + pairs
