"""A private home for what a benchmark starts, so that nothing touches the user's own runs or settings."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def private_home() -> Iterator[tuple[Path, dict[str, str]]]:
    """A new folder and an environment whose every XDG path, HOME and temporary file lies in it."""
    folder = Path(tempfile.mkdtemp(prefix="kiseki-bench-"))
    env = {k: v for k, v in os.environ.items() if not k.startswith(("KISEKI_", "WANDB_", "XDG_"))}
    for name in ("data", "config", "cache", "runtime"):
        (folder / name).mkdir(mode=0o700)
    env |= {
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_RUNTIME_DIR": str(folder / "runtime"),
        "WANDB_SILENT": "true",
        "KISEKI_SILENT": "true",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    try:
        yield folder, env
    finally:
        for pid in sidecars_of(folder):
            os.kill(pid, 15)
        shutil.rmtree(folder, ignore_errors=True)


def run_python(code: str, folder: Path, env: dict[str, str], *arguments: str) -> str:
    """Run `code` in a fresh interpreter in `folder`; its standard output. Raises if it fails."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, env=env, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"a benchmark's process failed with {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout


def sidecars_of(folder: Path) -> list[int]:
    """The pids of the Kiseki sidecars whose spool lies below `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            spooled = any(a.startswith(os.fsencode(folder) + b"/") for a in arguments)
            if b"kiseki.sidecar" in arguments and spooled:
                found.append(int(entry.name))
    return found


def relays_of(folder: Path) -> list[int]:
    """The pids of the processes that pass on the output of trainings whose home is `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
                environment = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"kiseki.console" in arguments and b"HOME=" + os.fsencode(folder) in environment:
                found.append(int(entry.name))
    return found


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port
