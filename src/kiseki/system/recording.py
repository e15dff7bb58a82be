"""What is recorded of a run without being asked: the choices there are, who may make them, which one wins.

A server's and its projects' choices reach a machine through the sidecar, which keeps them in a small file
(docs/formats/local-files.md), so that a run obeys from its start and `init` waits for nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from kiseki.system.credentials import normal_url
from kiseki.system.files import write_atomically
from kiseki.system.paths import data_home

Value = bool | float

DEFAULTS: Final[dict[str, Value]] = {
    "save_code": True,
    "git": True,
    "diff": True,
    "requirements": True,
    "console": True,
    "system_interval": 10.0,
}
"""Every choice, and what applies where nobody chose; `system_interval` in seconds, 0 is off."""

MIN_INTERVAL_S: Final = 1.0
MAX_INTERVAL_S: Final = 3600.0


class Choice(NamedTuple):
    """What applies, and who chose it: init, settings, environment, project, server or default."""

    value: Value
    source: str


class Policy(NamedTuple):
    """What one server and its projects (`entity/project`) have chosen; `fetched` in unix seconds."""

    server: Mapping[str, Value]
    projects: Mapping[str, Mapping[str, Value]]
    fetched: float


NO_POLICY: Final = Policy({}, {}, 0.0)
"""Where nobody chose anything."""


def check_choice(name: str, value: object) -> Value:
    """`value` as the choice `name` holds it; raises ValueError that says what it takes.

    >>> check_choice("system_interval", 30)
    30.0
    """
    if name not in DEFAULTS:
        raise ValueError(f"there is no setting {name!r:.50}; there are {', '.join(DEFAULTS)}")
    if name != "system_interval":
        if isinstance(value, bool):
            return value
        raise ValueError(f"{name} takes true or false, not {value!r:.50}")
    if (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and (value == 0 or MIN_INTERVAL_S <= value <= MAX_INTERVAL_S)
    ):
        return float(value)
    raise ValueError(
        f"{name} takes 0 (off) or {MIN_INTERVAL_S:g} to {MAX_INTERVAL_S:g} seconds, not {value!r:.50}"
    )


def effective(
    wishes: Mapping[str, tuple[Value, str]], policy: Policy, entity: str, project: str
) -> dict[str, Choice]:
    """What applies to a run of `entity/project` whose own `wishes` are (value, source) by name.

    A wish wins over the project's choice, that over the server's, that over the default. No git, no diff.
    """
    own = policy.projects.get(f"{entity}/{project}", {})
    found = {}
    for name, default in DEFAULTS.items():
        if name in wishes:
            found[name] = Choice(*wishes[name])
        elif name in own:
            found[name] = Choice(own[name], "project")
        elif name in policy.server:
            found[name] = Choice(policy.server[name], "server")
        else:
            found[name] = Choice(default, "default")
    if found["diff"].value and not found["git"].value:
        found["diff"] = found["git"]
    return found


def known_choices(chosen: Mapping[str, object]) -> dict[str, Value]:
    """Those of `chosen` that this version knows and takes; a newer server may have others."""
    found = {}
    for name, value in chosen.items():
        with contextlib.suppress(ValueError):
            found[name] = check_choice(name, value)
    return found


def load_policy(base_url: str | None) -> Policy:
    """What is known here of the choices on the server at `base_url`; None: this user's own `kiseki up`.

    Empty where nothing is, or what is there cannot be read.
    """
    try:
        data = json.loads(_policy_file(base_url).read_text())
        server = known_choices(data["server"])
        projects = {str(path): known_choices(own) for path, own in data["projects"].items()}
        return Policy(server, projects, float(data["fetched"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return NO_POLICY


def store_policy(base_url: str | None, policy: Policy) -> None:
    """Keep `policy` for the next runs; raises OSError where the data folder cannot be written."""
    path = _policy_file(base_url)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {
        "base_url": base_url,
        "server": dict(policy.server),
        "projects": {name: dict(own) for name, own in policy.projects.items()},
        "fetched": policy.fetched,
    }
    write_atomically(path, json.dumps(data) + "\n")


def _policy_file(base_url: str | None) -> Path:
    if base_url is None:
        name = "local"
    else:
        name = hashlib.sha256(normal_url(base_url).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return data_home() / "policies" / f"{name}.json"
