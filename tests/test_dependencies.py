"""Every runtime dependency has its reason written down."""

from __future__ import annotations

import re
from importlib.metadata import requires
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_each_runtime_dependency_has_its_line_in_the_docs() -> None:
    wanted = {
        re.split(r"[^A-Za-z0-9_.-]", line, maxsplit=1)[0].lower()
        for line in requires("kiseki") or []
        if "extra ==" not in line
    }
    page = (ROOT / "docs/dependencies.md").read_text()
    documented = {name.lower() for name in re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)}
    assert documented == wanted
