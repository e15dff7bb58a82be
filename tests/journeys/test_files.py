"""Files on their way: what lies in `run.dir` or was saved arrives whole, once, whoever is killed."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.journeys.faults import disk
from tests.journeys.world import Home, Server, await_true

from kiseki.records.numbers import from_json
from kiseki.records.recorded_files import read_recorded
from kiseki.store.database import RESERVE_BYTES

_SCRIPT = """
import os, pathlib, sys
import kiseki
run = kiseki.init(project="journey", id="r")
files = pathlib.Path(run.dir)
print("ok", flush=True)
for line in sys.stdin:
    exec(line)
    print("ok", flush=True)
"""


class Script:
    """A training that does what the test tells it, line by line."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.log = home.folder / "script.log"
        with self.log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _SCRIPT], cwd=home.work, env=home.env, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        self._expect_ok()

    def do(self, code: str) -> None:
        """Have one line of Python done before this returns."""
        assert self.process.stdin is not None
        self.process.stdin.write(code + "\n")
        self.process.stdin.flush()
        self._expect_ok()

    def finish(self) -> str:
        """End the run and the process; what was said on stderr."""
        self.do("run.finish()")
        self.leave()
        return self.log.read_text()

    def leave(self) -> None:
        """End the process, whose run ends with it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(60) == 0, self.log.read_text()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def files(self) -> Path:
        """`run.dir`."""
        return self.home.run_folder("r") / "files"

    def _expect_ok(self) -> None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line == "ok\n", f"{line!r}\n{self.log.read_text()}"


@pytest.fixture
def script() -> Iterator[Callable[[Home], Script]]:
    """`script(home)` starts a training."""
    started: list[Script] = []

    def start(home: Home) -> Script:
        started.append(Script(home))
        return started[-1]

    yield start
    for each in started:
        each.kill()


def _listing(server: Server) -> dict[str, Any]:
    path = server._path_of("r")
    if path is None:
        return {"files": [], "pending": []}
    answer: dict[str, Any] = from_json(server.request(f"{path}/files"))
    return answer


def _content(server: Server, name: str) -> bytes | None:
    """What the server gives for a file; None where it shows none."""
    try:
        return server.request(f"{server._path_of('r')}/files/{quote(name)}")
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return None


def _await_content(server: Server, name: str, content: bytes, *, seconds: float = 30.0) -> None:
    """Wait until the server gives `content`; whatever it gives until then must be whole: listed by digest."""

    def there() -> bool:
        listed = {file["path"]: file for file in _listing(server)["files"]}
        if name not in listed:
            return False
        found = _content(server, name)
        return found == content

    await_true(there, seconds=seconds, what=f"{name} on the server with {len(content)} bytes")


def _check_all(server: Server, folder: Path) -> None:
    """The server shows exactly the files that lie in `folder`, each whole, and waits for none."""
    expected = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
    await_true(
        lambda: (found := _listing(server))["files"] and not found["pending"], seconds=60.0, what="all files"
    )
    listed = _listing(server)["files"]
    assert {file["path"]: file["digest"] for file in listed} == expected
    for file in listed:
        content = _content(server, file["path"])
        assert content is not None and hashlib.sha256(content).hexdigest() == file["digest"]
        assert len(content) == file["size"]


def _large(seed: int, megabytes: int = 50) -> bytes:
    block = hashlib.sha256(str(seed).encode()).digest() * 32
    return b"".join(number.to_bytes(4, "little") + block for number in range(megabytes * 1024))


def _blobs(server: Server) -> list[str]:
    return sorted(path.name for path in (server.store / "blobs").glob("??/*"))


def test_a_checkpoint_appears_while_the_training_runs_and_again_when_it_changes(
    laptop: Home, cloud: Home, script: Callable[[Home], Script]
) -> None:
    server = cloud.server()
    laptop.uploads_to(server)
    training = script(laptop)
    (laptop.work / "ckpt").mkdir()
    original = laptop.work / "ckpt/best.pt"
    original.write_bytes(b"epoch 1")
    training.do("run.save('ckpt/*.pt')")
    training.do("(files / 'notes 日本.txt').write_text('kept')")
    _await_content(server, "ckpt/best.pt", b"epoch 1")
    _await_content(server, "notes 日本.txt", b"kept")
    original.write_bytes(b"epoch 2, which is longer")
    _await_content(server, "ckpt/best.pt", b"epoch 2, which is longer")
    training.do("(files / 'notes 日本.txt').unlink()")
    await_true(lambda: _content(server, "notes 日本.txt") is None, what="a removed file to be hidden")
    (laptop.work / "last.bin").write_bytes(b"not yet")
    training.do("run.save('last.bin', policy='end')")
    (laptop.work / "last.bin").write_bytes(b"at the end")
    training.do("(files / 'late.txt').write_text('at the last moment')")
    said = training.finish()
    assert "not sent" not in said
    _check_all(server, training.files)  # finish has waited for all of them
    assert _content(server, "last.bin") == b"at the end"
    assert _content(server, "late.txt") == b"at the last moment"
    restored = laptop.python(
        """
