"""The program itself: help without weight, and failures in one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

COMMANDS = [
    "up",
    "demo",
    "runs",
    "show",
    "logs",
    "files",
    "reproduce",
    "export",
    "sync",
    "login",
    "key",
    "rebuild",
    "doctor",
]


def test_help_names_every_command(kiseki: Callable) -> None:
    ended = kiseki("--help")
    assert ended.returncode == 0
    listed = [line.split()[0] for line in ended.stdout.partition("Commands:")[2].splitlines() if line.strip()]
    assert listed == COMMANDS


def test_help_loads_nothing_of_the_server() -> None:
    code = (
        "import sys\nfrom kiseki.cli.program import run\nrun(['--help'])\n"
        "heavy = 'numpy sqlalchemy starlette uvicorn zstandard asyncio ssl http.client'.split()\n"
        "print('loaded:', sorted(set(heavy) & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "loaded: []"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(kiseki: Callable, command: str) -> None:
    ended = kiseki(command, "--help")
    assert ended.returncode == 0
    assert ended.stdout.startswith(f"Usage: kiseki {command}")


def test_version_is_the_package_s(kiseki: Callable) -> None:
    from kiseki import __version__

    assert kiseki("--version").stdout == f"kiseki {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "No such command 'nonsense'. (kiseki --help says what it takes)"),
        (["up", "--port", "x"], "Invalid value for '--port'"),
        (["show"], "Missing argument 'RUN|DIR'. (kiseki show --help says what it takes)"),
        (["show", "a/b/c/d"], '"a/b/c/d" is no path: use entity/project/id, project/id or id'),
        (["sync", "/nowhere"], "no server named"),
        (["login"], "which server? kiseki login http://host:7117 (or set KISEKI_BASE_URL)"),
        (["rebuild", "/nowhere"], "no store in /nowhere: `kiseki up` makes one"),
        (["rebuild", "/usr"], "no store in /usr: `kiseki up` makes one"),
        (["up", __file__], f"no store can be kept in {__file__}: "),
        (["key", "revoke", "first"], "Invalid value for 'ID': 'first' is not a valid integer"),
        (["show", __file__], f"{__file__} is a file"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_1(kiseki: Callable, arguments: list[str], said: str) -> None:
    ended = kiseki(*arguments)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"kiseki: {said}")
    assert ended.stderr.count("\n") == 1


def test_a_closed_output_is_no_error(write_run: Callable) -> None:
    command = [sys.executable, "-m", "kiseki.cli", "show", str(write_run())]
    ended = subprocess.run(["/bin/sh", "-c", '"$@" >&-', "sh", *command], stderr=subprocess.PIPE)
    assert (ended.returncode, ended.stderr) == (0, b"")
