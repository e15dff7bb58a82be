"""Runs as the public API gives them: one run with its rows, and a project's runs, page by page."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, overload
from urllib.parse import quote, urlencode

from kiseki.client.errors import NotFoundError
from kiseki.client.files import File, Files, matches
from kiseki.client.metadata import wandb_metadata

if TYPE_CHECKING:
    from kiseki.client.api import Api

_ALWAYS = ("_step", "_runtime", "_timestamp")
_SORT_KEYS = {
    "created_at": "created",
    "createdAt": "created",
    "display_name": "name",
    "displayName": "name",
}


class RunSummary(dict[str, Any]):
    """A run's summary, a dictionary."""

    @property
    def _json_dict(self) -> dict[str, Any]:
        """A plain copy, under the name by which wandb's guide to exporting runs asks for it."""
        return dict(self)


class Run:
    """One run, as it was when it was read; `load` reads it again."""

    def __init__(self, api: Api, document: Mapping[str, Any]) -> None:
        """Use `Api.run` or `Api.runs`."""
        self._api = api
        self._document = document

    @property
    def document(self) -> Mapping[str, Any]:
        """All that is known of the run, as `GET /api/v1/runs/{entity}/{project}/{id}` answers."""
        return self._document

    @property
    def id(self) -> str:
        """The run's id within its project."""
        return str(self._document["id"])

    @property
    def name(self) -> str:
        """The run's readable name."""
        return str(self._document["name"])

    @property
    def entity(self) -> str:
        """Who owns the project."""
        return str(self._document["entity"])

    @property
    def project(self) -> str:
        """The project's name."""
        return str(self._document["project"])

    @property
    def path(self) -> list[str]:
        """Entity, project and id."""
        return [self.entity, self.project, self.id]

    @property
    def state(self) -> str:
        """`running`, `finished`, `failed`, `crashed`, `killed` or `no_contact`."""
        return str(self._document["state"])

    @property
    def exit_code(self) -> int | None:
        """The exit code, where the run said one."""
        code: int | None = self._document["exit_code"]
        return code

    @property
    def config(self) -> dict[str, Any]:
        """The config: nested dicts, integers exact, NaN a float."""
        return dict(self._document["config"])

    @property
    def summary(self) -> RunSummary:
        """The summary: nested dicts, `_step`, `_runtime` (s) and `_timestamp` (unix s) among them."""
        return RunSummary(self._document["summary"])

    @property
    def notes(self) -> str | None:
        """The notes."""
        notes: str | None = self._document["notes"]
        return notes

    @property
    def tags(self) -> list[str]:
        """The tags."""
        return list(self._document["tags"] or ())

    @property
    def group(self) -> str | None:
        """The group."""
        group: str | None = self._document["group"]
        return group

    @property
    def job_type(self) -> str | None:
        """The job type."""
        job_type: str | None = self._document["job_type"]
        return job_type

    @property
    def user(self) -> str | None:
        """The operating system's user that ran it."""
        user: str | None = self._document["user"]
        return user

    @property
    def host(self) -> str | None:
        """The machine that ran it."""
        host: str | None = self._document["host"]
        return host

    @property
    def metadata(self) -> dict[str, Any] | None:
        """How and on what it ran, under the names of wandb's metadata; None where that is not recorded.

        `document["environment"]` has all of it, under Kiseki's own names (docs/recorded.md).
        """
        return wandb_metadata(self._document)

    @property
    def created_at(self) -> str:
        """When the run began, in UTC: `2026-11-24T17:10:55Z`."""
        when = datetime.fromtimestamp(self._document["created"], timezone.utc)
        return when.strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def url(self) -> str | None:
        """Address of the run's page; None where no server serves it."""
        url: str | None = self._document["url"]
        return url

    @property
    def lastHistoryStep(self) -> int:
        """The last step that has a row, -1 where there is none."""
        step = self._document["last_step"]
        return -1 if step is None else int(step)

    def load(self) -> Run:
        """Read the run again; returns itself."""
        self._document = self._api.request("GET", self._address())
        return self

    def history(
        self,
        samples: int = 500,
        keys: Sequence[str] | None = None,
        x_axis: str = "_step",
        pandas: bool = True,
        stream: str = "default",
    ) -> Any:
        """Return about `samples` rows, evenly spaced, the first and the last among them.

        With `keys`, only rows that have all of them, with these and `x_axis`. A pandas DataFrame where pandas
        is installed and `pandas` is True, else a list of dicts. Rows of lanes other than the primary one
        carry `_lane`. `stream="system"` gives what was measured beside the training: `_runtime`,
        `_timestamp`, `system.…`, and `_lane`, the host's name, where that is not the first one's, by time.
        Raises ValueError for another stream, or less than one sample.
        """
        _check_keys(keys)
        if not isinstance(samples, int):
            raise TypeError(f"samples takes a whole number, not {type(samples).__name__} {samples!r:.50}")
        if samples < 1:
            raise ValueError(f"samples is {samples}; it takes 1 or more")
        _check_stream(stream)
        if stream != "default" and x_axis == "_step":
            x_axis = "_timestamp"
        wanted = _with_axis(keys, x_axis)
        query = [("stream", stream), ("samples", str(samples)), *(("keys", key) for key in wanted)]
        rows = self._api.request("GET", f"{self._address()}/history?{urlencode(query)}")["rows"]
        if keys is not None:
            rows = [_only_keys((x_axis, *keys), row) for row in rows]
        if x_axis != "_step":
            rows.sort(key=lambda row: _sortable(row.get(x_axis)))
        return _frame(rows) if pandas else rows

    def system(self) -> dict[str, Any]:
        """What was measured beside the training: `metrics` with their extremes and units, and whose `lanes`.

        As `GET /api/v1/runs/{entity}/{project}/{id}/system` answers; `history(stream="system")` has the
        samples themselves.
        """
        return dict(self._api.request("GET", f"{self._address()}/system"))

    @property
    def system_metrics(self) -> dict[str, Any]:
        """The last value of each metric that was measured beside the training, by its key; asked for anew."""
        return {metric["key"]: metric["last"] for metric in self.system()["metrics"]}

    def scan_history(
        self,
        keys: Sequence[str] | None = None,
        page_size: int = 1000,
        min_step: int | None = None,
        max_step: int | None = None,
        stream: str = "default",
    ) -> Iterator[dict[str, Any]]:
        """Yield every row as a dict with `_step`, `_runtime`, `_timestamp` and its values.

        With `keys`, only rows that have all of them, and nothing but these: name `_step` where you want it.
        Rows of lanes other than the primary one carry `_lane`. `max_step` is exclusive. Rows are streamed,
        so that `page_size` decides nothing here. `stream="system"` gives what was measured beside the
        training, without `_step`: its steps, also `min_step` and `max_step`, count the samples.
        """
        _check_keys(keys)
        _check_stream(stream)
        query = [("stream", stream), *(("keys", key) for key in keys or ())]
        query += [
            (name, str(step))
            for name, step in (("min_step", min_step), ("max_step", max_step))
            if step is not None
        ]
        rows = self._api.stream_rows(f"{self._address()}/export?{urlencode(query)}")
        return rows if not keys else (_only_keys(keys, row) for row in rows)

    def files(
        self, names: Sequence[str] | None = None, per_page: int = 50, pattern: str | None = None
    ) -> Files:
        """Return the run's files by path: all, or those in `names`, or that fit `pattern` (`%` is any text).

        They come in one answer, so that `per_page` decides nothing here.
        """
        if isinstance(names, str):
            raise TypeError(f"names takes a list of file names, not str {names!r:.50}")
        found = self._api.request("GET", f"{self._address()}/files")["files"]
        base_url = self._api.base_url
        files = [
            File(self._api, self._address(), each, base_url)
            for each in found
            if matches(each["path"], names, pattern)
        ]
        return Files(files, "/".join(self.path))

    def file(self, name: str) -> File:
        """Return the file at `name`, a path such as `media/a.png`; raises NotFoundError."""
        found = self.files([name])
        if not found:
            raise NotFoundError(f"run {'/'.join(self.path)} has no file {name!r}")
        return found[0]

    def console_logs(self, ansi: bool = False, *, follow: bool = False, lane: int = 0) -> Iterator[str]:
        """Yield the lines that the run printed, as a terminal would show them, colours kept where `ansi`.

        With `follow`, goes on until the run has ended: a line comes once the next one was begun, so that a
        progress bar is one line when it is full. `lane`: 0 is the primary one. Raises NotFoundError.
        """
        from kiseki.client.console import RunConsole, console_texts

        return console_texts(RunConsole(self._api, self.path, lane), ansi=ansi, follow=follow)

    def __repr__(self) -> str:
        """Name the run and its state."""
        return f"<Run {'/'.join(self.path)} ({self.state})>"

    def _address(self) -> str:
        return "/api/v1/runs/" + "/".join(quote(part, safe="") for part in self.path)


