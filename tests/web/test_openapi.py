"""The web app's copy of the API's definition is the server's."""

from __future__ import annotations

import json
from pathlib import Path

from kiseki.server.application import ENDPOINTS
from kiseki.server.openapi import openapi_document

WEB = Path(__file__).parent.parent.parent / "web"


def test_the_app_is_built_against_the_servers_definition() -> None:
    kept = json.loads((WEB / "openapi.json").read_text())
    served = json.loads(json.dumps(openapi_document(ENDPOINTS)))
    assert kept == served, (
        "run `.venv/bin/python -m kiseki.server.openapi > web/openapi.json` and `npm run types` in web/"
    )
