"""What applies to each run of what is recorded unasked: asked of its server, told to its trainings.

The choices themselves, and which one wins, are `kiseki.system.recording`; the file through which a training
hears of a change is specified in docs/formats/local-files.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from kiseki.client.transport import Reply
from kiseki.records.kinds import Environment
from kiseki.sidecar.follow import RunFollow
from kiseki.sidecar.spool import Pointer
from kiseki.system.files import write_atomically
from kiseki.system.recording import Choice, Policy, effective, known_choices, load_policy, store_policy

ASK_S: Final = 5.0
"""A server is asked for a live project's choices this often."""

PATIENCE_S: Final = 5.0
"""A server that has not answered for so long after a run was first seen: what was known before applies."""

_AGAIN_S: Final = 0.2
_REFUSED_S: Final = 60.0
_LOCAL_S: Final = 1.0

Ask = Callable[[str, str], Reply | None]


class Recording:
    """What applies to the runs of one sidecar: the attendant that the others ask."""

    def __init__(self, ask: Ask) -> None:
        """`ask(base_url, path)` sends a GET over a connection that is open, else returns None at once."""
        self._ask = ask
        self._policies: dict[str | None, Policy] = {}
        self._local_at = float("-inf")
        self._projects: dict[tuple[str, str], _Project] = {}
        self._runs: dict[Path, _Run] = {}

    def choices(self, run: RunFollow) -> dict[str, Choice] | None:
        """What applies to a run now, by name; None for a moment, until its server has been asked."""
        known = self._runs.get(run.folder)
        return None if known is None else known.choices

    def interval(self, run: RunFollow) -> float | None:
        """Seconds between two samples of a run's machine, 0 for none; None while `choices` is."""
        choices = self.choices(run)
        return None if choices is None else float(choices["system_interval"].value)

    def attend(self, run: RunFollow, now: float) -> None:
        """Ask what is due for a run; where something else applies now, record it and tell the trainings."""
        pointer = next(iter(run.pointers.values()), None)
        if pointer is None:
            return
        known = self._runs.setdefault(run.folder, _Run(_place(pointer)))
        if known.choices is not None and run.all_ended:
            return
        if not self._is_known(pointer, known.place, now):
            return
        policy = self._policies.get(pointer.base_url) or load_policy(pointer.base_url)
        self._policies[pointer.base_url] = policy
        choices = effective(pointer.recording, policy, pointer.entity, pointer.project)
        if choices != known.choices:
            said = {name: choice._asdict() for name, choice in choices.items()}
            if run.own.append(Environment(0, {"recording": said})) or known.choices is None:
                known.choices = choices
        self._tell(run, known, bool(choices["console"].value))

    def settled(self, run: RunFollow) -> bool:
        """Whether it is known what applies to a run."""
        known = self._runs.get(run.folder)
        return known is None or known.choices is not None

    def release(self, run: RunFollow) -> None:
        """Forget a run that needs nothing any more."""
        known = self._runs.pop(run.folder, None)
        if known is None:
            return
        for writer in known.consoles:
            with contextlib.suppress(OSError):
                os.unlink(_commands_file(run, writer))
        if known.place is not None and all(other.place != known.place for other in self._runs.values()):
            self._projects.pop(known.place, None)

    def next_turn(self) -> float:
        """When a server is to be asked for the first time; all else can wait for the loop's own pace."""
        waiting = [project.ask_at for project in self._projects.values() if not project.known]
        return min(waiting, default=float("inf"))

    def register(self, poll: select.poll) -> None:
        """Nothing to wait for: changes are looked for, not announced."""

    def _tell(self, run: RunFollow, known: _Run, console: bool) -> None:
        for writer, pointer in run.pointers.items():
            follow = run.writers.get(writer)
            if follow is None or follow.ended or known.consoles.get(writer, pointer.console) == console:
                continue
            with contextlib.suppress(OSError):  # A full disk: the next turn tries again.
                write_atomically(_commands_file(run, writer), json.dumps({"console": console}) + "\n")
                known.consoles[writer] = console

    def _is_known(self, pointer: Pointer, place: tuple[str, str] | None, now: float) -> bool:
        """Whether it can be said now what applies; asks the server, or looks at the local file, where due."""
        if pointer.base_url is None and now - self._local_at >= _LOCAL_S:
            self._local_at = now
            self._policies[None] = load_policy(None)
        if place is None:
            return True
        project = self._projects.setdefault(place, _Project(now))
        if now >= project.ask_at:
            path = f"/api/v1/projects/{quote(pointer.entity, '')}/{quote(pointer.project, '')}/settings"
            reply = self._ask(place[0], path)
            if reply is not None:
                project.known = True
                project.ask_at = now + (ASK_S if self._take(place, reply) else _REFUSED_S)
            else:
                project.known |= now - project.since >= PATIENCE_S
                project.ask_at = now + (ASK_S if project.known else _AGAIN_S)
        return project.known

    def _take(self, place: tuple[str, str], reply: Reply) -> bool:
        """Take a server's answer into the policy that is kept of it; False for one that says nothing."""
        base_url, project = place
        try:
            answer = msgspec.json.decode(reply.body, type=_Answer) if reply.status == 200 else None
        except msgspec.DecodeError:
            answer = None
        if answer is None:
            return False
        before = self._policies.get(base_url) or load_policy(base_url)
        projects = {name: own for name, own in before.projects.items() if name != project}
        own = known_choices(answer.own)
        if own:
            projects[project] = own
        policy = Policy(known_choices(answer.server), projects, time.time())
        self._policies[base_url] = policy
        if policy[:2] != before[:2]:
            with contextlib.suppress(OSError):  # It applies here all the same; the next run learns it late.
                store_policy(base_url, policy)
        return True


class _Project:
    """When the choices of one project are asked for."""

    def __init__(self, now: float) -> None:
        self.since = now
        self.ask_at = now
        self.known = False
        """Whether its server has answered, or is waited for no longer."""


class _Run:
    """What a run and its trainings were told; `place` is the server to ask, and the project there."""

    def __init__(self, place: tuple[str, str] | None) -> None:
        self.place = place
        self.choices: dict[str, Choice] | None = None
        self.consoles: dict[str, bool] = {}


class _Answer(msgspec.Struct):
    own: dict[str, object]
    server: dict[str, object]


def _place(pointer: Pointer) -> tuple[str, str] | None:
    if pointer.upload_to is None:
        return None
    return pointer.upload_to, f"{pointer.entity}/{pointer.project}"


def _commands_file(run: RunFollow, writer: str) -> Path:
    return run.folder / f"{writer}.commands"
