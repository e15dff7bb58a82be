"""What is shipped: the wheel serves the built web app, and the sdist can build that wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(
    not (ROOT / "src/kiseki/server/static/licenses.txt").exists(),
    reason="the web app is not built (./dev web)",
)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheel and sdist, made from the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder), "-t", "sdist", "-t", "wheel"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


def test_the_sdist_has_the_sources_of_everything_and_nothing_built(dist: Path) -> None:
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    assert {"hatch_build.py", "web/package-lock.json", "web/vite.config.ts", "src/kiseki/py.typed"} <= names
    assert {"LICENSE", "README.md", "CHANGELOG.md", "docs/index.md", "examples/digits.py"} <= names
    assert not [name for name in names if "node_modules" in name or "server/static" in name]


def test_the_wheel_has_the_built_app_and_no_sources_of_it(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "kiseki/server/static/index.html" in names
    assert any(name.startswith("kiseki/server/static/assets/") and name.endswith(".js") for name in names)
    assert "kiseki/server/static/licenses.txt" in names
    assert "kiseki/py.typed" in names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"kiseki"}


def test_the_installed_wheel_serves_its_page(dist: Path, tmp_path: Path, wait_until: object) -> None:
    (wheel,) = dist.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    log = tmp_path / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "kiseki.cli", "up", "--port", "0"],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: "http://" in log.read_text() or server.poll() is not None)  # type: ignore[operator]
        said = log.read_text()
        assert "http://" in said, said
        url = "http://" + said.partition("http://")[2].split("/?")[0]
        with urllib.request.urlopen(f"{url}/") as page:
            body = page.read().decode()
        assert '<script type="module"' in body
    finally:
        server.terminate()
        server.wait(timeout=20)
