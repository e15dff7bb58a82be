"""A run: what `init` returns and the training logs to."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from kiseki.records.kinds import Config as ConfigRecord
from kiseki.records.kinds import Edit, Environment, Header
from kiseki.sdk import current, exits, finish, lane, restoring, saving
from kiseki.sdk.commands import Commands
from kiseki.sdk.config import Config
from kiseki.sdk.console import Capture
from kiseki.sdk.console import start as start_capture
from kiseki.sdk.directory import keep_ignored
from kiseki.sdk.ending import ending_of
from kiseki.sdk.environment import describe_environment
from kiseki.sdk.errors import UsageError
from kiseki.sdk.launch import Sidecar
from kiseki.sdk.notebook import SessionHistory, keep_session_history
from kiseki.sdk.page import page_url
from kiseki.sdk.recorder import Recorder
from kiseki.sdk.settings import RunSettings
from kiseki.sdk.summary import Summary
from kiseki.sdk.terminal import say, shown, warn_once


class Run:
    """One run, made by `kiseki.init`, ended by `finish`, the end of a `with`, or that of the process.

    `log` never raises and never waits for a network. All methods may be called from any thread, from a signal
    handler and in a forked child, whose rows are a lane of their own.
    """

    def __init__(
        self, settings: RunSettings, header: Header, writer: lane.Writer, run_dir: Path | None
    ) -> None:
        """Use `kiseki.init`. `run_dir` is None where nothing is kept."""
        self._settings = settings
        self._header = header
        self._run_dir = run_dir
        self._recorder = Recorder(writer, run_dir, self._look_after_own_lane)
        self._finished = False
        self._sidecar: Sidecar | None = None
        self._capture: Capture | None = None
        self._history: SessionHistory | None = None
        self._scratch: str | None = None
        self._name = settings.run_name or ""
        self._notes = settings.run_notes
        self._tags = settings.run_tags
        self._config = Config(self._record_config, settings.allow_val_change)
        recorder = self._recorder
        self._summary = Summary(recorder.tree, recorder.change_summary, recorder.last_row)

    def log(self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:
        """Record one row; when this returns, it is in the kernel.

        `data` maps metric names to numbers, strings, bools, None, lists, small arrays or nested dictionaries.
        Without `step` the row belongs to the open step and, unless `commit=False`, closes it. With `step` it
        belongs to that step, which stays open unless `commit=True`; an earlier step is kept as well. What
        cannot be recorded is one warning; this never raises.
        """
        self._recorder.log_row(data, step, commit)

    def finish(self, exit_code: int | None = None) -> None:
        """End the run, as failed where `exit_code` is not 0; waits for the upload, at most the bound."""
        if exit_code is not None and not isinstance(exit_code, int):
            raise TypeError(
                f"finish(exit_code=…) takes an int, not {type(exit_code).__name__} {exit_code!r:.50}"
            )
        self.end("failed" if exit_code else "finished", exit_code or 0)

    def save(
        self,
        glob_str: str | bytes | os.PathLike[str],
        base_path: str | os.PathLike[str] | None = None,
        policy: str = "live",
        glob: bool = True,
    ) -> list[str]:
        """Upload files of this machine with the run; returns their paths in the run's folder, sorted.

        `glob_str` is expanded once, now (`glob=False`: it is the name of a file). Folders below `base_path`
        are kept; without one those of a relative pattern, and of an absolute one the last. A folder stands
        for the files in it. `policy`: "live" uploads a file whenever it has changed, "now" as it is now,
        "end" as it is when the run ends. Raises ValueError where the pattern does not lie below its base.
        """
        if self._finished:
            raise UsageError(f"run {self.id} has finished: save() before finish()")
        return saving.save_files(Path(self.dir), self._run_dir, glob_str, base_path, policy, glob)

    def restore(
        self, name: str, run_path: str | None = None, replace: bool = False, root: str | None = None
    ) -> TextIO | None:
        """Return a file of this run or of another, see `kiseki.restore`."""
        return restoring.restore_for(self, name, run_path, replace, root)

    @property
    def config(self) -> Config:
        """The run's config."""
        return self._config

    @property
    def summary(self) -> Summary:
        """The last value of each key, logged or set by hand."""
        return self._summary

    @property
    def settings(self) -> RunSettings:
        """What applies to this run."""
        return self._settings

    @property
    def id(self) -> str:
        """The run's id, unique in its project."""
        return self._header.run_id

    @property
    def name(self) -> str:
        """The run's name for people; may be set."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"run.name takes a str, not {type(name).__name__} {name!r:.50}")
        self._name = name
        self._recorder.write(lambda writer: Edit(writer.now(), {"name": name}))

    @property
    def notes(self) -> str | None:
        """Notes about the run; may be set."""
        return self._notes

    @notes.setter
    def notes(self, notes: str | None) -> None:
        if notes is not None and not isinstance(notes, str):
            raise TypeError(f"run.notes takes a str, not {type(notes).__name__} {notes!r:.50}")
        self._notes = notes
        self._recorder.write(lambda writer: Edit(writer.now(), {"notes": notes}))

    @property
    def tags(self) -> tuple[str, ...]:
        """The run's tags; may be set."""
        return self._tags

    @tags.setter
    def tags(self, tags: Sequence[str] | None) -> None:
        if isinstance(tags, str):
            tags = (tags,)
        found = tuple(dict.fromkeys(tags or ()))
        if not all(isinstance(tag, str) and tag for tag in found):
            raise TypeError(f"run.tags takes a list of str, not {tags!r:.100}")
        self._tags = found
        self._recorder.write(lambda writer: Edit(writer.now(), {"tags": list(found)}))

    @property
    def project(self) -> str:
        """The run's project."""
        return self._header.project

    @property
    def entity(self) -> str:
        """The owner of the project."""
        return self._header.entity

    @property
    def group(self) -> str | None:
        """The group that the run belongs to."""
        return self._settings.run_group

    @property
    def job_type(self) -> str | None:
        """The kind of job that the run is."""
        return self._settings.run_job_type

    @property
    def path(self) -> str:
        """`entity/project/id`."""
        return f"{self.entity}/{self.project}/{self.id}"

    @property
    def dir(self) -> str:
        """Folder for files of this run."""
        if self._run_dir is not None:
            return str(self._run_dir / "files")
        if self._scratch is None:
            import tempfile

            self._scratch = tempfile.mkdtemp(prefix="kiseki-")
        return self._scratch

    @property
    def sync_dir(self) -> str | None:
        """The run directory, which `kiseki sync` takes; None where nothing is kept."""
        return None if self._run_dir is None else str(self._run_dir)

    @property
    def url(self) -> str | None:
        """The run's page on the server that is named, else on this user's `kiseki up`, else None."""
        return page_url(self._settings.base_url, self.path) if self._settings.mode == "online" else None

    @property
    def step(self) -> int:
        """The step of the next plain `log`."""
        return self._recorder.steps.current

    @property
    def start_time(self) -> float:
        """When the run began, unix seconds."""
        return self._header.wall_ns / 1e9

    @property
    def offline(self) -> bool:
        """Whether the run is sent only by `kiseki sync`."""
        return self._settings.mode == "offline"

    @property
    def disabled(self) -> bool:
        """Whether nothing is recorded."""
        return self._settings.mode == "disabled"

    @property
    def inherited(self) -> bool:
        """Whether this process is a forked child of the one that began the run."""
        return self._recorder.forked

    @property
    def resumed(self) -> bool:
        """Whether this goes on from an earlier process."""
        return self._header.resumes is not None

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(*ending_of(error))

    def __repr__(self) -> str:
        return f"<kiseki.Run {self.path} ({self.name})>"

    def begin(self, name: str, config: Mapping[Any, Any]) -> None:
        """Write what is known at the start, and give the writer into the sidecar's care."""
        self._name = name
        asked = self._settings
        if self._run_dir is not None:
            self._capture = start_capture(self._recorder, asked.console)
        fields = {
            "name": name,
            "notes": asked.run_notes,
            "tags": list(asked.run_tags),
            "group": asked.run_group,
            "job_type": asked.run_job_type,
        }
        given = {field: value for field, value in fields.items() if value}
        self._recorder.write(lambda writer: Edit(writer.now(), given))
        self._recorder.write(lambda writer: Environment(writer.now(), describe_environment()))
        self._config.update(config)
        if self._run_dir is not None:
            if asked.save_code:
                self._history = keep_session_history(self._run_dir)
            keep_ignored(self._run_dir, asked.ignore_globs)
            self._call_sidecar()

    def end(
        self, state: str, exit_code: int | None, reason: str | None = None, *, bound: float | None = None
    ) -> None:
        """End the run in `state`; `bound` limits the wait for the upload (s). Nothing where it has ended."""
        with current.lock:
            if self._finished:
                return
            self._finished = True
            if self._capture is not None:
                self._capture.stop()
            writer = self._recorder.close(state, exit_code, reason)
            current.leave(self)
            if not current.active:
                exits.uninstall()
        if self._history is not None:
            self._history.stop()
        if self._sidecar is not None:
            self._sidecar.stop_watching()
        if writer is not None and not self.inherited and self._run_dir is not None:
            self._part(writer, self._run_dir, state, bound)

    def end_by_signal(self, name: str, then: Callable[[], None]) -> None:
        """Mark the run as killed by the signal `name`, with no wait, then do `then`.

        Within a `log` that the signal interrupted both happen as soon as its row is written.
        """
        self._finished = True
        if self._capture is not None:
            self._capture.stop(hurried=True)
        self._recorder.close("killed", None, name)
        self._recorder.exclusively(then)

    def lock_for_fork(self) -> None:
        """Hold the run across a fork, so that the child finds it between two records."""
        self._recorder.lock_for_fork()

    def unlock_after_fork(self) -> None:
        """Let go in the parent."""
        self._recorder.unlock_after_fork()

    def continue_in_child(self) -> None:
        """Become the run of a forked child, which touches nothing until it has something to record."""
        self._sidecar = None
        if self._capture is not None:
            self._capture.continue_in_child()
            self._capture = None
        self._recorder.continue_in_child()

    @property
    def _sends(self) -> bool:
        return bool(self._settings.base_url) and self._settings.mode == "online"

    def _call_sidecar(self) -> None:
        assert self._run_dir is not None
        try:
            self._sidecar = Sidecar(self._settings)
            self._sidecar.hand_over(self._recorder.lane, self._run_dir)
            self._commands = Commands(self._run_dir, self._recorder.lane.writer)
            self._sidecar.watch(self._glance, self._look)
            if self._sends and not self._sidecar.may_send:
                server = self._settings.base_url
                warn_once(("key", server), f"no key for {server}: set KISEKI_API_KEY or run kiseki login")
        except (OSError, RuntimeError) as error:  # RuntimeError: no thread may start while Python ends
            warn_once(
                "sidecar", f"no process beside this one ({error}): rows are in {self._run_dir}, not sent"
            )

    def _glance(self) -> None:
        """What that thread does more often: hear whether the output shall be recorded."""
        wanted = self._commands.news().get("console")
        if not isinstance(wanted, bool):
            return
        with current.lock:
            if self._finished or self.inherited:  # A child's output goes through its parent's capture.
                return
            if self._capture is not None:
                self._capture.pause(recording=wanted)
            elif wanted:
                self._capture = start_capture(self._recorder, "auto")

    def _look(self) -> None:
        """What the thread that looks after the sidecar does for the run: note a clock that drifted."""
        if not self._finished:
            self._recorder.note_clock()

    def _look_after_own_lane(self) -> None:
        """Give the lane that a forked child has begun into a sidecar's care, and see to its end."""
        self._call_sidecar()
        exits.end_with_multiprocessing()

    def _part(self, writer: lane.Writer, run_dir: Path, state: str, bound: float | None) -> None:
        """Tell where the run is, after the wait for its upload where there is one."""
        sent = False
        if self._sidecar is not None:
            limit = finish.finish_bound(self._settings.finish_timeout) if bound is None else bound
            progress = self._sidecar.progress_file(writer.header.writer)
            ensure = self._sidecar.ensure_or_warn
            if self._sends:
                limit = limit if self._sidecar.may_send else 0.0
                sent = finish.await_upload(progress, writer.position, limit, run_dir, ensure)
            elif finish.dies_with_the_job():
                finish.await_records(progress, limit, ensure, self._sidecar.is_running)
        say(f"run {self.name} {state} → {(sent and self.url) or shown(run_dir)}")

    def _record_config(self, entries: dict[str, Any]) -> None:
        self._recorder.write(lambda writer: ConfigRecord(writer.now(), entries))
