"""What a run was started with and on: command line, Python, machine; secrets masked."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from kiseki import __version__
from kiseki.sdk.directory import working_folder
from kiseki.system.process import hostname

MASK = "***"
_SECRET_NAME = re.compile(
    r"(?:^|[-_.])(?:api|access|auth|private|secret|signing|encryption)?[-_]?"
    r"(?:key|token|secret|passw(?:or)?d|passwd|pwd|passphrase|credentials?|bearer)$",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(
    r"(?:kk_[0-9a-f]{40}|sk-[\w-]{16,}|hf_\w{16,}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
    r"|xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}|ya29\.[\w-]{20,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*)"
)
_CREDENTIALS_IN_URL = re.compile(r"(?<=://)[^/@\s]+(?=@)")


def describe_environment() -> dict[str, Any]:
    """The environment record of this process: JSON-like values only."""
    system = os.uname() if hasattr(os, "uname") else None
    return {
        "host": hostname(),
        "os": f"{system.sysname} {system.release} {system.machine}" if system else sys.platform,
        "python": sys.version.split()[0],
        "implementation": sys.implementation.name,
        "executable": sys.executable or "",
        "command": mask_command(sys.orig_argv if hasattr(sys, "orig_argv") else sys.argv),
        "program": sys.argv[0] if sys.argv else "",
        "cwd": working_folder(),
        "cpu_count": os.cpu_count(),
        "pid": os.getpid(),
        "sdk": __version__,
    }


def mask_command(arguments: Sequence[str]) -> list[str]:
    """The command line with the values of what looks like a key or password replaced by `***`.

    >>> mask_command(["train.py", "--api-key", "abc", "--lr=0.1", "DB_PASSWORD=x"])
    ['train.py', '--api-key', '***', '--lr=0.1', 'DB_PASSWORD=***']
    """
    masked = []
    follows_secret = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if follows_secret and not (argument.startswith("-") and _SECRET_NAME.search(name)):
            masked.append(MASK)
            follows_secret = False
            continue
        secret = bool(_SECRET_NAME.search(name.lstrip("-"))) and len(name) <= 100
        follows_secret = secret and not equals and argument.startswith("-")
        if secret and equals:
            masked.append(f"{name}={MASK}")
        else:
            masked.append(_CREDENTIALS_IN_URL.sub(MASK, _SECRET_VALUE.sub(MASK, argument)))
    return masked