class Runs(Sequence[Run]):
    """A project's runs, fetched page by page as they are asked for; `len` is the exact number."""

    def __init__(self, api: Api, entity: str, project: str, text: str, order: str, per_page: int) -> None:
        """Use `Api.runs`."""
        self._api = api
        self._address = f"/api/v1/projects/{quote(entity, safe='')}/{quote(project, safe='')}/runs"
        self._text = text
        self._sort = _sort_key(order)
        self._per_page = per_page
        self._pages: dict[int, list[Run]] = {}
        self._length: int | None = None

    def __len__(self) -> int:
        """Ask the server for the exact number, once."""
        if self._length is None:
            query = urlencode({"filter": self._text})
            self._length = int(self._api.request("GET", f"{self._address}/count?{query}")["count"])
        return self._length

    @overload
    def __getitem__(self, index: int) -> Run: ...

    @overload
    def __getitem__(self, index: slice) -> list[Run]: ...

    def __getitem__(self, index: int | slice) -> Run | list[Run]:
        """Return one run or, for a slice, a list."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = index + len(self) if index < 0 else index
        if number < 0:
            raise IndexError(f"there are {len(self)} runs, so none at {index}")
        page = self._page(number // self._per_page)
        try:
            return page[number % self._per_page]
        except IndexError:
            raise IndexError(f"there are {len(self)} runs, so none at {index}") from None

    def __iter__(self) -> Iterator[Run]:
        """Yield the runs in order; one request a page."""
        number = 0
        while page := self._page(number):
            yield from page
            if len(page) < self._per_page:
                return
            number += 1

    def __repr__(self) -> str:
        """Name the place and the number."""
        return f"<Runs {self._address.removeprefix('/api/v1/')} ({len(self)})>"

    def _page(self, number: int) -> list[Run]:
        if number not in self._pages:
            query = {
                "filter": self._text,
                "sort": self._sort,
                "limit": self._per_page,
                "offset": number * self._per_page,
            }
            found = self._api.request("GET", f"{self._address}?{urlencode(query)}")["runs"]
            self._pages[number] = [Run(self._api, document) for document in found]
        return self._pages[number]


def _sort_key(order: str) -> str:
    """Translate `+created_at`, `-summary_metrics.loss`, `config.lr` to the server's sort keys."""
    sign = "-" if order.startswith("-") else ""
    key = order.lstrip("+-")
    key = _SORT_KEYS.get(key, key)
    if key.startswith("summary_metrics."):
        key = "summary." + key.removeprefix("summary_metrics.")
    return sign + key.removesuffix(".value")


def _check_keys(keys: object) -> None:
    if isinstance(keys, str) or not (keys is None or isinstance(keys, Sequence)):
        raise TypeError(f"keys takes a list of metric names, not {type(keys).__name__} {keys!r:.50}")


def _check_stream(stream: str) -> None:
    if stream not in ("default", "system"):
        raise ValueError(f'stream="{stream}": there are "default" and "system"')


def _only_keys(keys: Sequence[str], row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in (*keys, "_lane") if key in row}


def _with_axis(keys: Sequence[str] | None, x_axis: str) -> list[str]:
    if keys is None:
        return []
    extra = [] if x_axis in keys else [x_axis]
    return [key for key in (*keys, *extra) if key not in _ALWAYS]


def _sortable(value: Any) -> tuple[bool, float]:
    number = isinstance(value, (int, float)) and value == value
    return (not number, float(value) if number else 0.0)


def _frame(rows: list[dict[str, Any]]) -> Any:
    try:
        pandas = importlib.import_module("pandas")
    except ImportError:
        return rows
    return pandas.DataFrame.from_records(rows)
