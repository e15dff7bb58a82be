"""What the library raises; names as wandb has them."""

from __future__ import annotations


class Error(Exception):
    """Base of every error that Kiseki raises on purpose."""


class UsageError(Error):
    """A call that cannot be meant; the message says what to write instead."""


class ConfigError(UsageError):
    """A config key that is set already would change without `allow_val_change=True`."""
