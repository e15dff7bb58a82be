"""A run's environment under the names of wandb's `wandb-metadata.json`, for programs that read those."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Final

from kiseki.client.command_line import script_arguments

_IMPLEMENTATIONS: Final = {"cpython": "CPython", "pypy": "PyPy", "graalpy": "GraalVM"}


def wandb_metadata(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """The metadata of the run that `document` describes; None where its environment is not known.

    What is not known is left out. Sizes are bytes, as text, as wandb gives them.
    """
    environment: Mapping[str, Any] = document.get("environment") or {}
    if not environment:
        return None
    command = environment.get("command")
    started = document.get("started") or document.get("created")
    git = _table(environment, "git")
    program, cwd = str(environment.get("program") or ""), str(environment.get("cwd") or "")
    found: dict[str, Any] = {
        "os": _system(environment),
        "python": _python(environment),
        "startedAt": _utc(started) if isinstance(started, (int, float)) else None,
        "args": script_arguments([str(each) for each in command]) if isinstance(command, list) else None,
        "program": program or None,
        "codePath": _below(program, str(git.get("root") or "")) or _below(program, cwd),
        "codePathLocal": _below(program, cwd),
        "git": {name: git[name] for name in ("remote", "commit") if git.get(name)},
        "root": cwd or None,
        "host": environment.get("host"),
        "username": environment.get("user"),
        "executable": environment.get("executable"),
        "slurm": dict(_table(environment, "slurm")),
        **_hardware(environment),
    }
    return {name: value for name, value in found.items() if value not in (None, "", {})}


def _hardware(environment: Mapping[str, Any]) -> dict[str, Any]:
    cpu, cuda = _table(environment, "cpu"), _table(environment, "cuda")
    listed = environment.get("gpus")
    gpus = [gpu for gpu in listed if isinstance(gpu, Mapping)] if isinstance(listed, list) else []
    disks = {
        str(path): {"total": str(each.get("total_bytes")), "used": str(each.get("used_bytes"))}
        for path, each in _table(environment, "disk").items()
        if isinstance(each, Mapping)
    }
    by_vendor: dict[str, list[dict[str, Any]]] = {}
    for gpu in gpus:
        known = {
            "name": gpu.get("name"),
            "memoryTotal": _text(gpu.get("memory_bytes")),
            "uuid": gpu.get("uuid"),
        }
        vendor = f"gpu_{gpu.get('vendor') or 'other'}"
        by_vendor.setdefault(vendor, []).append({name: value for name, value in known.items() if value})
    return {
        "cpu_count": cpu.get("count") or environment.get("cpu_count"),
        "cpu_count_logical": cpu.get("count_logical") or environment.get("cpu_count"),
        "cpu": {"model": cpu["model"]} if cpu.get("model") else {},
        "memory": {"total": str(cpu["ram_bytes"])} if cpu.get("ram_bytes") else {},
        "disk": disks,
        "gpu": gpus[0].get("name") if gpus else None,
        "gpu_count": len(gpus) or None,
        **by_vendor,
        "cudaVersion": cuda.get("version"),
        "cuda": cuda.get("version"),
    }


def _table(environment: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = environment.get(name)
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _system(environment: Mapping[str, Any]) -> str:
    name = str(environment.get("os") or "").replace(" ", "-")
    libc = str(environment.get("libc") or "").replace(" ", "")
    return f"{name}-with-{libc}" if name and libc else name


def _python(environment: Mapping[str, Any]) -> str:
    implementation = str(environment.get("implementation") or "")
    return f"{_IMPLEMENTATIONS.get(implementation, implementation)} {environment.get('python') or ''}".strip()


def _utc(seconds: float) -> str:
    return (
        datetime.fromtimestamp(seconds, timezone.utc)
        .isoformat(timespec="microseconds")
        .replace("+00:00", "Z")
    )


def _below(path: str, folder: str) -> str | None:
    """`path` from `folder` on, None where it does not lie below it."""
    if not path or not folder:
        return None
    relative = os.path.relpath(path, folder)
    return None if relative.split(os.sep)[0] == os.pardir else relative
