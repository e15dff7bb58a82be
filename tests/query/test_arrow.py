"""What we send as Arrow is what another implementation of Arrow reads."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from kiseki.query.arrow import arrow_stream


def test_pyarrow_reads_every_column_type() -> None:
    columns = {
        "run": np.array([0, 4_294_967_295], dtype=np.uint32),
        "lane": np.array([1, 65_535], dtype=np.uint16),
        "x": np.array([np.nan, -np.inf]),
    }
    table = pa.ipc.open_stream(arrow_stream(columns)).read_all()
    assert [str(field.type) for field in table.schema] == ["uint32", "uint16", "double"]
    assert not any(field.nullable for field in table.schema)
    for name, column in columns.items():
        np.testing.assert_array_equal(table[name].to_numpy(), column)


def test_pyarrow_reads_a_stream_without_rows() -> None:
    stream = arrow_stream({"run": np.empty(0, dtype=np.uint32), "x": np.empty(0)})
    table = pa.ipc.open_stream(stream).read_all()
    assert (table.num_rows, table.column_names) == (0, ["run", "x"])


def test_strided_columns_are_written_whole() -> None:
    grid = np.arange(6, dtype=np.uint32).reshape(3, 2)
    table = pa.ipc.open_stream(arrow_stream({"run": grid[:, 0], "key": grid[:, 1]})).read_all()
    assert table.to_pydict() == {"run": [0, 2, 4], "key": [1, 3, 5]}
