"""Beginning a run, and the functions that mean the current one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kiseki.records.kinds import Header
from kiseki.sdk import current, exits, fork, lane
from kiseki.sdk.config import as_mapping
from kiseki.sdk.directory import count_runs, fallback_root, make_run_dir, runs_folder, working_folder
from kiseki.sdk.errors import Error, UsageError
from kiseki.sdk.greeting import greet
from kiseki.sdk.names import new_run_id, new_run_uid, readable_name
from kiseki.sdk.project import default_entity, default_project
from kiseki.sdk.run import Run
from kiseki.sdk.settings import RunSettings, resolve_settings
from kiseki.sdk.terminal import set_verbosity, warn, warn_once
from kiseki.system.recording import effective, load_policy


def init(
    entity: str | None = None,
    project: str | None = None,
    dir: str | os.PathLike[str] | None = None,
    id: str | None = None,
    name: str | None = None,
    notes: str | None = None,
    tags: Sequence[str] | None = None,
    config: Any = None,
    config_exclude_keys: Sequence[str] | None = None,
    config_include_keys: Sequence[str] | None = None,
    allow_val_change: bool | None = None,
    group: str | None = None,
    job_type: str | None = None,
    mode: str | None = None,
    force: bool | None = None,
    reinit: bool | str | None = None,
    resume: bool | str | None = None,
    resume_from: str | None = None,
    fork_from: str | None = None,
    save_code: bool | None = None,
    tensorboard: bool | None = None,
    sync_tensorboard: bool | None = None,
    monitor_gym: bool | None = None,
    settings: Any = None,
    anonymous: Any = None,
) -> Run:
    """Begin a run and make it the current one; while one is active, return that (see `reinit`).

    The arguments are wandb's. `config` takes a dict, `argparse.Namespace` or dataclass; `mode` is "online",
    "offline" (sent by `kiseki sync` only) or "disabled"; `reinit=True` or "finish_previous" ends an active
    run first, "create_new" leaves it active. No network is used: where a server is named, the sidecar sends.
    Raises TypeError or ValueError that names the argument and what it takes.
    """
    keywords = {
        "entity": entity,
        "project": project,
        "root_dir": dir,
        "run_id": id,
        "run_name": name,
        "run_notes": notes,
        "run_tags": tags,
        "run_group": group,
        "run_job_type": job_type,
        "mode": mode,
        "reinit": reinit,
        "resume": resume,
        "save_code": save_code,
        "allow_val_change": allow_val_change,
    }
    resolved = resolve_settings(keywords, settings)
    entries = _chosen(as_mapping(config, "init(config=…)"), config_include_keys, config_exclude_keys)
    set_verbosity(silent=resolved.silent, quiet=resolved.quiet)
    _tell_without_effect(
        {
            "resume": resolved.resume != "never",
            "resume_from": resume_from,
            "fork_from": fork_from,
            "tensorboard": tensorboard,
            "sync_tensorboard": sync_tensorboard,
            "monitor_gym": monitor_gym,
            'mode="shared"': resolved.mode == "shared",
        }
    )
    with current.lock:
        if current.current is not None and current.current.inherited:
            current.current.finish()  # in a forked child, which begins a run of its own
        active = current.current
        if active is not None and resolved.reinit == "return_previous":
            warn_once(
                ("second init", active.id),
                f"run {active.name} goes on; kiseki.finish() or init(reinit=True) begins a new one",
            )
            return active
        if active is not None and resolved.reinit == "finish_previous":
            active.finish()
        return _begin(resolved, entries)


def log(data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:
    """Record one row in the current run, see `Run.log`. Raises kiseki.Error before the first `init`."""
    run = current.current
    if run is not None:
        run.log(data, step, commit)
    elif current.begun:
        warn_once("log after finish", "log after finish is not recorded; kiseki.init() begins a new run")
    else:
        raise Error("no run is active: call kiseki.init() before kiseki.log()")


def save(
    glob_str: str | bytes | os.PathLike[str],
    base_path: str | os.PathLike[str] | None = None,
    policy: str = "live",
    glob: bool = True,
) -> list[str]:
    """Upload files with the current run, see `Run.save`. Raises kiseki.Error before `init`."""
    run = current.current
    if run is None:
        raise Error("no run is active: call kiseki.init() before kiseki.save()")
    return run.save(glob_str, base_path, policy, glob)


def finish(exit_code: int | None = None) -> None:
    """End the current run, see `Run.finish`; nothing where there is none."""
    run = current.current
    if run is not None:
        run.finish(exit_code)


def _begin(settings: RunSettings, config: Mapping[Any, Any]) -> Run:
    disabled = settings.disabled or settings.mode == "disabled"
    run_id = settings.run_id or new_run_id()
    mode = "disabled" if disabled else "online" if settings.mode == "shared" else settings.mode
    header = lane.first_header(
        run_uid=new_run_uid(),
        entity=settings.entity or default_entity(),
        project=settings.project or default_project(),
        run_id=run_id,
        mode=mode,
    )
    settings = _obeying(settings, mode, header)
    run_dir: Path | None = None
    writer: lane.Writer | None = None
    number = 1
    if not disabled:
        root = Path(settings.root_dir or working_folder() or fallback_root())
        number = count_runs(runs_folder(root)) + 1
        run_dir, writer = _open(root, header)
    run = Run(settings, header, writer or lane.DiscardingWriter(header), run_dir)
    current.enter(run, as_current=settings.reinit != "create_new" or current.current is None)
    if not disabled:
        fork.install()
        exits.install()
    run.begin(settings.run_name or readable_name(number), config)
    greet(run)
    return run


def _open(root: Path, header: Header) -> tuple[Path | None, lane.Writer | None]:
    """The run's directory and writer; elsewhere where `root` takes neither, else none."""
    trouble = ""
    for place in _places(root):
        try:
            run_dir = make_run_dir(place, header.run_id, time.time())
            writer = lane.open_writer(run_dir, header, warn)
        except OSError as error:
            trouble = trouble or f"{runs_folder(place)} cannot be written ({error.strerror or error})"
            continue
        if trouble:
            warn(f"{trouble}: the run is kept in {run_dir}; init(dir=…) or KISEKI_DIR chooses another folder")
        return run_dir, writer
    warn(f"{trouble}, nor any other folder: this run is not recorded, and the training goes on")
    return None, None


def _places(root: Path) -> Iterator[Path]:
    yield root
    yield fallback_root()  # which makes that folder, so only when it is needed


def _obeying(settings: RunSettings, mode: str, header: Header) -> RunSettings:
    """The settings as they apply in `mode`: output and code are not kept where server or project chose so."""
    from msgspec.structs import replace

    console, save_code = settings.console, settings.save_code
    if mode != "disabled":
        policy = load_policy(settings.base_url)
        choices = effective(settings.recording, policy, header.entity, header.project)
        console = console if choices["console"].value else "off"
        save_code = bool(choices["save_code"].value)
    return replace(settings, mode=mode, console=console, save_code=save_code)


def _chosen(
    config: Mapping[Any, Any], include: Sequence[str] | None, exclude: Sequence[str] | None
) -> Mapping[Any, Any]:
    if include and exclude:
        raise UsageError("init takes config_include_keys or config_exclude_keys, not both")
    if include:
        return {key: value for key, value in config.items() if key in include}
    return {key: value for key, value in config.items() if key not in (exclude or ())}


def _tell_without_effect(asked: Mapping[str, Any]) -> None:
    for name, value in asked.items():
        if value:
            warn_once(("without effect", name), f"init({name}) has no effect in this version")