import kiseki
path = kiseki.Api().run("journey/r").path
with kiseki.restore("ckpt/best.pt", run_path="/".join(path), root="back") as file:
    print(file.name, file.read())
try:
    kiseki.restore("none.pt", run_path="journey/r")
except ValueError as error:
    print(error)
"""
    )
    assert restored.stdout.splitlines() == [
        "back/ckpt/best.pt epoch 2, which is longer",
        "File none.pt not found in journey/r.",
    ]


def test_whoever_is_killed_in_the_middle_of_an_upload_every_file_arrives_once(
    laptop: Home, cloud: Home, script: Callable[[Home], Script]
) -> None:
    server = cloud.server()
    laptop.uploads_to(server)
    training = script(laptop)

    def begin_upload(number: int) -> None:
        (training.files / f"big{number}.bin").write_bytes(_large(number))
        await_true(lambda: _parts(server), what="an upload to be under way")

    begin_upload(1)
    _kill_worker(laptop)
    _await_present(server, 1)
    begin_upload(2)
    server.kill()
    (training.files / "meanwhile.txt").write_text("while the server was away")
    server.start()
    _await_present(server, 2)
    begin_upload(3)
    assert laptop.kill_sidecars() == 1
    training.do("run._sidecar.ensure()")  # as its thread does every ten seconds
    _await_present(server, 3)
    begin_upload(4)
    training.kill()
    _await_present(server, 4)
    _check_all(server, training.files)
    assert _content(server, "meanwhile.txt") == b"while the server was away"
    contents = {hashlib.sha256(path.read_bytes()).hexdigest() for path in _files_below(training.files)}
    assert set(_blobs(server)) == contents and not _parts(server)
    await_true(lambda: (server.run("r") or {}).get("state") == "crashed", what="the run to be crashed")


def test_a_full_disk_of_the_server_makes_files_wait(
    laptop: Home, cloud: Home, script: Callable[[Home], Script]
) -> None:
    with disk(cloud.folder / "data", RESERVE_BYTES // 2**20 + 60) as data:
        server = cloud.server()
        laptop.uploads_to(server)
        laptop.env["KISEKI_FINISH_TIMEOUT"] = "3"
        training = script(laptop)
        filler = data / "filler"
        filler.write_bytes(bytes(40_000_000))
        (training.files / "small.txt").write_text("fits")
        (training.files / "big.bin").write_bytes(_large(1))
        _await_content(server, "small.txt", b"fits")
        said = training.finish()
        assert "1 file (" in said and "full" in said and "kiseki sync" in said
        assert _content(server, "big.bin") is None
        filler.unlink()
        _check_all(server, training.files)
        cloud.close()


def test_files_of_an_offline_run_are_sent_by_sync(
    laptop: Home, cloud: Home, script: Callable[[Home], Script]
) -> None:
    server = cloud.server()
    laptop.env["KISEKI_MODE"] = "offline"
    training = script(laptop)
    (training.files / "sub").mkdir()
    (training.files / "sub/a.txt").write_text("a")
    (training.files / "big.bin").write_bytes(_large(1, megabytes=5))
    training.finish()
    assert _listing(server) == {"files": [], "pending": []}
    laptop.env.pop("KISEKI_MODE")
    laptop.uploads_to(server)
    laptop.kiseki("sync", str(laptop.run_folder("r")))
    _check_all(server, training.files)


def test_a_job_that_takes_its_sidecar_along_has_its_files_on_record(
    laptop: Home, script: Callable[[Home], Script]
) -> None:
    laptop.env["SLURM_JOB_ID"] = "7"
    training = script(laptop)
    (training.files / "last.txt").write_text("last words")
    training.do("run.finish()")
    laptop.kill_sidecars()
    assert "last.txt" in read_recorded(training.files.parent)


def test_sync_finds_files_that_no_sidecar_came_to_see(
    laptop: Home, cloud: Home, script: Callable[[Home], Script]
) -> None:
    server = cloud.server()
    laptop.env |= {"KISEKI_MODE": "offline", "KISEKI_IGNORE_GLOBS": "*.secret"}
    training = script(laptop)
    await_true(laptop.sidecars, what="a sidecar")
    laptop.kill_sidecars()  # as the end of a container does, and the training at the same moment
    (training.files / "last.txt").write_text("last words")
    (training.files / "key.secret").write_text("not this")
    training.kill()
    folder = training.files.parent
    laptop.uploads_to(server)
    laptop.kiseki("sync", str(folder))
    assert _content(server, "last.txt") == b"last words"
    assert _content(server, "key.secret") is None
    (training.files / "last.txt").unlink()  # cleared up
    laptop.kiseki("sync", str(folder))
    assert _content(server, "last.txt") == b"last words"


def test_a_server_on_this_machine_reads_files_where_they_lie(
    laptop: Home, script: Callable[[Home], Script]
) -> None:
    server = laptop.server()
    training = script(laptop)
    training.do("(files / 'a.txt').write_text('one')")
    _await_content(server, "a.txt", b"one")
    training.do("(files / 'a.txt').write_text('two')")
    _await_content(server, "a.txt", b"two")
    training.do("(files / 'end.txt').write_text('end')")
    training.finish()
    _await_content(server, "end.txt", b"end")
    _check_all(server, training.files)
    assert _blobs(server) == []


def test_odd_files_cost_no_other_and_no_warning(
    laptop: Home, cloud: Home, script: Callable[[Home], Script]
) -> None:
    server = cloud.server()
    laptop.uploads_to(server)
    training = script(laptop)
    files = training.files
    os.mkfifo(files / "pipe")
    (files / "nowhere").symlink_to("gone")
    (files / "itself").symlink_to("itself")
    (files / "up").symlink_to("..")
    (files / "null").symlink_to("/dev/null")
    good = {"new\nline.txt": b"1", "emoji 🦑.txt": b"2", "empty": b"", "a/b/c.txt": b"3", "#?%20.txt": b"4"}
    for name, content in good.items():
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        (files / name).write_bytes(content)
    (files / os.fsdecode(b"latin \xe9.txt")).write_bytes(b"5")
    said = training.finish()
    assert "warning" not in said
    listed = {file["path"] for file in _listing(server)["files"]}
    assert set(good) <= listed
    assert {name: _content(server, name) for name in good} == good
    assert [path for path in listed - set(good) if path.startswith("latin")]  # no UTF-8, spelled out


def test_finish_says_what_stayed_unsent(laptop: Home, cloud: Home, script: Callable[[Home], Script]) -> None:
    server = cloud.server()
    laptop.uploads_to(server)
    laptop.env["KISEKI_FINISH_TIMEOUT"] = "2"
    training = script(laptop)
    training.do("run.log({'a': 1})")
    await_true(lambda: server.run("r"), what="the run to be known")
    server.stop()
    (training.files / "left.bin").write_bytes(bytes(3_000_000))
    said = training.finish()
    assert "3.0 MB" in said and "not sent yet" in said and "kiseki sync" in said
    server.start()
    _check_all(server, training.files)


def _parts(server: Server) -> list[Path]:
    return [path for path in (server.store / "blobs/uploads").glob("*.part") if path.stat().st_size]


def _files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _await_present(server: Server, number: int) -> None:
    name = f"big{number}.bin"
    await_true(
        lambda: any(file["path"] == name for file in _listing(server)["files"]), seconds=60.0, what=name
    )


def _kill_worker(home: Home) -> None:
    (sidecar,) = home.sidecars()
    workers = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _is_worker(entry, sidecar)
    ]
    assert len(workers) == 1
    os.kill(workers[0], signal.SIGKILL)


def _is_worker(process: Path, sidecar: int) -> bool:
    try:
        parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        return parent == sidecar and b"kiseki.sidecar.file_worker" in (process / "cmdline").read_bytes()
    except OSError:
        return False
