"""`kiseki logs`: whole, from the end, searched, followed; with a server, without one, from a directory."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pyte
import pytest
from tests.cli.conftest import write_run

from kiseki.cli.redraw import LiveLines
from kiseki.records.console import DirectoryConsole
from kiseki.records.kinds import Console, Header, State
from kiseki.records.writer import RecordWriter
from kiseki.system.paths import record_root
from kiseki.system.process import this_process


class Printer:
    """A run whose process, this one, prints."""

    def __init__(self, root: Path, run_id: str = "1a2b3c4d", **header: object) -> None:
        self.folder = root / "kiseki" / f"run-20260101_120000-{run_id}"
        self.folder.mkdir(parents=True, exist_ok=True)
        process = this_process()
        fields = {
            "run_uid": run_id.ljust(32, "0"),
            "entity": "ada",
            "project": "digits",
            "run_id": run_id,
            "writer": "w00000000000000a",
            "role": "train",
            "lane": "w00000000000000a",
            "host": "laptop",
            "boot_id": process.boot_id,
            "pid": process.pid,
            "pid_ns": process.pid_ns,
            "pid_start": process.start,
            **header,
        }
        self.file = RecordWriter.create(self.folder / f"{fields['writer']}.kiseki", Header(**fields))  # type: ignore[arg-type]

    def say(self, text: str, stream: int = 1) -> None:
        self.file.append(Console(self.file.now(), stream, text.encode()))

    def end(self) -> None:
        self.file.append(State(self.file.now(), "finished", 0))
        self.file.close()


@pytest.fixture
def printed(tmp_path: Path) -> Path:
    """A finished run that printed a bar, colours and Japanese."""
    printer = Printer(tmp_path)
    printer.say("\x1b[32mstart\x1b[0m\n")
    for percent in range(0, 101, 10):
        printer.say(f"\r{percent}%", 2)
    printer.say("\n", 2)
    printer.say("学習が終わりました\nlast words")
    printer.end()
    return printer.folder


LINES = ["start", "100%", "学習が終わりました", "last words"]


@pytest.fixture(params=["a directory", "a server", "no server"])
def target(
    request: pytest.FixtureRequest, printed: Path, start_server: Callable, wait_until: Callable
) -> str:
    """What names the run: its directory, or its path on a server or in the user's own store."""
    if request.param == "a directory":
        return str(printed)
    record_root(printed.parent)
    if request.param == "a server":
        server = start_server(own=True)
        wait_until(lambda: b"digits" in server.get("/api/v1/projects"), what="the run")
        console = "/api/v1/runs/ada/digits/1a2b3c4d/console"
        wait_until(lambda: b'"live":false' in server.get(console), what="its end")
    return "ada/digits/1a2b3c4d"


def test_logs_prints_what_the_terminal_showed(kiseki: Callable, target: str) -> None:
    ended = kiseki("logs", target)
    assert (ended.stdout.splitlines(), ended.returncode, ended.stderr) == (LINES, 0, "")
    assert kiseki("logs", target, "-n", "2").stdout.splitlines() == LINES[-2:]
    assert kiseki("logs", target, "-n", "0").stdout == ""
    assert kiseki("logs", target, "--grep", "0%").stdout == "100%\n"
    assert kiseki("logs", target, "--ansi", "--grep", "start").stdout == "\x1b[32mstart\x1b[0m\n"
    assert kiseki("logs", target, "-f").stdout.splitlines() == LINES
    lines = [json.loads(line) for line in kiseki("logs", target, "--json").stdout.splitlines()]
    assert [(line["n"], line["stream"], line["text"]) for line in lines] == [
        (n, "stderr" if n == 1 else "stdout", text) for n, text in enumerate(LINES)
    ]
    assert kiseki("logs", target, "-t").stdout.splitlines()[0].split("  ")[1] == "start"
    missing = kiseki("logs", target, "--lane", "3")
    assert missing.returncode == 1 and "no lane 3" in missing.stderr


def test_api_gives_the_lines(printed: Path) -> None:
    from kiseki import Api

    record_root(printed.parent)
    run = Api().run("ada/digits/1a2b3c4d")
    assert list(run.console_logs()) == LINES
    assert next(iter(run.console_logs(ansi=True))) == "\x1b[32mstart\x1b[0m"
    assert list(run.console_logs(follow=True)) == LINES


def test_a_torn_file_is_read_to_its_damage(kiseki: Callable, printed: Path) -> None:
    (path,) = printed.glob("*.kiseki")
    data = bytearray(path.read_bytes())
    at = data.index(b"last words")
    data[at] ^= 1
    path.write_bytes(data)
    ended = kiseki("logs", printed)
    assert ended.stdout.splitlines() == LINES[:2]
    assert "lines are missing" in ended.stderr and "damaged at byte" in ended.stderr


