"""A virtual environment with exactly the recorded packages, by uv where it is there, else by venv and pip."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from kiseki.client.reproduce.recorded import Recorded
from kiseki.client.reproduce.requirements import sort_requirements

_MAX_DROPPED = 50
# What builds an environment from a lock file; {venv} is where it is wanted.
_LOCK_TOOLS = {
    "uv.lock": ("uv", ["sync", "--frozen"], {"UV_PROJECT_ENVIRONMENT": "{venv}"}),
    "poetry.lock": ("poetry", ["install", "--no-interaction"], {"POETRY_VIRTUALENVS_IN_PROJECT": "true"}),
    "Pipfile.lock": ("pipenv", ["sync"], {"PIPENV_VENV_IN_PROJECT": "1"}),
    "pdm.lock": ("pdm", ["sync"], {"PDM_VENV_IN_PROJECT": "1"}),
    "conda-explicit.txt": ("conda", ["create", "--yes", "--prefix", "{venv}", "--file", "{lock}"], {}),
}


class Environment(Struct, frozen=True):
    """What was built: its folder, Python's version, the tool, how many packages; and what is missing."""

    folder: str
    python: str
    tool: str
    packages: int
    shortfalls: tuple[str, ...] = ()


class Unbuildable(RuntimeError):
    """No environment can be built; the text says why and what to do."""


def build_environment(
    recorded: Recorded, into: Path, scratch: Path, python: str | None, *, from_lock: bool = False
) -> Environment:
    """Build `into/.venv`. `python`: the interpreter to use; else the recorded one or its like.

    Raises Unbuildable.
    """
    if from_lock:
        return _from_lock(recorded, into, scratch)
    venv = into / ".venv"
    if venv.is_symlink():
        raise Unbuildable(f"{venv} is a link that git has: remove it from the work tree")
    shortfalls: list[str] = []
    uv = shutil.which("uv")
    wanted = recorded.text("python")
    interpreter = python or find_python(recorded.text("executable"), wanted)
    if interpreter is None and not uv:
        interpreter = sys.executable
    if uv:
        _call([uv, "venv", "--quiet", "--python", interpreter or wanted, str(venv)], {})
    else:
        _call([str(interpreter), "-m", "venv", *_without_pip(), str(venv)], {})
    (venv / ".gitignore").write_text("*\n")
    inner = venv / ("Scripts" if os.name == "nt" else "bin") / "python"
    version = _version_of(str(inner)) or "?"
    if version != wanted and wanted:
        shortfalls.append(f"Python {version} instead of {wanted}")
    name = recorded.text("packages_file")
    listed = scratch / "requirements.txt"
    lines: Sequence[str] = ()
    if not name or not recorded.fetch(name, listed):
        shortfalls.append("the installed packages are not recorded")
    else:
        text = listed.read_text(encoding="utf-8", errors="surrogateescape")
        sorted_ = sort_requirements(text, recorded.text("git", "root"), into)
        shortfalls += sorted_.shortfalls
        installer = [uv, "pip", "install", "--quiet", "--python", str(inner)] if uv else _pip(inner)
        lines, failed = _install(installer, list(sorted_.lines), scratch)
        shortfalls += failed
    return Environment(str(venv), version, "uv" if uv else "pip", len(lines), tuple(shortfalls))


def find_python(executable: str, version: str) -> str | None:
    """An interpreter of the recorded version on this machine, else one of its minor version, else None."""
    minor = ".".join(version.split(".")[:2])
    # What a record calls an interpreter may be any program of this machine.
    named = (
        executable if os.path.basename(executable).lower().startswith(("python", "pypy", "graalpy")) else ""
    )
    found = [named, sys.executable, shutil.which(f"python{minor}") or "", shutil.which("python3") or ""]
    candidates = {
        name: _version_of(name) or "" for name in dict.fromkeys(found) if name and os.path.exists(name)
    }
    exact = (name for name, own in candidates.items() if own == version)
    like = (name for name, own in candidates.items() if minor and own.startswith(f"{minor}."))
    return next(exact, None) or next(like, None)


