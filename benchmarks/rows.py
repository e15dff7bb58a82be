"""The rows the benchmarks log, in a module that imports next to nothing, for it is measured too."""

from __future__ import annotations

import random


def rows_of_ten(count: int) -> list[dict[str, float]]:
    """`count` rows of ten random floats, the same ten keys in each."""
    return [{f"metric/{k}": random.random() for k in range(10)} for _ in range(count)]


def p50(times_ns: list[int]) -> float:
    """The median in microseconds."""
    return sorted(times_ns)[len(times_ns) // 2] / 1000