def test_a_run_without_output_prints_nothing(kiseki: Callable, tmp_path: Path) -> None:
    assert kiseki("logs", write_run(tmp_path)).stdout == ""


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """`follower(target)`: a `kiseki logs -f` whose output can be read as it comes."""
    started: list[subprocess.Popen[str]] = []

    def start(target: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "kiseki.cli", "logs", str(target), "-f"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def test_following_brings_each_line_once_as_it_is_left_behind(tmp_path: Path, follower: Callable) -> None:
    printer = Printer(tmp_path)
    printer.say("one\ntwo\n 0%")
    process = follower(printer.folder)
    assert [process.stdout.readline(), process.stdout.readline()] == ["one\n", "two\n"]
    printer.say("\r100%\nthree")
    assert process.stdout.readline() == "100%\n"
    printer.end()
    assert process.stdout.readline() == "three\n"
    assert process.wait(20) == 0


def test_following_on_a_terminal_shows_the_bar_that_moves(tmp_path: Path, wait_until: Callable) -> None:
    printer = Printer(tmp_path)
    printer.say("start\n\x1b[31m 0%\x1b[0m")
    primary, secondary = pty.openpty()
    command = [sys.executable, "-m", "kiseki.cli", "logs", str(printer.folder), "-f"]
    env = {**os.environ, "COLUMNS": "40", "LINES": "10"}
    process = subprocess.Popen(command, stdout=secondary, stdin=secondary, env=env, cwd=tmp_path)
    os.close(secondary)
    screen = pyte.Screen(40, 10)
    stream = pyte.ByteStream(screen)

    def read() -> None:
        try:
            while data := os.read(primary, 4096):
                stream.feed(data)
        except OSError:
            pass

    reader = threading.Thread(target=read)
    reader.start()

    def shows(*lines: str) -> Callable[[], bool]:
        return lambda: [row.rstrip() for row in screen.display][: len(lines) + 1] == [*lines, ""]

    try:
        wait_until(shows("start", " 0%"), what="the first lines")
        printer.say("\r\x1b[31m 50%\x1b[0m")
        wait_until(shows("start", " 50%"), what="the bar to move")
        printer.say("\r100%\nend\n")
        wait_until(shows("start", "100%", "end"), what="the end")
        printer.end()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        reader.join()
        os.close(primary)


def test_lines_that_wrap_are_written_over_whole() -> None:
    screen = pyte.Screen(10, 8)
    screen.set_mode(pyte.modes.LNM)
    stream = pyte.Stream(screen)
    live = LiveLines(stream.feed, lambda: (10, 8))
    live.show([(0, "fixed"), (1, "x" * 25), (2, "bar")], 1)
    live.show([(1, "y" * 12), (2, "done")], 3)
    live.show([(3, "next")], 4)
    assert [row.rstrip() for row in screen.display][:6] == ["fixed", "y" * 10, "yy", "done", "next", ""]
    live = LiveLines(stream.feed, lambda: (10, 8))
    screen.reset()
    screen.set_mode(pyte.modes.LNM)
    live.show([(n, f"a{n}") for n in range(20)], 0)
    live.show([(n, f"b{n}") for n in range(20)], 0)
    assert [row.rstrip() for row in screen.display] == [*(f"b{n}" for n in range(13, 20)), ""]


def test_a_directory_is_read_in_pieces_and_forgets_what_it_is_told(tmp_path: Path) -> None:
    printer = Printer(tmp_path)
    for start in range(0, 50_000, 100):
        printer.say("".join(f"line {n} {'x' * 30}\n" for n in range(start, start + 100)))
    console = DirectoryConsole(printer.folder)
    assert console.update()
    assert 0 < console.view(0).total < 50_000
    while console.update():
        console.forget(-200)
    view = console.view(-150)
    assert view.total == 50_000 and [n for n, _ in view.lines] == list(range(49_850, 50_000))
    assert view.lines[0][1].text.startswith("line 49850 ")
    assert len(console.view(0).lines) <= 300
    printer.say("more\n")
    assert console.update() and not console.update()
    assert console.view(50_000).lines[0][1].text == "more"
    printer.end()
    assert console.update()
    assert not console.view(0).live and console.writers == 1


def test_long_logs_of_resumed_writers_are_printed_whole(kiseki: Callable, tmp_path: Path) -> None:
    first = Printer(tmp_path)
    second = Printer(
        tmp_path, writer="w00000000000000b", resumes="w00000000000000a", wall_ns=first.file.header.wall_ns + 1
    )
    for printer, name in ((first, "first"), (second, "second")):
        for start in range(0, 30_000, 100):
            printer.say("".join(f"{name} {n} {'x' * 40}\n" for n in range(start, start + 100)))
        printer.end()
    lines = [line.split(" x")[0] for line in kiseki("logs", first.folder).stdout.splitlines()]
    assert lines == [f"{name} {n}" for name in ("first", "second") for n in range(30_000)]
    assert kiseki("logs", first.folder, "-n", "1").stdout.startswith("second 29999 ")
    assert len(kiseki("logs", first.folder, "-f").stdout.splitlines()) == 60_000
