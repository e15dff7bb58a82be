"""`kiseki up` until its first page is answered, beside importing what it is built on in one process."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks.home import free_port, private_home, run_python
from benchmarks.report import Bar, Report, Result, main

ROUNDS = 9

IMPORTS = "import starlette.applications, starlette.routing, uvicorn, sqlalchemy"


def measure() -> Report:
    """Process start to the page's last byte, in turns with process start to the end of the imports.

    The fastest of each: a busy machine only ever adds.
    """
    fresh, again, floor = [], [], []
    for _ in range(ROUNDS):
        with private_home() as (folder, env):
            floor.append(_seconds_of_imports(folder, env))
            fresh.append(_seconds_to_first_page(folder, env))
            again.append(_seconds_to_first_page(folder, env))
    what, other = "kiseki up → first page answered", "importing Starlette, uvicorn, SQLAlchemy"
    return Report(
        "server_start",
        [
            Result(what, "ms", min(again) * 1000, other, min(floor) * 1000, Bar("<=", 1.5)),
            Result(f"{what}, new store", "ms", min(fresh) * 1000, other, min(floor) * 1000),
        ],
    )


def _seconds_of_imports(folder: Path, env: dict[str, str]) -> float:
    start = time.perf_counter()
    run_python(IMPORTS, folder, env)
    return time.perf_counter() - start


def _seconds_to_first_page(folder: Path, env: dict[str, str]) -> float:
    port = free_port()
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "kiseki.cli", "up", "--port", str(port), "--no-browser"],
        cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                    answer.read()
                return time.perf_counter() - start
            except urllib.error.HTTPError:
                raise
            except OSError:
                if process.poll() is not None:
                    raise RuntimeError(f"`kiseki up` ended with {process.returncode}") from None
                time.sleep(0.002)
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main(measure())