def _install(installer: list[str], lines: list[str], scratch: Path) -> tuple[list[str], list[str]]:
    """Install the lines as they are, without looking for further dependencies; those there, and failures.

    The installer names a package that cannot be had; that is left out, and the rest tried again.
    """
    failed: list[str] = []
    file = scratch / "wanted.txt"
    while lines:
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", errors="surrogateescape")
        try:
            _call([*installer, "--no-deps", "-r", str(file)], {})
            break
        except Unbuildable as error:
            culprit = _culprit(str(error), lines)
            if culprit is None or len(failed) >= _MAX_DROPPED:
                return _one_by_one(installer, lines, failed)
            lines = [line for line in lines if line != culprit]
            failed.append(f"package {culprit} could not be installed: {_last_line(str(error))}")
    return lines, failed


def _one_by_one(installer: list[str], lines: list[str], failed: list[str]) -> tuple[list[str], list[str]]:
    there = []
    for line in lines:
        how = ["-e", line[3:]] if line.startswith("-e ") else [line]
        try:
            _call([*installer, "--no-deps", *how], {})
            there.append(line)
        except Unbuildable as error:
            failed.append(f"package {line} could not be installed: {_last_line(str(error))}")
    return there, failed


def _culprit(said: str, lines: list[str]) -> str | None:
    """The line whose package the installer's complaint is about."""
    named = re.findall(r"(?:found for|satisfies the requirement) ([\w.-]+==[^\s)]+)", said)
    named += re.findall(r"Because ([\w.-]+==[^\s]+) was not found", said)
    named += [
        f"{name}=={version}" for name, version in re.findall(r"no version of ([\w.-]+)==([^\s,]+)", said)
    ]
    wanted = {_normal(one) for one in named}
    return next((line for line in lines if _normal(line) in wanted), None)


def _normal(requirement: str) -> str:
    name, equals, version = requirement.partition("==")
    return re.sub(r"[-_.]+", "-", name).lower() + equals + version


def _from_lock(recorded: Recorded, into: Path, scratch: Path) -> Environment:
    """Build it from the recorded lock file with the tool that wrote that."""
    names = recorded.texts("lock_files")
    usable = [name for name in names if name in _LOCK_TOOLS and shutil.which(_LOCK_TOOLS[name][0])]
    if not usable:
        recorded_ones = ", ".join(names) or "none"
        raise Unbuildable(f"no lock file whose tool is on PATH (recorded: {recorded_ones}); leave out --lock")
    name = usable[0]
    tool, arguments, variables = _LOCK_TOOLS[name]
    found = next((path for path in (into / name, *into.rglob(name)) if path.is_file()), None)
    if found is None:
        found = (scratch if tool == "conda" else into) / name
        if not recorded.fetch(name, found):
            raise Unbuildable(f"{name} is recorded, but its content is not there; leave out --lock")
    venv = found.parent / ".venv" if tool != "conda" else into / ".venv"
    places = {"venv": str(venv), "lock": str(found)}
    _call(
        [str(shutil.which(tool)), *(part.format(**places) for part in arguments)],
        {key: value.format(**places) for key, value in variables.items()},
        cwd=found.parent,
    )
    version = _version_of(str(venv / "bin" / "python")) or "?"
    wanted = recorded.text("python")
    other = (f"Python {version} instead of {wanted}",) if wanted not in ("", version) else ()
    return Environment(str(venv), version, f"{tool} from {name}", 0, other)


def _pip(inner: Path) -> list[str]:
    """Pip for another environment: this one's, else its own."""
    options = ["install", "--quiet", "--disable-pip-version-check", "--no-input"]
    if _without_pip():
        return [sys.executable, "-m", "pip", "--python", str(inner), *options]
    return [str(inner), "-m", "pip", *options]


def _without_pip() -> list[str]:
    """The option that leaves pip out, which takes seconds to unpack, where this environment's can do it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        major, minor = version("pip").split(".")[:2]
        return ["--without-pip"] if (int(major), int(minor)) >= (22, 3) else []
    except (PackageNotFoundError, ValueError):
        return []


def _call(command: list[str], variables: dict[str, str], cwd: Path | None = None) -> None:
    environment = {
        name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONHOME")
    }
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment | variables,
            cwd=cwd,
            check=False,
        )
    except OSError as error:
        raise Unbuildable(f"{command[0]} cannot be run: {error.strerror or error}") from error
    if done.returncode:
        raise Unbuildable(done.stdout.decode("utf-8", "replace").strip() or f"{command[0]} failed")


def _version_of(python: str) -> str | None:
    code = "import sys; print(sys.version.split()[0])"
    try:
        done = subprocess.run(
            [python, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("[notice]")]
    return (lines or ["it failed"])[-1][:300]
