"""The OpenAPI document describes the API that is served."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def _references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if "$ref" in node else set()
        return own.union(*map(_references, node.values()))
    return set().union(*map(_references, node)) if isinstance(node, list) else set()


def test_document_is_served_and_printed_alike(user: Any) -> None:
    command = [sys.executable, "-m", "kiseki.server.openapi"]
    printed = subprocess.run(command, capture_output=True, check=True).stdout
    assert json.loads(printed) == user.get("/api/v1/openapi.json")


def test_web_app_is_built_against_this_document() -> None:
    kept = Path(__file__).parents[2] / "web/openapi.json"
    printed = subprocess.run([sys.executable, "-m", "kiseki.server.openapi"], capture_output=True, check=True)
    assert json.loads(kept.read_text()) == json.loads(printed.stdout), (
        "run: python -m kiseki.server.openapi > web/openapi.json && npm run --prefix web types"
    )


def test_every_reference_leads_somewhere(user: Any) -> None:
    document = user.get("/api/v1/openapi.json")
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert _references(document) <= known


def test_document_names_types_parameters_and_who_may_ask(user: Any) -> None:
    paths = user.get("/api/v1/openapi.json")["paths"]
    runs = paths["/api/v1/projects/{entity}/{project}/runs"]["get"]
    assert [(one["name"], one["in"], one["required"]) for one in runs["parameters"]] == [
        ("entity", "path", True),
        ("project", "path", True),
        ("filter", "query", False),
        ("sort", "query", False),
        ("limit", "query", False),
        ("offset", "query", False),
    ]
    answer = runs["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/RunsPage"}
    assert runs["security"] == [{"key": []}]
    assert paths["/api/v1/server"]["get"]["security"] == []
    assert set(paths["/api/v1/keys/{id}"]["delete"]["responses"]) == {"204", "default"}
    assert list(paths["/api/v1/series"]["post"]["responses"]["200"]["content"]) == [
        "application/vnd.apache.arrow.stream"
    ]
