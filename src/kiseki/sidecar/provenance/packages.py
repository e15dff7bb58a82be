"""`requirements.txt`: the distributions that the training's interpreter finds, spelled as pip freeze does.

Names by <https://packaging.python.org/en/latest/specifications/name-normalization/>, origins by
<https://packaging.python.org/en/latest/specifications/direct-url/>.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, DistributionFinder, MetadataPathFinder
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from kiseki.system.secrets import strip_credentials

# Where conda's packages say that they come from: folders of the machine that built them.
_CONDA: Final = ("/feedstock_root/", "/croot/", "/conda-bld/", "/tmp/build/")
_HEADER_BYTES: Final = 64 * 1024


def list_requirements(sys_path: Iterable[str], cwd: str) -> list[str]:
    """One line for each distribution found on `sys_path`, sorted by name; the first of a name counts."""
    lines: dict[str, str] = {}
    for distribution in _distributions(sys_path, cwd):
        try:
            name, version = _name_and_version(distribution)
            normal = re.sub(r"[-_.]+", "-", name).lower()
            if name and normal not in lines:
                lines[normal] = _line(distribution, name, version)
        except (OSError, ValueError):  # Not UTF-8, not readable, no address: it must not cost the others.
            continue
    return [lines[name] for name in sorted(lines)]


def write_requirements(path: Path, lines: list[str], python: str) -> None:
    """Write the lines to `path`, below one that names the interpreter. Raises OSError."""
    text = "".join(f"{line}\n" for line in [f"# {python}", *lines])
    path.write_text(text, encoding="utf-8", errors="surrogateescape")


def conda_packages(prefix: str) -> list[str]:
    """The packages of the conda environment at `prefix` as an explicit list; empty where it is none."""
    lines = []
    for path in sorted(Path(prefix, "conda-meta").glob("*.json")):
        try:
            entry = json.loads(path.read_bytes())
            url, checksum = str(entry["url"]), entry.get("md5")
        except (OSError, ValueError, KeyError, TypeError):
            continue
        public = re.sub(r"/t/[^/]+/", "/", strip_credentials(url))
        lines.append(f"{public}#{checksum}" if checksum else public)
    return ["@EXPLICIT", *lines] if lines else []


def _distributions(sys_path: Iterable[str], cwd: str) -> Iterator[Distribution]:
    for entry in dict.fromkeys(os.path.join(cwd, entry) if cwd else entry for entry in sys_path):
        if os.path.isdir(entry):
            yield from MetadataPathFinder().find_distributions(DistributionFinder.Context(path=[entry]))


def _name_and_version(distribution: Distribution) -> tuple[str, str]:
    """Read only the lines that are needed: parsing a whole METADATA file as a message takes far longer."""
    name = version = ""
    for file in ("METADATA", "PKG-INFO"):
        text = distribution.read_text(file)
        for line in (text or "")[:_HEADER_BYTES].splitlines():
            field, _, value = line.partition(":")
            if field == "Name":
                name = value.strip()
            elif field == "Version":
                version = value.strip()
            if not line or (name and version):
                break
        if name:
            break
    return name, version


def _line(distribution: Distribution, name: str, version: str) -> str:
    origin = _origin(distribution)
    url = origin.get("url")
    if not isinstance(url, str):
        return f"{name}=={version}" if version else name
    subfolder = f"subdirectory={origin['subdirectory']}" if origin.get("subdirectory") else ""
    vcs, folder, archive = (origin.get(kind) for kind in ("vcs_info", "dir_info", "archive_info"))
    if isinstance(vcs, dict):
        at = f"@{vcs['commit_id']}" if vcs.get("commit_id") else ""
        return f"{name} @ {vcs.get('vcs', 'git')}+{strip_credentials(url)}{at}{subfolder and '#' + subfolder}"
    if isinstance(folder, dict) and folder.get("editable"):
        return f"-e {_local(url)}  # {name}=={version}"
    if any(mark in url for mark in _CONDA) or (distribution.read_text("INSTALLER") or "").strip() == "conda":
        return f"{name}=={version}"
    checksum = _checksum(archive) if isinstance(archive, dict) else ""
    extra = "&".join(part for part in (checksum, subfolder) if part)
    return f"{name} @ {strip_credentials(url)}{extra and '#' + extra}"


def _origin(distribution: Distribution) -> dict[str, Any]:
    """The content of `direct_url.json`, or what an egg beside its own sources says of itself."""
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        origin = {}
    if origin or not isinstance(origin, dict):
        return origin if isinstance(origin, dict) else {}
    folder = getattr(distribution, "_path", None)
    if folder is not None and str(folder).endswith(".egg-info"):
        parent = Path(str(folder)).parent
        if any((parent / file).is_file() for file in ("setup.py", "pyproject.toml")):
            return {"url": parent.as_uri(), "dir_info": {"editable": True}}
    return {}


def _checksum(archive: dict[str, Any]) -> str:
    hashes = archive.get("hashes")
    if isinstance(hashes, dict) and hashes:
        name, value = next(iter(hashes.items()))
        return f"{name}={value}"
    return str(archive.get("hash") or "")


def _local(url: str) -> str:
    return unquote(urlsplit(url).path) if url.startswith("file://") else url


def interpreter() -> str:
    """What runs here, for the first line of the list."""
    return f"{sys.implementation.name} {sys.version.split()[0]}"
