"""Finding or starting the sidecar: its lock's name, the pointer to a run, and the look every ten seconds."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from kiseki import __version__
from kiseki.records.kinds import Header
from kiseki.sdk.directory import working_folder
from kiseki.sdk.settings import RunSettings
from kiseki.sdk.terminal import warn_once
from kiseki.system.credentials import find_key
from kiseki.system.files import write_atomically
from kiseki.system.locks import is_locked
from kiseki.system.paths import spool_dir
from kiseki.system.process import boot_id, namespace
from kiseki.system.spawn import reap, spawn_detached

LOOK_INTERVAL_S = 10.0
GLANCE_INTERVAL_S = 2.0

_SHARED_VARIABLES = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)
# -I leaves out PYTHONPATH and the user's site-packages, where Kiseki itself may be installed. The second
# argument is there for people who look at a list of processes.
_BOOTSTRAP = (
    "import sys; _, _, path, spool = sys.argv; "
    "sys.path[:0] = [p for p in path.split('|') if p and p not in sys.path]; "
    "from kiseki.sidecar.__main__ import main; sys.exit(main([spool]))"
)


class Sidecar:
    """The training's end of its sidecar: hands writers over, starts the process where none runs."""

    def __init__(self, settings: RunSettings) -> None:
        """Raises OSError where no private spool folder can be made."""
        self._settings = settings
        self._key = _credential(settings)
        self.spool = spool_dir(lock_name(settings))
        self._stop: threading.Event | None = None
        self._launcher: int | None = None

    @property
    def may_send(self) -> bool:
        """Whether a server is named and a key for it is at hand."""
        return bool(self._settings.base_url and self._key)

    def hand_over(self, header: Header, run_dir: Path) -> None:
        """Leave a pointer to a writer of this process, then see to it that a sidecar runs."""
        pointer = {
            "pid": header.pid,
            "pid_start": header.pid_start,
            "boot_id": header.boot_id,
            "pid_ns": header.pid_ns,
            "run_dir": str(run_dir),
            "writer": header.writer,
            "mode": header.mode,
            "base_url": self._settings.base_url,
            "entity": header.entity,
            "project": header.project,
            "cwd": working_folder(),
            "prefix": sys.prefix,
            "sys_path": [entry for entry in sys.path if isinstance(entry, str)],
            "program": _entry_script(),
            "path": os.environ.get("PATH", ""),
            "recording": self._settings.recording,
            "console": self._settings.console != "off",
        }
        write_atomically(self.spool / f"{header.writer}.json", json.dumps(pointer), mode=0o600)
        self.ensure()

    def ensure(self) -> None:
        """Start a sidecar where none holds the lock; OSError where that fails."""
        self._reap(wait=True)
        if not self.is_running():
            self._launcher = ensure_sidecar(self._settings, self.spool, self._key)

    def is_running(self) -> bool:
        """Whether a sidecar holds the lock."""
        return is_locked(self.spool / "lock")

    def ensure_or_warn(self) -> None:
        """The same, with one warning instead of the exception."""
        try:
            self.ensure()
        except OSError as error:
            warn_once(("sidecar", str(error)), f"the sidecar cannot be started: {error}")

    def watch(self, every_glance: Callable[[], None], every_look: Callable[[], None]) -> None:
        """Look every ten seconds, in a daemon thread: start a dead sidecar anew, call `every_look`.

        `every_glance`, which must cost next to nothing, is called every two seconds.
        """
        stop = self._stop = threading.Event()
        glance_s = min(GLANCE_INTERVAL_S, LOOK_INTERVAL_S)
        glances_a_look = round(LOOK_INTERVAL_S / glance_s)

        def look() -> None:
            self._reap(wait=True)
            glances = 0
            while not stop.wait(glance_s):
                every_glance()
                glances += 1
                if glances % glances_a_look == 0:
                    self.ensure_or_warn()
                    every_look()

        threading.Thread(target=look, name="kiseki-look", daemon=True).start()

    def stop_watching(self) -> None:
        """End the daemon thread."""
        if self._stop is not None:
            self._stop.set()
        self._reap(wait=False)

    def progress_file(self, writer: str) -> Path:
        """Where the sidecar says how far the upload of `writer` is."""
        return self.spool / f"{writer}.progress"

    def _reap(self, *, wait: bool) -> None:
        launcher = self._launcher
        if launcher is not None and reap(launcher, wait=wait):
            self._launcher = None


def lock_name(settings: RunSettings) -> str:
    """Name of the sidecar that this process may share: equal only where one could do the other's work."""
    parts = [
        str(os.geteuid()) if hasattr(os, "geteuid") else "",
        boot_id(),
        *(str(namespace(kind)) for kind in ("pid", "mnt", "net")),
        _cgroup(),
        settings.base_url or "",
        _credential(settings) or "",
        *(f"{name}={os.environ.get(name, '')}" for name in _SHARED_VARIABLES),
        sys.prefix,
        __version__,
    ]
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def ensure_sidecar(settings: RunSettings, spool: Path, key: str | None) -> int | None:
    """Start the sidecar of `spool`; the launcher's pid, None where there is no Python to start.

    Secrets pass by the environment of the new process, never through a file.
    """
    if not os.path.basename(sys.executable or "").lower().startswith(("python", "pypy")):
        # Empty, or a frozen or embedding program, which would only start itself again.
        warn_once(
            "no interpreter",
            f"no process beside this one, for {sys.executable!r} is no Python: kiseki sync sends the run",
        )
        return None
    environment = {name: value for name, value in os.environ.items() if name != "KISEKI_API_KEY"}
    environment.pop("KISEKI_BASE_URL", None)
    if settings.base_url:
        environment["KISEKI_BASE_URL"] = settings.base_url
        if key:
            environment["KISEKI_API_KEY"] = key
    argv = [sys.executable, "-I", "-c", _BOOTSTRAP, "kiseki.sidecar", _import_path(), str(spool)]
    return spawn_detached(argv, environment, log=spool / "sidecar.log")


def _credential(settings: RunSettings) -> str | None:
    if settings.api_key or not settings.base_url:
        return settings.api_key
    return find_key(settings.base_url)


def _entry_script() -> str:
    """Absolute path of the script that Python was started with, "" where there is none (a notebook, `-c`)."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    if not isinstance(file, str) or not os.path.isfile(file):
        return ""
    return os.path.abspath(file)


def _import_path() -> str:
    """The folders that this process imports Kiseki and its one dependency from."""
    folders = []
    for name in ("kiseki", "msgspec"):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file:
            folders.append(os.path.dirname(os.path.dirname(os.path.abspath(file))))
    return "|".join(dict.fromkeys(folders))


def _cgroup() -> str:
    try:
        with open("/proc/self/cgroup") as file:
            return file.read()
    except OSError:
        return ""
