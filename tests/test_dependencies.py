"""Every runtime dependency has its reason written down."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_each_runtime_dependency_has_its_line_in_the_docs() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    block = re.search(r"^dependencies = \[\n(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert block
    wanted = set(re.findall(r'^ *"([A-Za-z0-9_-]+)', block[1], re.MULTILINE))
    page = (ROOT / "docs/dependencies.md").read_text()
    assert set(re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)) == wanted
