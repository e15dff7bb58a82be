"""Keeping a key for a server that is named; without one there is nothing to log in to."""

from __future__ import annotations

import os
from typing import Any

from kiseki.sdk.terminal import warn_once
from kiseki.system.credentials import find_key, save_key


def login(
    key: str | None = None,
    relogin: bool | None = None,
    host: str | None = None,
    force: bool | None = None,
    timeout: int | None = None,
    verify: bool = True,
    referrer: str | None = None,
    prompt: bool = True,
    anonymous: Any = None,
) -> bool:
    """Save `key` for the Kiseki server at `host` or `KISEKI_BASE_URL`; whether a key for it is at hand.

    Returns at once and never asks. Where no server is named nothing is stored and the answer is False: runs
    then lie on this machine and need no key. The arguments are wandb's; the others have no effect.
    """
    for name, value in (("key", key), ("host", host)):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"login({name}=…) takes a str, not {type(value).__name__}")
    server = host or os.environ.get("KISEKI_BASE_URL")
    if not server:
        return False
    if host:
        os.environ["KISEKI_BASE_URL"] = host
    if key:
        try:
            save_key(server, key)
        except ValueError as error:
            warn_once("login", f"login: {error}; nothing is saved")
            return False
        except OSError as error:
            os.environ["KISEKI_API_KEY"] = key
            warn_once("login", f"login: the key cannot be saved ({error}); it serves this process only")
    return bool(os.environ.get("KISEKI_API_KEY") or find_key(server))
