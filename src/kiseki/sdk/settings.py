"""Settings: one typed table of names, variables and meanings, and how a run's settings come of it.

A keyword of `init` wins over `settings=`, that over `KISEKI_…`, that over the `WANDB_…` variables listed:
few, of the same meaning and harmless: never a host, never a key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from kiseki.sdk.project import check_name
from kiseki.sdk.terminal import warn_once
from kiseki.system.recording import MAX_INTERVAL_S

MAX_TAG = 64
MIN_OWN_INTERVAL_S = 0.1
CONSOLE_MODES = ("auto", "off", "wrap", "redirect", "wrap_raw", "wrap_emu")


class RunSettings(Struct, frozen=True, kw_only=True):
    """What applies to one run once all sources are read."""

    base_url: str | None = None
    api_key: str | None = None
    mode: str = "online"
    disabled: bool = False
    entity: str | None = None
    project: str | None = None
    run_id: str | None = None
    run_name: str | None = None
    run_notes: str | None = None
    run_tags: tuple[str, ...] = ()
    run_group: str | None = None
    run_job_type: str | None = None
    root_dir: str | None = None
    reinit: str = "return_previous"
    resume: str = "never"
    console: str = "auto"
    save_code: bool | None = None
    disable_code: bool = False
    disable_git: bool = False
    save_diff: bool | None = None
    x_save_requirements: bool = True
    x_disable_stats: bool = False
    x_stats_sampling_interval: float | None = None
    ignore_globs: tuple[str, ...] = ()
    allow_val_change: bool = False
    silent: bool = False
    quiet: bool = False
    finish_timeout: float | None = None
    recording: dict[str, tuple[bool | float, str]] = {}
    """What the user chose to record or not, with its source: see `kiseki.system.recording`."""

    def __repr__(self) -> str:
        values = _without_key({name: getattr(self, name) for name in self.__struct_fields__})
        return f"RunSettings({', '.join(f'{name}={value!r}' for name, value in values.items())})"


class Setting(NamedTuple):
    """One row of the table: `read` turns what was given into the value or raises TypeError or ValueError."""

    name: str
    read: Callable[[str, Any], Any]
    variables: tuple[str, ...]
    meaning: str


class Settings:
    """Settings to pass as `init(settings=…)`; names that Kiseki does not know are kept and have no effect.

    >>> Settings(mode="offline", silent=True).mode
    'offline'
    """

    def __init__(self, **values: Any) -> None:
        vars(self).update(values)

    def __repr__(self) -> str:
        return (
            f"Settings({', '.join(f'{name}={value!r}' for name, value in _without_key(vars(self)).items())})"
        )


def resolve_settings(
    keywords: Mapping[str, Any], settings: Any = None, environ: Mapping[str, str] | None = None
) -> RunSettings:
    """The settings of one run, from `init`'s keywords (None = not given), `settings=` and the environment.

    Raises TypeError or ValueError that names the argument or variable and what it takes.
    """
    environ = os.environ if environ is None else environ
    asked = _asked(settings)
    unknown = [name for name in asked if name not in _NAMES]
    if unknown:
        warn_once(
            ("settings", *unknown), f"settings without effect in this version: {', '.join(sorted(unknown))}"
        )
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in SETTINGS:
        source = "init"
        given = _unless_empty(setting.name, keywords.get(setting.name))
        label = f"init({_KEYWORDS.get(setting.name, setting.name)}=…)"
        if given is None:
            source = "settings"
            given = _unless_empty(setting.name, asked.get(setting.name))
            label = f"settings.{setting.name}"
        if given is None:
            source = "environment"
            for variable in setting.variables:
                if environ.get(variable):
                    given, label = environ[variable], variable
                    break
        if given is not None:
            values[setting.name] = setting.read(label, given)
            sources[setting.name] = source
    return RunSettings(**values, recording=_recording(values, sources))


def _recording(values: Mapping[str, Any], sources: Mapping[str, str]) -> dict[str, tuple[bool | float, str]]:
    """The choices of what is recorded, by the names of `kiseki.system.recording`, each with its source.

    Where two settings speak of one thing, that of the higher source wins; of equal ones, that which is off.
    """
    said: list[tuple[str, bool | float, str]] = []
    for name, value in values.items():
        for choice, chosen in _CHOICES[name](value) if name in _CHOICES else ():
            said.append((choice, chosen, sources[name]))
    found: dict[str, tuple[bool | float, str]] = {}
    for choice, chosen, source in sorted(said, key=lambda each: (_RANK[each[2]], bool(each[1]))):
        found.setdefault(choice, (chosen, source))
    return found


def _unless_empty(name: str, given: Any) -> Any:
    """None for an empty entity or project, as config files and argument parsers hand them over."""
    return None if given == "" and name in ("entity", "project") else given


def _without_key(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: "***" if name == "api_key" and value else value for name, value in values.items()}


def _asked(settings: Any) -> dict[str, Any]:
    if settings is None:
        return {}
    if isinstance(settings, Mapping):
        return {str(name): value for name, value in settings.items()}
    if isinstance(settings, Settings):
        return dict(vars(settings))
    raise TypeError(f"init(settings=…) takes a dict or kiseki.Settings, not {type(settings).__name__}")


def _text(label: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{label} takes a str, not {type(value).__name__} {value!r:.50}")
    return value


def _name(label: str, value: Any) -> str:
    text = _text(label, value)
    argument = label.removeprefix("init(").removesuffix("=…)")
    check_name(argument, text)
    return text


def _flag(label: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    raise ValueError(f"{label} takes true or false, not {value!r:.50}")


def _seconds(label: str, value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not seconds >= 0:
        raise ValueError(f"{label} takes a number of seconds, not {value!r:.50}")
    return seconds


def _interval(label: str, value: Any) -> float:
    seconds = _seconds(label, value)
    if 0 < seconds < MIN_OWN_INTERVAL_S or seconds > MAX_INTERVAL_S:
        allowed = f"0 (off) or {MIN_OWN_INTERVAL_S:g} to {MAX_INTERVAL_S:g} seconds"
        raise ValueError(f"{label} takes {allowed}, not {value!r:.50}")
    return seconds


def _globs(label: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [glob.strip() for glob in value.split(",")]
    if not isinstance(value, (Sequence, set, frozenset)) or isinstance(value, bytes):
        raise TypeError(f"{label} takes a list of str, not {type(value).__name__} {value!r:.50}")
    return tuple(dict.fromkeys(_text(label, glob) for glob in value if glob))


def _tags(label: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        from_environment = not label.startswith(("init", "settings"))
        value = [tag.strip() for tag in value.split(",") if tag.strip()] if from_environment else [value]
    if not isinstance(value, (Sequence, set, frozenset)) or isinstance(value, bytes):
        raise TypeError(f"{label} takes a list of str, not {type(value).__name__} {value!r:.50}")
    for tag in value:
        if not isinstance(tag, str):
            raise TypeError(f"{label} takes a list of str; one is {type(tag).__name__} {tag!r:.50}")
        if not 1 <= len(tag) <= MAX_TAG:
            raise ValueError(f"{label}: tag {tag[:20]!r} has {len(tag)} characters; tags have 1 to {MAX_TAG}")
    return tuple(dict.fromkeys(value))


def _folder(label: str, value: Any) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{label} takes a path, not {type(value).__name__} {value!r:.50}")
    folder = os.fspath(value)
    if not isinstance(folder, str):
        raise TypeError(f"{label} takes a path as str, not bytes")
    return os.path.abspath(os.path.expanduser(folder))


def _address(label: str, value: Any) -> str:
    text = _text(label, value).strip().rstrip("/")
    if not text.startswith(("http://", "https://")) or len(text) < len("http://x"):
        raise ValueError(f"{label} takes an address such as http://localhost:7117, not {value!r:.100}")
    return text


def _choice(meanings: Mapping[Any, str]) -> Callable[[str, Any], str]:
    def read(label: str, value: Any) -> str:
        try:
            return meanings[value.lower() if isinstance(value, str) else value]
        except (KeyError, TypeError):
            allowed = ", ".join(repr(name) for name in meanings)
            raise ValueError(f"{label} takes one of {allowed}, not {value!r:.50}") from None

    return read


_MODES = {
    "online": "online",
    "offline": "offline",
    "disabled": "disabled",
    "shared": "shared",
    "run": "online",
    "dryrun": "offline",
}
_REINITS = {
    True: "finish_previous",
    False: "return_previous",
    "default": "return_previous",
    "return_previous": "return_previous",
    "finish_previous": "finish_previous",
    "create_new": "create_new",
}
_RESUMES = {True: "auto", False: "never", "allow": "allow", "must": "must", "never": "never", "auto": "auto"}

SETTINGS: tuple[Setting, ...] = (
    Setting("base_url", _address, ("KISEKI_BASE_URL",), "Address of the server that runs are sent to."),
    Setting(
        "api_key", _text, ("KISEKI_API_KEY",), "Key for that server; else the one that `kiseki login` saved."
    ),
    Setting(
        "mode", _choice(_MODES), ("KISEKI_MODE", "WANDB_MODE"), "online, offline (not sent) or disabled."
    ),
    Setting("disabled", _flag, ("KISEKI_DISABLED", "WANDB_DISABLED"), "Record nothing at all."),
    Setting("entity", _name, ("KISEKI_ENTITY", "WANDB_ENTITY"), "Owner of the project; else the OS user."),
    Setting("project", _name, ("KISEKI_PROJECT", "WANDB_PROJECT"), "Project; else the repository's name."),
    Setting("run_id", _name, ("KISEKI_RUN_ID", "WANDB_RUN_ID"), "Id of the run; else random."),
    Setting(
        "run_name", _text, ("KISEKI_NAME", "WANDB_NAME"), "Name for people; else two words and a number."
    ),
    Setting("run_notes", _text, ("KISEKI_NOTES", "WANDB_NOTES"), "Notes about the run."),
    Setting(
        "run_tags", _tags, ("KISEKI_TAGS", "WANDB_TAGS"), "Tags, in the environment separated by commas."
    ),
    Setting("run_group", _text, ("KISEKI_RUN_GROUP", "WANDB_RUN_GROUP"), "Group that the run belongs to."),
    Setting(
        "run_job_type", _text, ("KISEKI_JOB_TYPE", "WANDB_JOB_TYPE"), "Kind of job, such as train or eval."
    ),
    Setting(
        "root_dir",
        _folder,
        ("KISEKI_DIR", "WANDB_DIR"),
        "Folder in which ./kiseki is made; else the current.",
    ),
    Setting("reinit", _choice(_REINITS), (), "What a second init does while a run is active."),
    Setting(
        "resume", _choice(_RESUMES), ("KISEKI_RESUME", "WANDB_RESUME"), "Whether to go on with a known id."
    ),
    Setting(
        "save_code", _flag, ("KISEKI_SAVE_CODE", "WANDB_SAVE_CODE"), "Whether to keep the script's code."
    ),
    Setting(
        "console",
        _choice({name: name for name in CONSOLE_MODES}),
        ("KISEKI_CONSOLE", "WANDB_CONSOLE"),
        "How output is recorded: auto, redirect (descriptors too), wrap (Python only) or off.",
    ),
    Setting(
        "disable_code",
        _flag,
        ("KISEKI_DISABLE_CODE", "WANDB_DISABLE_CODE"),
        "Keep no code: neither the script nor the diff.",
    ),
    Setting(
        "disable_git", _flag, ("KISEKI_DISABLE_GIT", "WANDB_DISABLE_GIT"), "Record nothing of git, no diff."
    ),
    Setting("save_diff", _flag, ("KISEKI_SAVE_DIFF",), "Whether to keep the diff of uncommitted changes."),
    Setting(
        "x_save_requirements",
        _flag,
        ("KISEKI_X_SAVE_REQUIREMENTS",),
        "Whether to keep the list of installed packages.",
    ),
    Setting("x_disable_stats", _flag, ("KISEKI_X_DISABLE_STATS",), "Record no system metrics."),
    Setting(
        "x_stats_sampling_interval",
        _interval,
        ("KISEKI_X_STATS_SAMPLING_INTERVAL",),
        "Seconds between two samples of the system metrics; 0 is off.",
    ),
    Setting(
        "ignore_globs",
        _globs,
        ("KISEKI_IGNORE_GLOBS", "WANDB_IGNORE_GLOBS"),
        "Patterns of files in run.dir that are not uploaded; in the environment separated by commas.",
    ),
    Setting("allow_val_change", _flag, (), "Whether config keys may change once set."),
    Setting("silent", _flag, ("KISEKI_SILENT", "WANDB_SILENT"), "Print nothing to the terminal."),
    Setting("quiet", _flag, ("KISEKI_QUIET", "WANDB_QUIET"), "Print warnings only."),
    Setting(
        "finish_timeout", _seconds, ("KISEKI_FINISH_TIMEOUT",), "Seconds that finish waits for the upload."
    ),
)
_RANK = {"init": 0, "settings": 1, "environment": 2}
_CHOICES: Mapping[str, Callable[[Any], Sequence[tuple[str, bool | float]]]] = {
    "console": lambda mode: [("console", mode != "off")],
    "save_code": lambda on: [("save_code", on)],
    "disable_code": lambda off: [("save_code", False), ("diff", False)] if off else [],
    "disable_git": lambda off: [("git", not off)],
    "save_diff": lambda on: [("diff", on)],
    "x_save_requirements": lambda on: [("requirements", on)],
    "x_disable_stats": lambda off: [("system_interval", 0.0)] if off else [],
    "x_stats_sampling_interval": lambda seconds: [("system_interval", seconds)],
}
_NAMES = frozenset(setting.name for setting in SETTINGS)
_KEYWORDS = {
    "run_id": "id",
    "run_name": "name",
    "run_notes": "notes",
    "run_tags": "tags",
    "run_group": "group",
    "run_job_type": "job_type",
    "root_dir": "dir",
}
