"""The API's OpenAPI 3.1 document, made from its definitions; `python -m kiseki.server.openapi` prints it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from starlette.responses import Response

from kiseki import __version__
from kiseki.server.endpoint import JSON, Endpoint, endpoint
from kiseki.server.errors import ErrorAnswer

_REFERENCE: Final = "#/components/schemas/{name}"


@endpoint("GET", "/openapi.json")
def get_openapi() -> Response:
    """Return this document."""
    from kiseki.server.application import ENDPOINTS as all_endpoints

    return Response(json.dumps(openapi_document(all_endpoints)), media_type=JSON)


def openapi_document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Return the OpenAPI document that describes `endpoints`."""
    bodies = [kind for each in endpoints for kind in (each.body_type, each.answer_type) if kind is not None]
    types = list(dict.fromkeys([ErrorAnswer, *bodies]))
    _, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for each in endpoints:
        # A path parameter that may hold slashes is written {name:file} in a route.
        paths.setdefault(each.full_path.replace(":file}", "}"), {})[each.method.lower()] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Kiseki", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(definition: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": definition.handler.__name__,
        "summary": definition.summary,
        "parameters": [
            *_parameters(definition.path_type, "path"),
            *_parameters(definition.query_type, "query"),
        ],
        "responses": {
            str(definition.status): _success(definition),
            "default": _content(ErrorAnswer, "error"),
        },
        "security": [] if definition.public else [{"key": []}],
    }
    if definition.body_type is not None:
        operation["requestBody"] = {"required": True, **_content(definition.body_type)}
    elif definition.raw_body is not None:
        operation["requestBody"] = {"required": True, "content": {definition.raw_body: {}}}
    return operation


def _success(definition: Endpoint) -> dict[str, Any]:
    if definition.answer_type is not None:
        return _content(definition.answer_type, "success")
    if definition.status == 204:
        return {"description": "success"}
    return {"description": "success", "content": {definition.media: {}}}


def _content(kind: type[msgspec.Struct], description: str | None = None) -> dict[str, Any]:
    content: dict[str, Any] = {"content": {JSON: {"schema": {"$ref": _REFERENCE.format(name=kind.__name__)}}}}
    return content if description is None else {"description": description, **content}


def _parameters(kind: type[msgspec.Struct] | None, place: str) -> list[dict[str, Any]]:
    if kind is None:
        return []
    (_,), schemas = msgspec.json.schema_components([kind])
    schema = schemas[kind.__name__]
    required = schema.get("required", [])
    return [
        {"name": name, "in": place, "required": name in required, "schema": described}
        for name, described in schema["properties"].items()
    ]


ENDPOINTS = (get_openapi,)


def main() -> None:
    """Print the document."""
    from kiseki.server.application import ENDPOINTS as all_endpoints

    json.dump(openapi_document(all_endpoints), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
