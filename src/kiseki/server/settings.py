"""What runs record unasked, as a server and its projects choose it: read, change, hand to this machine."""

from __future__ import annotations

import logging
import time
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import Connection

from kiseki.server.context import Context
from kiseki.server.endpoint import endpoint
from kiseki.server.errors import ApiError
from kiseki.store import Store
from kiseki.store.settings import change_settings, read_settings
from kiseki.system.recording import DEFAULTS, Policy, check_choice, effective, load_policy, store_policy

Switch = bool | None
Source = Literal["default", "server", "project"]

_SERVER = ("", "")
_log = logging.getLogger("kiseki.server")


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """What is chosen; null where it is inherited."""

    save_code: Switch = None
    """Keep the entry script."""
    git: Switch = None
    """Record commit, branch, remote and state of the git work tree."""
    diff: Switch = None
    """Keep the diff of uncommitted and unpushed changes."""
    requirements: Switch = None
    """Keep the list of installed packages."""
    console: Switch = None
    """Record stdout and stderr."""
    system_interval: float | None = None
    """Seconds between two samples of the system metrics, 1 to 3600; 0 is off."""


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What applies where a run wishes nothing else."""

    save_code: bool
    git: bool
    diff: bool
    requirements: bool
    console: bool
    system_interval: float


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """Who chose what applies."""

    save_code: Source
    git: Source
    diff: Source
    requirements: Source
    console: Source
    system_interval: Source


class RecordingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The choices of a server or project (`own`), those of its server, and what comes of them."""

    own: Choices
    server: Choices
    effective: Applied
    sources: Sources


class ChangedChoices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The choices to change, any of them; null takes one back, so that it is inherited again."""

    save_code: Switch | UnsetType = UNSET
    git: Switch | UnsetType = UNSET
    diff: Switch | UnsetType = UNSET
    requirements: Switch | UnsetType = UNSET
    console: Switch | UnsetType = UNSET
    system_interval: float | UnsetType | None = UNSET


_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class PlacePath(msgspec.Struct, frozen=True):
    """Which project; it need not have a run yet."""

    entity: _Name
    project: _Name


@endpoint("GET", "/settings")
def get_settings(context: Context) -> RecordingSettings:
    """Say what the runs of this server record unasked."""
    return _answer(recording_policy(context.store), *_SERVER)


@endpoint("PUT", "/settings")
def change_server_settings(context: Context, body: ChangedChoices) -> RecordingSettings:
    """Change what the runs of this server record unasked."""
    return _change(context, *_SERVER, body)


@endpoint("GET", "/projects/{entity}/{project}/settings")
def get_project_settings(context: Context, path: PlacePath) -> RecordingSettings:
    """Say what the runs of a project record unasked."""
    return _answer(recording_policy(context.store), path.entity, path.project)


@endpoint("PUT", "/projects/{entity}/{project}/settings")
def change_project_settings(context: Context, path: PlacePath, body: ChangedChoices) -> RecordingSettings:
    """Change what the runs of a project record unasked."""
    return _change(context, path.entity, path.project, body)


def recording_policy(store: Store) -> Policy:
    """The choices of the server that has `store`, and those of its projects."""
    with store.read() as connection:
        return _policy(connection)


def publish_policy(policy: Policy) -> None:
    """Leave `policy` for the runs of this user that name no server; one line in the log where that fails."""
    try:
        if load_policy(None)[:2] != policy[:2]:
            store_policy(None, policy)
    except OSError as error:
        _log.warning("local runs do not hear of the recording settings: %s", error)


def _policy(connection: Connection) -> Policy:
    chosen = {
        place: {name: value for name, value in own.items() if name in DEFAULTS}
        for place, own in read_settings(connection).items()
    }
    server = chosen.pop(_SERVER, {})
    return Policy(
        server, {f"{entity}/{project}": own for (entity, project), own in chosen.items()}, time.time()
    )


def _change(context: Context, entity: str, project: str, body: ChangedChoices) -> RecordingSettings:
    asked = {name: value for name in DEFAULTS if (value := getattr(body, name)) is not UNSET}
    try:
        changes = {
            name: None if value is None else check_choice(name, value) for name, value in asked.items()
        }
    except ValueError as error:
        raise ApiError(400, str(error)) from None

    def write(connection: Connection) -> Policy:
        change_settings(connection, entity, project, changes)
        return _policy(connection)

    policy = context.store.write(write).result()
    if context.settings.local:
        publish_policy(policy)
    return _answer(policy, entity, project)


def _answer(policy: Policy, entity: str, project: str) -> RecordingSettings:
    own = policy.server if (entity, project) == _SERVER else policy.projects.get(f"{entity}/{project}", {})
    applied = effective({}, policy, entity, project)
    return RecordingSettings(
        own=msgspec.convert(own, Choices),
        server=msgspec.convert(policy.server, Choices),
        effective=msgspec.convert({name: choice.value for name, choice in applied.items()}, Applied),
        sources=msgspec.convert({name: choice.source for name, choice in applied.items()}, Sources),
    )


ENDPOINTS = (get_settings, change_server_settings, get_project_settings, change_project_settings)
