"""Writes columns as an Arrow IPC stream (https://arrow.apache.org/docs/format/Columnar.html)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import nanoarrow
import numpy as np
from nanoarrow.ipc import StreamWriter
from numpy.typing import NDArray

_TYPES = {
    np.dtype(np.uint16): nanoarrow.uint16,
    np.dtype(np.uint32): nanoarrow.uint32,
    np.dtype(np.float64): nanoarrow.float64,
}


def arrow_stream(columns: Mapping[str, NDArray[Any]]) -> bytes:
    """Return one record batch of `columns` (u16, u32 or f64, none with nulls) as an Arrow IPC stream."""
    arrays = {name: np.ascontiguousarray(column) for name, column in columns.items()}
    length = len(next(iter(arrays.values())))
    types = {name: _TYPES[array.dtype](nullable=False) for name, array in arrays.items()}
    # Made from buffers, for c_array refuses an array without elements.
    children = [
        nanoarrow.c_array_from_buffers(types[name], length, [None, array if length else b""], null_count=0)
        for name, array in arrays.items()
    ]
    schema = nanoarrow.struct(types)
    batch = nanoarrow.c_array_from_buffers(schema, length, [None], null_count=0, children=children)
    output = io.BytesIO()
    with StreamWriter.from_writable(output) as writer:
        writer.write_stream(batch)
    return output.getvalue()
