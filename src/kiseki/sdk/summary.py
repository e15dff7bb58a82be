"""A run's summary: the last record of each key wins, logged or set by hand; nested keys stay nested."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from kiseki.records.kinds import read_extension
from kiseki.records.values import FlatRow, Unstorable, storable_key, to_storable
from kiseki.sdk.terminal import warn_once

Path = tuple[str, ...]
Changes = tuple[list[tuple[list[str], Any]], list[list[str]]]
"""What a summary record holds: (path, value) pairs set, paths deleted."""


class SummaryTree:
    """The values themselves, equal to what `records.fold` makes of the same records of one writer."""

    def __init__(self) -> None:
        self._tree: dict[str, Any] = {}
        # Rows of plain values are only copied here, in order; they reach the tree when somebody looks.
        self._fresh: dict[str, Any] = {}

    def take_plain_row(self, data: Mapping[str, Any]) -> None:
        """Enter a logged row whose keys are strings and whose values are plain numbers and strings."""
        self._fresh.update(data)

    def take_row(self, flat: FlatRow) -> None:
        """Enter a logged row of any values."""
        self._settle()
        for key, value in zip(flat.keys, flat.values, strict=True):
            self._plant((key,) if isinstance(key, str) else key, plain(value))

    def set(self, path: Path, value: Any) -> None:
        """Set the value at `path`; what stands in the way of the path gives way."""
        self._settle()
        self._plant(path, value)

    def delete(self, path: Path) -> None:
        """Remove the value at `path`, if there is one."""
        self._settle()
        branch = self._branch(path)
        branch.pop(path[-1], None)

    def at(self, path: Path) -> Any:
        """The value at `path`, the tree itself for `()`; raises KeyError."""
        self._settle()
        value: Any = self._tree
        for part in path:
            if not isinstance(value, dict):
                raise KeyError(part)
            value = value[part]
        return value

    def _settle(self) -> None:
        if self._fresh:
            fresh, self._fresh = self._fresh, {}
            self._tree.update(fresh)

    def _branch(self, path: Path) -> dict[str, Any]:
        branch = self._tree
        for part in path[:-1]:
            inner = branch.get(part)
            if not isinstance(inner, dict):
                inner = branch[part] = {}
            branch = inner
        return branch

    def _plant(self, path: Path, value: Any) -> None:
        self._branch(path)[path[-1]] = value


class Summary:
    """The summary as users meet it: items and attributes, at every depth.

    `summary["acc"] = 0.9`, `summary.acc`, `summary["val"]["acc"]`, `update`, `get`, `keys`, `items`.
    """

    _tree: SummaryTree
    _record: Callable[[Changes], None]
    _last_row: Callable[[], dict[str, Any]]
    _path: Path

    def __init__(
        self,
        tree: SummaryTree,
        record: Callable[[Changes], None],
        last_row: Callable[[], dict[str, Any]],
        path: Path = (),
    ) -> None:
        """`record` writes changes down; `last_row` gives `_step`, `_runtime` and `_timestamp`."""
        object.__setattr__(self, "_tree", tree)
        object.__setattr__(self, "_record", record)
        object.__setattr__(self, "_last_row", last_row)
        object.__setattr__(self, "_path", path)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of `key`, `default` where there is none."""
        try:
            return self[key]
        except KeyError:
            return default

    def keys(self) -> list[str]:
        """The keys at this depth."""
        return list(self._values())

    def items(self) -> list[tuple[str, Any]]:
        """Keys and values at this depth; nested ones are summaries of their own."""
        return [(key, self._view(key, value)) for key, value in self._values().items()]

    def values(self) -> list[Any]:
        """The values at this depth."""
        return [value for _, value in self.items()]

    def update(self, data: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Set every key of `data`; a nested dictionary replaces the value of its key."""
        entries = {storable_key(key): value for key, value in {**(data or {}), **more}.items()}
        changes = []
        for key, value in entries.items():
            try:
                changes.append(([*self._path, key], to_storable(value)))
            except Unstorable as error:
                name = ".".join([*self._path, key])
                warn_once(("summary", name), f'summary["{name}"] was not set: {error}')
        if changes:
            self._record((changes, []))

    def _as_dict(self) -> dict[str, Any]:
        return {key: _copied(value) for key, value in self._values().items()}

    def _values(self) -> dict[str, Any]:
        try:
            found = self._tree.at(self._path)
        except KeyError:
            return {}
        if not isinstance(found, dict):
            return {}
        return {**found, **self._last_row()} if not self._path else found

    def _view(self, key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return Summary(self._tree, self._record, self._last_row, (*self._path, key))
        return value

    def __getitem__(self, key: str) -> Any:
        return self._view(key, self._values()[key])

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        if key not in self._values():
            raise KeyError(key)
        self._record(([], [[*self._path, key]]))

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        try:
            return self[key]
        except KeyError:
            raise AttributeError(f'the summary has no "{key}"') from None

    def __setattr__(self, key: str, value: Any) -> None:
        self[key] = value

    def __delattr__(self, key: str) -> None:
        del self[key]

    def __contains__(self, key: object) -> bool:
        return key in self._values()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self._values())

    def __repr__(self) -> str:
        return repr(self._as_dict())


def plain(value: Any) -> Any:
    """A storable value as readers see it: integers of any size are Python's again."""
    if type(value) in (float, int, str, bool, type(None)):
        return value
    return _decode(_encode(value))


def paths_of(changes: Changes) -> tuple[list[tuple[Path, Any]], Sequence[Path]]:
    """The changes of a summary record with values as readers see them."""
    return [(tuple(path), plain(value)) for path, value in changes[0]], [tuple(path) for path in changes[1]]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ext_hook=read_extension).decode


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return list(value) if isinstance(value, list) else value
