"""One column as bytes, as specified in docs/formats/chunks.md: stride, shuffle, zstd, presence."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

from kiseki.records.kinds import big_int, read_extension
from kiseki.store.columns import NUMERIC, Column, Ints

STRIDE = 1
"""Start and stride of an arithmetic series: two 8-byte values and a count, 24 bytes."""
SHUFFLE64 = 2
"""8-byte values, byte-shuffled, zstd."""
SHUFFLE32 = 3
"""float64 values that float32 holds without loss, as 4-byte values, byte-shuffled, zstd."""
DELTA64 = 4
"""int64 as the first value and byte-shuffled differences, zstd."""
BITS = 5
"""bools, one bit each, zstd."""
VALUES = 6
"""A MessagePack array of the values, zstd."""

_SPARSE = 0x80
_LEVEL = 1
_STRIDE = struct.Struct("<8s8sQ")
_HEAD = struct.Struct("<BI")
_COUNT = struct.Struct("<I")

_decode_values = msgspec.msgpack.Decoder(list[Any], ext_hook=read_extension).decode
_encode_values = msgspec.msgpack.Encoder().encode


def compress(data: bytes | memoryview) -> bytes:
    """zstd at the store's level, with the content size in its header."""
    return zstandard.ZstdCompressor(level=_LEVEL).compress(data)


def decompress(data: bytes | memoryview) -> bytes:
    """The bytes that `compress` was given."""
    plain: bytes = zstandard.ZstdDecompressor().decompress(data)
    return plain


def packable(value: Any) -> Any:
    """A value as MessagePack takes it: integers beyond 64 bits as extension 1, inside lists and maps too."""
    kind = type(value)
    if kind is int:
        return value if -(2**63) <= value < 2**64 else big_int(value)
    if kind is list or kind is tuple:
        return [packable(inner) for inner in value]
    if kind is dict:
        return {key: packable(inner) for key, inner in value.items()}
    return value


def encode_column(column: Column, rows: Ints | None = None, of: int = 0) -> bytes:
    """A column as bytes. `rows` are the rows, of a segment's `of`, that it has values for; None: all."""
    encoding, body = _encode_body(column)
    if rows is None or len(rows) == of:
        return _HEAD.pack(encoding, len(column)) + body
    present = np.zeros(of, bool)
    present[rows] = True
    bitmap = compress(np.packbits(present, bitorder="little").tobytes())
    return _HEAD.pack(encoding | _SPARSE, len(column)) + _COUNT.pack(len(bitmap)) + bitmap + body


def decode_column(data: bytes, kind: str, of: int) -> tuple[Column, Ints | None]:
    """The column of type `kind` in these bytes, and its rows of the segment's `of`; None where it has all."""
    encoding, count = _HEAD.unpack_from(data)
    at = _HEAD.size
    rows: Ints | None = None
    if encoding & _SPARSE:
        (length,) = _COUNT.unpack_from(data, at)
        at += _COUNT.size
        bits = np.frombuffer(decompress(data[at : at + length]), np.uint8)
        rows = np.flatnonzero(np.unpackbits(bits, count=of, bitorder="little")).astype(np.int64, copy=False)
        at += length
    return Column(kind, _decode_body(encoding & ~_SPARSE, memoryview(data)[at:], kind, count)), rows


def _encode_body(column: Column) -> tuple[int, bytes]:
    values = column.values
    if isinstance(values, list):
        return VALUES, compress(_encode_values(packable(values)))
    if column.type == "bool":
        return BITS, compress(np.packbits(values, bitorder="little").tobytes())
    words: NDArray[np.int64] = np.ascontiguousarray(values).view(np.int64)
    if column.type == "f64":
        if len(words) and (words == words[0]).all():
            return STRIDE, _STRIDE.pack(words[:1].tobytes(), bytes(8), len(words))
        with np.errstate(over="ignore", invalid="ignore"):
            narrow = values.astype(np.float32)
        if np.array_equal(narrow.astype(np.float64).view(np.int64), words):
            return SHUFFLE32, compress(_shuffle(narrow.view(np.uint8), 4))
        return SHUFFLE64, compress(_shuffle(words.view(np.uint8), 8))
    # Differences wrap around at 64 bits, and sums wrap back.
    with np.errstate(over="ignore"):
        steps = np.diff(words)
    if len(steps) == 0 or (steps == steps[0]).all():
        stride = steps[:1].tobytes() if len(steps) else bytes(8)
        return STRIDE, _STRIDE.pack(words[:1].tobytes(), stride, len(words))
    return DELTA64, words[:1].tobytes() + compress(_shuffle(steps.view(np.uint8), 8))


def _decode_body(encoding: int, body: memoryview, kind: str, count: int) -> NDArray[Any] | list[Any]:
    if encoding == VALUES:
        values: list[Any] = _decode_values(decompress(body))
        return values
    if encoding == BITS:
        return np.unpackbits(
            np.frombuffer(decompress(body), np.uint8), count=count, bitorder="little"
        ).astype(bool)
    if encoding == SHUFFLE64:
        return _unshuffle(decompress(body), 8).view(NUMERIC[kind])
    if encoding == SHUFFLE32:
        return _unshuffle(decompress(body), 4).view("<f4").astype(np.float64)
    with np.errstate(over="ignore"):
        if encoding == STRIDE:
            first, stride, length = _STRIDE.unpack(body)
            start, step = np.frombuffer(first, np.int64), np.frombuffer(stride, np.int64)
            return (start + step * np.arange(length, dtype=np.int64)).view(NUMERIC[kind])
        if encoding == DELTA64:
            words = np.empty(count, np.int64)
            words[:1] = np.frombuffer(body[:8], np.int64)
            words[1:] = _unshuffle(decompress(body[8:]), 8).view(np.int64)
            return np.cumsum(words)
    raise ValueError(f"a chunk has the encoding {encoding}, which this version does not read: upgrade Kiseki")


def _shuffle(flat: NDArray[np.uint8], width: int) -> bytes:
    shuffled: bytes = flat.reshape(-1, width).T.tobytes()
    return shuffled


def _unshuffle(data: bytes, width: int) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(width, -1).T).reshape(-1)
