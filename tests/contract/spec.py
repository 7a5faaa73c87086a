"""Holds answers against the pinned part of Neon's specification (OpenAPI 3.0, read as JSON Schema)."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jsonschema

PREFIX = "/api/v2"


@cache
def document() -> dict[str, Any]:
    return _json_schema(json.loads(Path(__file__).with_name("openapi.json").read_text(encoding="utf-8")))  # type: ignore[no-any-return]


def _json_schema(value: Any) -> Any:
    """OpenAPI 3.0 says `nullable` where JSON Schema says type null."""
    if isinstance(value, list):
        return [_json_schema(v) for v in value]
    if not isinstance(value, dict):
        return value
    schema = {k: _json_schema(v) for k, v in value.items()}
    if schema.pop("nullable", False) is True:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema


@cache
def _templates() -> list[tuple[re.Pattern[str], str]]:
    # Paths with fewer parameters first: /projects/shared is not a project's id.
    ordered = sorted(document()["paths"], key=lambda p: (p.count("{"), p))
    return [(re.compile(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(p)) + "$"), p) for p in ordered]


def operation_of(method: str, path: str) -> dict[str, Any]:
    """The operation of the specification that answers; KeyError where it has none."""
    path = path.removeprefix(PREFIX)
    for pattern, template in _templates():
        found = document()["paths"][template].get(method.lower())
        if found is not None and pattern.match(path):
            return found  # type: ignore[no-any-return]
    raise KeyError(f"the specification has no {method} {path}")


def check(response: httpx.Response) -> None:
    """Fails unless the answer has a status that the specification knows and a body of its shape."""
    request = response.request
    responses = operation_of(request.method, request.url.raw_path.decode().partition("?")[0])["responses"]
    answer = responses.get(str(response.status_code)) or responses["default"]
    if "$ref" in answer:
        answer = _resolve(answer["$ref"])
    content = answer.get("content", {}).get("application/json")
    if content is None:
        return
    schema = {**content["schema"], "components": document()["components"]}
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    problems = [
        f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in validator.iter_errors(response.json())
    ]
    assert not problems, f"{request.method} {request.url.path} → {response.status_code}: {problems}"


def _resolve(reference: str) -> dict[str, Any]:
    found: Any = document()
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found  # type: ignore[no-any-return]
