"""Composition: settings, store, ingest and server put together, as a process of its own or inside another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kiseki.app.embedding import embedded
    from kiseki.app.instance import Instance, create_instance
    from kiseki.app.serving import serve

__all__ = ["Instance", "create_instance", "embedded", "serve"]

_HOMES = {
    "Instance": "instance",
    "create_instance": "instance",
    "embedded": "embedding",
    "serve": "serving",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
