"""The documentation is held against the code: its links lead somewhere, its commands and settings exist."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import click
import pytest

from kiseki.cli.program import program

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


def test_commands_and_their_options_exist() -> None:
    context = click.Context(program)
    for page in PAGES:
        for line in re.findall(
            r"\bkiseki ((?:up|demo|runs|show|export|sync|login|key|rebuild|doctor)\b[^`\n]*)",
            page.read_text(),
        ):
            name, *words = line.split()
            command = program.get_command(context, name)
            assert command is not None
            known = {
                option
                for parameter in command.params
                for option in (*parameter.opts, *parameter.secondary_opts)
            }
            for option in re.findall(r"(?<!\S)--[a-z][a-z-]*", " ".join(words)):
                assert option in known, f"{page.name}: kiseki {line}"


def test_every_environment_variable_has_its_line() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    page = (ROOT / "docs/environment.md").read_text()
    for prefix in ("KISEKI", "WANDB"):
        used = set(re.findall(rf'"({prefix}_[A-Z_]+)"', sources))
        assert set(re.findall(rf"{prefix}_[A-Z_]+", page)) - {"KISEKI_"} == used


def test_python_in_the_pages_is_python() -> None:
    for page in PAGES:
        for code in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
            ast.parse(code)


def test_every_command_is_in_the_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert all(f"`{name}`" in text for name in program.list_commands(click.Context(program)))


def test_every_endpoint_has_its_line() -> None:
    page = (ROOT / "docs/http-api.md").read_text()
    paths = json.loads((ROOT / "web/openapi.json").read_text())["paths"]
    served = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert set(re.findall(r"\b((?:GET|POST|PUT|PATCH|DELETE) /api/v1/[^\s`]*)", page)) == served


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/index.md").read_text()
    pages = [page.relative_to(ROOT / "docs") for page in (ROOT / "docs").rglob("*.md")]
    named = [page for page in pages if page.parts[0] not in ("reports", "benchmarks.md")]  # made by commands
    assert [page for page in named if page.name != "index.md" and f"]({page})" not in index] == []
