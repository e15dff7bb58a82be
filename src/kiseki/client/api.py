"""`kiseki.Api`: reads runs back, from a server or, with none running, from this user's own runs."""

from __future__ import annotations

import getpass
import os
import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

import msgspec

from kiseki.client.door import Door
from kiseki.client.errors import ApiError, NotFoundError
from kiseki.client.runs import Run, Runs
from kiseki.client.transport import AsgiTransport, Reply, Stream
from kiseki.records.numbers import from_json, to_json

__all__ = ["Api", "ApiError", "NotFoundError", "Project", "Run", "Runs"]

_TIMEOUT_S: Final = 60.0
_IN_MEMORY: Final = 8 * 1024 * 1024


class Project(NamedTuple):
    """One project, as it was when it was read."""

    entity: str
    name: str
    runs: int
    """How many runs it has."""
    running: int
    """How many of them run now."""
    created: float
    """Unix seconds."""
    last_activity: float
    """Unix seconds."""


class Api:
    """The runs that can be reached from here.

    A named server (`base_url`, else KISEKI_BASE_URL), else this user's running `kiseki up`, else the runs on
    this disk, read in this process for the length of each call.
    """

    def __init__(
        self,
        overrides: Mapping[str, str] | None = None,
        timeout: float | None = None,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
    ) -> None:
        """`overrides` may name `entity`, `project` and `base_url`; `timeout` in seconds; asks nothing yet."""
        given = dict(overrides or {})
        self._door = Door(base_url or given.get("base_url"), api_key, timeout or _TIMEOUT_S)
        self._entity = given.get("entity") or os.environ.get("KISEKI_ENTITY")
        self._project = given.get("project") or os.environ.get("KISEKI_PROJECT")

    @property
    def base_url(self) -> str | None:
        """Address of the server that is asked; None where the local store is read in this process."""
        return self._door.base_url

    def projects(self, entity: str | None = None) -> list[Project]:
        """Return all projects, or those of one entity, the one with the latest activity first."""
        found = self.request("GET", "/api/v1/projects")["projects"]
        projects = [Project(**{name: each[name] for name in Project._fields}) for each in found]
        return [project for project in projects if entity in (None, project.entity)]

    def run(self, path: str) -> Run:
        """Return the run at `entity/project/id`, `project/id` or `id`.

        The address of a run's page is taken too. Raises NotFoundError (a ValueError) where there is none, and
        ApiError where a short path fits several.
        """
        *place, run_id = _parts(path)
        if len(place) == 2:
            return Run(self, self.request("GET", _run_address(place[0], place[1], run_id)))
        found = []
        for entity, project in self._places(place[0] if place else self._project):
            try:
                found.append(Run(self, self.request("GET", _run_address(entity, project, run_id))))
            except NotFoundError:
                continue
        return self._only(found, path)

    def runs(
        self,
        path: str | None = None,
        filters: str | Mapping[str, Any] | None = None,
        order: str = "+created_at",
        per_page: int = 50,
    ) -> Runs:
        """Return the runs of `entity/project` or `project`, fetched page by page; None: the default project.

        `filters`: words that must occur in a run's name, id, notes or tags. `order`: `+created_at`,
        `-summary_metrics.loss`, `config.lr`, …; a minus descends. `per_page`: 1 to 1000.
        Raises NotFoundError.
        """
        if isinstance(filters, Mapping) and filters:
            raise TypeError("filters takes words to look for in name, id, notes and tags; got a mapping")
        if not 1 <= per_page <= 1000:
            raise ValueError(f"per_page is {per_page}; it takes 1 to 1000")
        text = filters if isinstance(filters, str) else ""
        entity, project = self._project_of(path)
        return Runs(self, entity, project, text, order, per_page)

    def request(self, method: str, path: str, body: object = None) -> Any:
        """Make one JSON call (`path` with its query, from `/api/v1/…` on) and return the decoded answer.

        None where the answer is empty. Raises ApiError with the server's line, TransportError if none came.
        """
        payload = b"" if body is None else to_json(body)
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        with self._door.transport() as transport:
            reply = transport.request(method, path, body=payload, headers=headers)
        if reply.status >= 300:
            raise _error(reply)
        return from_json(reply.body) if reply.body else None

    def stream_rows(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield the decoded lines of a JSON lines answer; raises as `request` does, at the first row."""
        with closing(self.stream_lines(path)) as lines:
            for line in lines:
                yield from_json(line)

    def stream_lines(self, path: str) -> Generator[bytes, None, None]:
        """Yield an answer's lines without their line feeds; raises as `request` does, at the first one."""
        with self._door.transport(own=True) as transport:
            stream = transport.stream("GET", path)
            if stream.status >= 300:
                raise _error(Reply(stream.status, stream.headers, b"".join(stream.chunks)))
            if not isinstance(transport, AsgiTransport):
                yield from _lines(stream.chunks)
                return
            # The local store is owned for one call only: keep the lines, and give it back before the first.
            kept = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
            kept.writelines(stream.chunks)
        with kept:
            kept.seek(0)
            for line in kept:
                yield line.removesuffix(b"\n")

    @contextmanager
    def open_stream(self, path: str, headers: Mapping[str, str]) -> Iterator[Stream]:
        """Open an answer whose body is read in pieces within the block; raises as `request` does."""
        with self._door.transport(own=True) as transport:
            stream = transport.stream("GET", path, headers=headers)
            with closing(stream.chunks):
                if stream.status >= 300:
                    raise _error(Reply(stream.status, stream.headers, b"".join(stream.chunks)))
                yield stream

    def _project_of(self, path: str | None) -> tuple[str, str]:
        parts = _parts(path) if path else [self._project] if self._project else []
        if len(parts) == 2:
            return parts[0], parts[1]
        if len(parts) > 2:
            raise ValueError(f'"{path}" is no project: use entity/project or project')
        places = self._places(parts[0] if parts else None)
        if not places:
            raise NotFoundError(f'no project "{path}"' if path else "no projects yet")
        if len(places) > 1:
            several = ", ".join("/".join(place) for place in places)
            raise ApiError(409, f"name one of several projects: {several}")
        return places[0]

    def _places(self, project: str | None) -> list[tuple[str, str]]:
        """Return the projects that a short path may mean; the default entity's alone where it has it."""
        found = [
            (each.entity, each.name) for each in self.projects() if project is None or each.name == project
        ]
        if project is not None:
            own = (self._entity or _os_user(), project)
            return [own] if own in found else found
        return found

    def _only(self, found: list[Run], path: str) -> Run:
        if not found:
            raise NotFoundError(f'no run "{path}"')
        if len(found) > 1:
            several = ", ".join("/".join(run.path) for run in found)
            raise ApiError(409, f'"{path}" fits several runs; use one of {several}')
        return found[0]


def _parts(path: str) -> list[str]:
    """Take a path apart; `entity/project/runs/id` and a page's address are paths too."""
    if not isinstance(path, str):
        raise TypeError(f"path takes a str such as entity/project/id, not {type(path).__name__}")
    text = unquote(urlsplit(path).path) if "://" in path else path
    parts = text.strip("/").split("/")
    if len(parts) == 4 and parts[2] == "runs":
        del parts[2]
    if not all(parts) or not 1 <= len(parts) <= 3:
        raise ValueError(f'"{path}" is no path: use entity/project/id, project/id or id')
    return parts


def _run_address(entity: str, project: str, run_id: str) -> str:
    return "/api/v1/runs/" + "/".join(quote(part, safe="") for part in (entity, project, run_id))


def _error(reply: Reply) -> ApiError:
    try:
        message = str(msgspec.json.decode(reply.body)["error"])
    except (msgspec.DecodeError, KeyError, TypeError):
        message = f"the server answered {reply.status}"
    return NotFoundError(message) if reply.status == 404 else ApiError(reply.status, message)


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""
