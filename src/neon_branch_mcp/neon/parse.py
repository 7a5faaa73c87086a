"""Neon's JSON → models. What lacks a field we need is not an answer: `WrongShape`."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from ..models import Branch, Database, Endpoint, Operation, Project, Role

T = TypeVar("T")


class WrongShape(Exception):
    """The answer is not what Neon's specification says; the text names the field, never its value."""


def field(data: Any, key: str, kind: type[T]) -> T:
    """The required field `key` of a JSON object."""
    value = data.get(key) if isinstance(data, dict) else None
    # bool is an int in Python, but not in JSON.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise WrongShape(f"{key} is missing or not {kind.__name__}")
    return value


def optional(data: Mapping[str, Any], key: str, kind: type[T]) -> T | None:
    """The field `key`, or None when it is absent, null or empty."""
    return field(data, key, kind) if data.get(key) else None


def items(data: Any, key: str, parse: Callable[[Any], T]) -> list[T]:
    """The required list `key`, each item parsed."""
    return [parse(item) for item in field(data, key, list)]


def project(data: Any) -> Project:
    return Project(
        id=field(data, "id", str),
        name=field(data, "name", str),
        pg_version=field(data, "pg_version", int),
        created_at=field(data, "created_at", str),
        org_id=optional(data, "org_id", str),
        region_id=optional(data, "region_id", str),
    )


def annotation_value(data: Any) -> dict[str, str]:
    """The key-value pairs of an `AnnotationData`; none when there is no annotation."""
    value = data.get("value") if isinstance(data, dict) else None
    return {k: v for k, v in value.items() if isinstance(v, str)} if isinstance(value, dict) else {}


def branch(data: Any, annotation: Any = None) -> Branch:
    return Branch(
        id=field(data, "id", str),
        project_id=field(data, "project_id", str),
        name=field(data, "name", str),
        default=field(data, "default", bool),
        protected=field(data, "protected", bool),
        current_state=field(data, "current_state", str),
        created_at=field(data, "created_at", str),
        updated_at=field(data, "updated_at", str),
        parent_id=optional(data, "parent_id", str),
        parent_lsn=optional(data, "parent_lsn", str),
        parent_timestamp=optional(data, "parent_timestamp", str),
        pending_state=optional(data, "pending_state", str),
        expires_at=optional(data, "expires_at", str),
        last_reset_at=optional(data, "last_reset_at", str),
        init_source=optional(data, "init_source", str),
        logical_size=optional(data, "logical_size", int),
        annotations=annotation_value(annotation),
    )


def branch_page(data: Any) -> list[Branch]:
    annotations = data.get("annotations") if isinstance(data, dict) else None
    notes = annotations if isinstance(annotations, dict) else {}
    return items(data, "branches", lambda b: branch(b, notes.get(b.get("id") if isinstance(b, dict) else None)))


def endpoint(data: Any) -> Endpoint:
    kind: Literal["read_write", "read_only"] = "read_only" if field(data, "type", str) == "read_only" else "read_write"
    return Endpoint(
        id=field(data, "id", str),
        branch_id=field(data, "branch_id", str),
        host=field(data, "host", str),
        type=kind,
        current_state=field(data, "current_state", str),
        disabled=bool(data.get("disabled")),
    )


def role(data: Any) -> Role:
    return Role(name=field(data, "name", str), protected=bool(data.get("protected")))


def database(data: Any) -> Database:
    return Database(name=field(data, "name", str), owner_name=field(data, "owner_name", str))


def operation(data: Any) -> Operation:
    return Operation(
        id=field(data, "id", str),
        project_id=field(data, "project_id", str),
        action=field(data, "action", str),
        status=field(data, "status", str),
        branch_id=optional(data, "branch_id", str),
        endpoint_id=optional(data, "endpoint_id", str),
        error=optional(data, "error", str),
    )


def operations(data: Any) -> list[Operation]:
    return items(data, "operations", operation)
