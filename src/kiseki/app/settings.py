"""What an instance takes from the environment (`KISEKI_…`), beside what the command line names."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import msgspec

from kiseki.app.errors import CannotServe
from kiseki.server.context import DEFAULT_MAX_BODY, MIN_MAX_BODY


class EnvironmentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`KISEKI_ALLOWED_HOSTS` (names, comma between them), `KISEKI_BASE_PATH`, `KISEKI_MAX_BODY` (bytes)."""

    allowed_hosts: Sequence[str] = ()
    base_path: str = ""
    max_body: int = DEFAULT_MAX_BODY


def read_environment(environment: Mapping[str, str] = os.environ) -> EnvironmentSettings:
    """Return the settings that the environment holds; raises CannotServe for one that makes no sense."""
    hosts = [host.strip() for host in environment.get("KISEKI_ALLOWED_HOSTS", "").split(",")]
    return EnvironmentSettings(
        allowed_hosts=[host for host in hosts if host],
        base_path=environment.get("KISEKI_BASE_PATH", ""),
        max_body=_max_body(environment.get("KISEKI_MAX_BODY", "")),
    )


def normal_base_path(path: str) -> str:
    """Return a base path with a slash before it and none at its end.

    >>> normal_base_path("kiseki/"), normal_base_path("/")
    ('/kiseki', '')
    """
    inner = path.strip("/")
    if any(letter in inner for letter in '?#\\"<> '):
        raise CannotServe(f"--base-path is {path!r}; it takes the path of a URL, such as /kiseki")
    return f"/{inner}" if inner else ""


def _max_body(text: str) -> int:
    if not text:
        return DEFAULT_MAX_BODY
    if not text.isdecimal() or int(text) < MIN_MAX_BODY:
        raise CannotServe(f"KISEKI_MAX_BODY is {text!r}; it takes a number of bytes from {MIN_MAX_BODY} on")
    return int(text)
