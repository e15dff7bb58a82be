"""The stage of a journey: users' homes on this machine, with trainings, sidecars and servers as processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.journeys.ledger import Ledger, Phase

from kiseki.records.numbers import from_json

ROOT = Path(__file__).resolve().parent.parent.parent
T = TypeVar("T")


def await_true(condition: Callable[[], T | None], *, seconds: float = 20.0, what: str) -> T:
    """The first truthy value of `condition`; AssertionError if there is none within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.01)


class Server:
    """A `kiseki up` of one home that can be killed and started again on the same port and store."""

    def __init__(self, home: Home, *options: str) -> None:
        self.home, self.options = home, options
        self.store = home.folder / "data" / "kiseki" / "store"
        self.url = ""
        self.key = ""
        """The key of this one process, for the test's own questions."""
        self.log = home.folder / "server.log"
        self._paths: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def start(self, *, seconds: float = 40.0) -> Server:
        """Start it (again) and wait until it answers."""
        self.spawn()
        await_true(self._answers, seconds=seconds, what=f"`kiseki up` to answer; its output is in {self.log}")
        return self

    def spawn(self) -> None:
        """Start it (again) and wait for nothing."""
        command = [sys.executable, "-m", "kiseki.cli", "up"]
        command += ["--port", str(self._port), "--no-browser", *self.options]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                command, cwd=self.home.folder, env=self.home.env,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip

    def create_key(self) -> str:
        """A key for scripts, which outlives this process."""
        return self.home.kiseki("key", "create", "script").stdout.strip()

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """SIGTERM, and wait for its end."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"`kiseki up` did not end on SIGTERM; see {self.log}") from None
            self.process = None

    def request(self, path: str, *, timeout: float = 20.0) -> bytes:
        """The body of a GET; raises urllib's errors."""
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.key}"})
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            body: bytes = answer.read()
        return body

    def runs(self) -> list[dict[str, Any]]:
        """All runs of all projects."""
        found: list[dict[str, Any]] = []
        for project in from_json(self.request("/api/v1/projects"))["projects"]:
            path = f"/api/v1/projects/{project['entity']}/{project['name']}/runs?limit=1000"
            found += from_json(self.request(path))["runs"]
        return found

    def run(self, run_id: str) -> dict[str, Any] | None:
        """The detail of the run with this id, None while the server does not know it."""
        path = self._path_of(run_id)
        if path is None:
            return None
        try:
            answer: dict[str, Any] = from_json(self.request(path))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise
        return answer

    def rows(self, run_id: str) -> list[dict[str, Any]]:
        """Every row of the run as the export gives it."""
        path = self._path_of(run_id)
        assert path is not None, f"the server does not know the run {run_id}"
        return [from_json(line) for line in self.request(path + "/export").splitlines()]

    def _path_of(self, run_id: str) -> str | None:
        if run_id not in self._paths:
            for run in self.runs():
                self._paths[run["id"]] = f"/api/v1/runs/{run['entity']}/{run['project']}/{run['id']}"
        return self._paths.get(run_id)

    def _answers(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise AssertionError(f"`kiseki up` ended by itself:\n{self.log.read_text()[-3000:]}")
        try:
            owner = json.loads((self.store / "owner.lock").read_text())
            if owner["pid"] != self.process.pid or not owner["url"]:
                return False
            self.url, self.key = owner["url"].rstrip("/"), owner["key"]
            self._port = int(self.url.rsplit(":", 1)[1])
            self.request("/api/v1/projects", timeout=5)
        except (OSError, ValueError, KeyError):
            return False
        return True


class Training:
    """One run of training.py and its ledger."""

    def __init__(
        self, process: subprocess.Popen[bytes], ledger: Ledger, log: Path, earlier: list[Path]
    ) -> None:
        self.process, self.ledger, self.log = process, ledger, log
        self.earlier = set(earlier)
        """The run directories that were there before it."""

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text()

    def kill(self) -> None:
        """SIGKILL to the training and the children it forked; not to its sidecar."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def await_phase(self, phase: Phase, *, seconds: float = 30.0) -> None:
        """Wait until the training has reached `phase`; fails where it ends before."""

        def reached() -> bool:
            if self.ledger.phase >= phase:
                return True
            assert self.process.poll() is None, f"the training ended early:\n{self.output}"
            return False

        await_true(
            reached, seconds=seconds, what=f"phase {phase.name} of a training ({self.ledger.phase.name})"
        )

    def await_rows(self, count: int, *, seconds: float = 60.0) -> None:
        """Wait until `count` of its `log()` calls have returned."""

        def reached() -> bool:
            if self.ledger.logged >= count:
                return True
            assert self.process.poll() is None, f"the training ended early:\n{self.output}"
            return False

        await_true(reached, seconds=seconds, what=f"{count} rows of a training ({self.ledger.logged})")

    def await_end(self, *, seconds: float = 90.0) -> None:
        """Wait until it has ended by itself, without an error."""
        try:
            code = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the training did not end within {seconds:g} s:\n{self.output}") from None
        assert code == 0, f"the training failed with {code}:\n{self.output}"


class Home:
    """One user's home in a folder of its own: environment, runs, sidecars, servers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("KISEKI_", "WANDB_", "XDG_"))}
        self.env = {
            **kept,
            "HOME": str(folder),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "PYTHONUNBUFFERED": "1",
        }
        for name, variable in {
            "data": "XDG_DATA_HOME",
            "config": "XDG_CONFIG_HOME",
            "cache": "XDG_CACHE_HOME",
            "runtime": "XDG_RUNTIME_DIR",
        }.items():
            (folder / name).mkdir(mode=0o700, parents=True)
            self.env[variable] = str(folder / name)
        self.work = folder / "work"
        self.work.mkdir()
        self.servers: list[Server] = []
        self.trainings: list[Training] = []

    def server(self, *options: str) -> Server:
        """A started `kiseki up` over this home's own store."""
        server = Server(self, *options)
        self.servers.append(server)
        return server.start()

    def uploads_to(self, server: Server | None) -> None:
        """Trainings and commands started from now on use `server` (None: none)."""
        for name in ("KISEKI_BASE_URL", "KISEKI_API_KEY"):
            self.env.pop(name, None)
        if server is not None:
            self.env |= {"KISEKI_BASE_URL": server.url, "KISEKI_API_KEY": server.create_key()}

    def train(
        self,
        rows: int = 10**9,
        *,
        pause: float = 0.0,
        width: int = 3,
        text: int = 0,
        fork_at: int = -1,
        child_rows: int = 0,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        **init: Any,
    ) -> Training:
        """Start training.py: `rows` numbered rows of `width` floats and a `text` of so many characters."""
        orders = {
            "rows": rows, "pause": pause, "width": width, "text": text,
            "fork_at": fork_at, "child_rows": child_rows, "init": init,
        }  # fmt: skip
        name = f"training-{len(self.trainings)}"
        ledger_path, log = self.folder / f"{name}.ledger", self.folder / f"{name}.log"
        ledger, earlier = Ledger(ledger_path), self.run_folders()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.journeys.training", str(ledger_path), json.dumps(orders)],
                cwd=cwd or self.work, env=self.env | (env or {}), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        training = Training(process, ledger, log, earlier)
        self.trainings.append(training)
        return training

    def python(self, code: str, *, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `code` in this home's working folder to its end."""
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=self.work, env=self.env | env, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=120, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, (
            f"failed with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
        return done

    def kiseki(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the `kiseki` command to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "kiseki.cli", *arguments], cwd=self.work, env=self.env,
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, (
            f"kiseki {arguments} → {done.returncode}:\n{done.stdout}{done.stderr}"
        )
        return done

    def start_kiseki(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the `kiseki` command and wait for nothing."""
        with (self.folder / "commands.log").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "kiseki.cli", *arguments], cwd=self.work, env=self.env,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip

    def run_folders(self) -> list[Path]:
        """The run directories below the working folder, oldest first."""
        return sorted(self.work.glob("**/kiseki/run-*"), key=lambda path: path.stat().st_mtime_ns)

    def run_folder(self, run_id: str) -> Path:
        """The directory of the run with this id."""
        found = [path for path in self.run_folders() if path.name.endswith(f"-{run_id}")]
        assert len(found) == 1, f"{len(found)} directories of run {run_id} below {self.work}"
        return found[0]

    def sidecars(self) -> list[int]:
        """The pids of the sidecars whose spool lies in this home."""
        marker, found = os.fsencode(self.folder) + b"/", []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    arguments = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if b"kiseki.sidecar" in arguments and any(a.startswith(marker) for a in arguments):
                    found.append(int(entry.name))
        return found

    def kill_sidecars(self) -> int:
        """SIGKILL to all sidecars of this home; how many there were."""
        pids = self.sidecars()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return len(pids)

    def close(self) -> None:
        """End all that this home has started."""
        for training in self.trainings:
            training.kill()
            training.ledger.close()
        self.kill_sidecars()
        for server in self.servers:
            server.kill()


@contextmanager
def homes(folder: Path, *names: str) -> Iterator[tuple[Home, ...]]:
    """Homes in `folder`, one per name, ended with all their processes."""
    made = tuple(Home(folder / name) for name in names)
    try:
        yield made
    finally:
        for home in made:
            home.close()
