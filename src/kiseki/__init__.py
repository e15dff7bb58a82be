"""Kiseki: an experiment tracker whose run file is the truth."""

from __future__ import annotations

__version__ = "0.1.0"

from typing import TYPE_CHECKING, Any

from kiseki.sdk import current as _current
from kiseki.sdk.config import Config
from kiseki.sdk.errors import ConfigError, Error, UsageError
from kiseki.sdk.init import finish, init, log, save
from kiseki.sdk.login import login
from kiseki.sdk.restoring import restore
from kiseki.sdk.run import Run
from kiseki.sdk.settings import Settings
from kiseki.sdk.summary import Summary

if TYPE_CHECKING:
    from kiseki.client.api import Api

    run: Run | None
    """The current run; None before `init` and after `finish`."""
    config: Config
    """The current run's config."""
    summary: Summary
    """The current run's summary."""

__all__ = [
    "Api",
    "Config",
    "ConfigError",
    "Error",
    "Run",
    "Settings",
    "Summary",
    "UsageError",
    "__version__",
    "config",
    "finish",
    "init",
    "log",
    "login",
    "restore",
    "run",
    "save",
    "summary",
]


def __getattr__(name: str) -> Any:
    if name == "run":
        return _current.current
    if name in ("config", "summary"):
        active = _current.current
        return _current.NotBegun(name) if active is None else getattr(active, name)
    if name == "Api":
        from kiseki.client.api import Api

        return Api
    raise AttributeError(f"kiseki has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
