"""Wheels of what is installed here, so that an environment is built without a package index."""

from __future__ import annotations

import zipfile
from importlib.metadata import distribution
from pathlib import Path

from kiseki import __version__

SOURCES = Path(__file__).parent.parent.parent / "src"


def wheel(folder: Path, name: str, version: str, files: dict[str, bytes], tag: str = "py3-none-any") -> Path:
    """Write a wheel of these files into `folder`."""
    info = f"{name}-{version}.dist-info"
    files = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in {**files, f"{info}/RECORD": record.encode()}.items():
            archive.writestr(file, content)
    return path


def wheel_of_kiseki(folder: Path) -> Path:
    """Write a wheel of this tree's Kiseki, without the web app."""
    files = {
        str(path.relative_to(SOURCES)): path.read_bytes()
        for path in (SOURCES / "kiseki").rglob("*.py")
        if "static" not in path.parts
    }
    return wheel(folder, "kiseki", __version__, files)


def wheel_of_installed(folder: Path, name: str) -> Path:
    """Write a wheel of an installed distribution, for this interpreter alone."""
    found = distribution(name)
    files = {}
    for path in found.files or ():
        if ".dist-info" not in str(path) and ".." not in path.parts and path.suffix != ".pyc":
            files[str(path)] = Path(str(found.locate_file(path))).read_bytes()
    return wheel(folder, name, found.version, files)
