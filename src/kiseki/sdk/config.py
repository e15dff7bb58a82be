"""A run's config: hyperparameters by item and attribute, written down when set, guarded against change."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kiseki.records.values import Unstorable, storable_key, to_storable
from kiseki.sdk.errors import ConfigError
from kiseki.sdk.summary import plain
from kiseki.sdk.terminal import warn_once


class Config:
    """Config of one run.

    `config["lr"]`, `config.lr`, `update`, `setdefaults`, `get`, `keys`, `items`, `as_dict`. Setting a key to
    another value raises ConfigError without `allow_val_change=True`.
    """

    _known: dict[str, Any]
    _record: Callable[[dict[str, Any]], None]
    _may_change: bool

    def __init__(self, record: Callable[[dict[str, Any]], None], may_change: bool = False) -> None:
        """`record` writes down storable values by key."""
        object.__setattr__(self, "_known", {})
        object.__setattr__(self, "_record", record)
        object.__setattr__(self, "_may_change", may_change)

    def update(self, d: Any, allow_val_change: bool | None = None) -> None:
        """Set every key of `d`: a mapping, `argparse.Namespace`, dataclass, or object with attributes.

        Raises ConfigError, with nothing set, where a key would change and that is not allowed.
        """
        self._set_all(as_mapping(d, "config.update"), allow_val_change)

    def setdefaults(self, d: Any) -> None:
        """Set those keys of `d` that are not set yet."""
        entries = as_mapping(d, "config.setdefaults")
        self._set_all(
            {key: value for key, value in entries.items() if storable_key(key) not in self._known}, True
        )

    def get(self, key: str, default: Any = None) -> Any:
        """The value of `key`, `default` where it is not set."""
        return self._known.get(key, default)

    def keys(self) -> Any:
        """The keys, in the order in which they were first set."""
        return self._known.keys()

    def values(self) -> Any:
        """The values."""
        return self._known.values()

    def items(self) -> Any:
        """Keys and values."""
        return self._known.items()

    def as_dict(self) -> dict[str, Any]:
        """A copy as a plain dictionary."""
        return dict(self._known)

    _as_dict = as_dict

    def _set_all(self, entries: Mapping[Any, Any], allow_val_change: bool | None = None) -> None:
        allowed = self._may_change if allow_val_change is None else allow_val_change
        seen: dict[str, Any] = {}
        stored: dict[str, Any] = {}
        for raw, value in entries.items():
            key = storable_key(raw)
            kept, written = _sanitized(key, value)
            if key in self._known:
                known = self._known[key]
                same = _same(known, kept)
                if same and type(known) is type(kept):
                    continue
                if not same and not allowed:
                    raise ConfigError(
                        f'config["{key}"] is {known!r:.100} and would become {kept!r:.100}; '
                        "to change it, use config.update({...}, allow_val_change=True)"
                    )
            seen[key], stored[key] = kept, written
        if stored:
            self._known.update(seen)
            self._record(stored)

    def __getitem__(self, key: str) -> Any:
        return self._known[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._set_all({key: value})

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        try:
            return self._known[key]
        except KeyError:
            raise AttributeError(f'the config has no "{key}"') from None

    def __setattr__(self, key: str, value: Any) -> None:
        self[key] = value

    def __contains__(self, key: object) -> bool:
        return key in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return repr(self._known)

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy, in a checkpoint or an argument of a spawned process, keeps the values and records nothing.
        return _detached, (self.as_dict(),)


def _detached(known: dict[str, Any]) -> Config:
    copied = Config(_discard, may_change=True)
    copied._known.update(known)
    return copied


def _discard(entries: dict[str, Any]) -> None:
    """What records the changes of a copy: nobody."""


def as_mapping(source: Any, argument: str) -> Mapping[Any, Any]:
    """A mapping from what may hold a config; raises TypeError that names `argument` and what it takes."""
    if source is None:
        return {}
    if isinstance(source, Mapping):
        return source
    if isinstance(source, Config):
        return source.as_dict()
    if not isinstance(source, (type, str, bytes, int, float, list, tuple, set)):
        if hasattr(source, "__dataclass_fields__"):
            import dataclasses

            return {field.name: getattr(source, field.name) for field in dataclasses.fields(source)}
        if hasattr(source, "__dict__"):
            return dict(vars(source))
    raise TypeError(f"{argument} takes a dict, argparse.Namespace or dataclass, not {type(source).__name__}")


def _sanitized(key: str, value: Any) -> tuple[Any, Any]:
    """The value as the script will read it, and as it is written down."""
    try:
        stored = to_storable(_namespaces_opened(value))
    except Unstorable:
        try:
            # A device or a function stays itself for the script; the record names it.
            stored = to_storable(value, default=_described)
        except Unstorable as error:
            warn_once(("config", key), f'config["{key}"] is recorded as text: {error}')
            stored = _described(value)
        kept = value if not isinstance(value, (Mapping, list, tuple, set)) else plain(stored)
        return kept, stored
    return plain(stored), stored


def _namespaces_opened(value: Any) -> Any:
    argparse = sys.modules.get("argparse")
    if argparse is not None and isinstance(value, argparse.Namespace):
        return vars(value)
    return value


def _described(value: Any) -> str:
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _same(one: Any, other: Any) -> bool:
    if type(one) is float and type(other) is float and one != one:
        return other != other
    try:
        return bool(one == other)
    except Exception:
        return one is other
