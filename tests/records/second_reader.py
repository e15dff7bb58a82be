"""A second reader of the run file, from docs/formats/run-file.md alone, with the standard library only."""

from __future__ import annotations

import struct
import zlib
from typing import Any


def read_file(data: bytes) -> tuple[dict[str, Any] | None, list[dict[str, Any]], int | None]:
    """The header, the records, and the byte of the first damage."""
    if len(data) < 16 or data[:8] != b"\x89KISEKI\n" or zlib.crc32(data[:12]) != _u32(data, 12):
        return None, [], 0
    if int.from_bytes(data[10:12], "little") > 1:
        return None, [], 0
    header: dict[str, Any] | None = None
    records: list[dict[str, Any]] = []
    keys: list[Any] = []
    shapes: list[list[Any]] = []
    base = 0
    at = 16
    while at < len(data):
        if at + 8 > len(data):
            return header, records, at
        length = _u32(data, at)
        payload = data[at + 8 : at + 8 + length]
        if not 1 <= length <= 16_777_216 or len(payload) != length:
            return header, records, at
        if zlib.crc32(data[at : at + 4] + payload) != _u32(data, at + 4):
            return header, records, at
        value, _ = _unpack(payload, 0)
        if header is None:
            header, base = value, value["wall_ns"] // 1000
        else:
            kind, t, *fields = value
            if kind in (16, 18):
                base = (fields[0] if kind == 16 else fields[3]) // 1000 - t
            if kind == 18:
                keys, shapes = [], []
            if kind == 1:
                fields = [fields[0], *_row(fields[1], fields[2], keys, shapes)]
            records.append({"at": at, "kind": kind, "t": t, "time_us": base + t, "fields": fields})
        at += 8 + length
    return header, records, (16 if header is None else None)


def _row(shape: Any, values: Any, keys: list[Any], shapes: list[list[Any]]) -> tuple[list[Any], list[Any]]:
    if isinstance(shape, int):
        own = shapes[shape]
    else:
        own = []
        for ref in shape:
            if not isinstance(ref, int):
                keys.append(ref)
                ref = len(keys) - 1
            own.append(keys[ref])
        if len(shapes) < 1024:
            shapes.append(own)
    if isinstance(values, bytes):
        values = list(struct.unpack(f"<{len(values) // 8}d", values))
    return own, values


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def _unpack(b: bytes, i: int) -> tuple[Any, int]:
    """One MessagePack value at `i`, and where it ends."""
    tag, i = b[i], i + 1
    if tag < 0x80:
        return tag, i
    if tag < 0x90:
        return _unpack_map(b, i, tag & 15)
    if tag < 0xA0:
        return _unpack_array(b, i, tag & 15)
    if tag < 0xC0:
        return b[i : i + (tag & 31)].decode(), i + (tag & 31)
    if tag >= 0xE0:
        return tag - 256, i
    if tag in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[tag], i
    if tag == 0xCB:
        return struct.unpack(">d", b[i : i + 8])[0], i + 8
    if 0xCC <= tag <= 0xD3:
        width = 1 << ((tag - 0xCC) % 4)
        return int.from_bytes(b[i : i + width], "big", signed=tag >= 0xD0), i + width
    if 0xD4 <= tag <= 0xD8:
        return _extension(b, i, 1 << (tag - 0xD4))
    width = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}.get(tag)
    if width is None:
        width = {0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}[tag]
        count = int.from_bytes(b[i : i + width], "big")
        return (_unpack_array if tag < 0xDE else _unpack_map)(b, i + width, count)
    size = int.from_bytes(b[i : i + width], "big")
    i += width
    if 0xC7 <= tag <= 0xC9:
        return _extension(b, i, size)
    body = b[i : i + size]
    return (body if tag <= 0xC6 else body.decode()), i + size


def _extension(b: bytes, i: int, size: int) -> tuple[Any, int]:
    body = b[i + 1 : i + 1 + size]
    return (int.from_bytes(body, "big", signed=True) if b[i] == 1 else None), i + 1 + size


def _unpack_array(b: bytes, i: int, count: int) -> tuple[Any, int]:
    items = []
    for _ in range(count):
        item, i = _unpack(b, i)
        items.append(item)
    return items, i


def _unpack_map(b: bytes, i: int, count: int) -> tuple[Any, int]:
    flat, i = _unpack_array(b, i, 2 * count)
    return dict(zip(flat[::2], flat[1::2], strict=True)), i
