"""The shapes of what a body may hold: what is known is kept, what is not is left out, what has another type is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Union

from .problems import Problem


@dataclass(frozen=True)
class Text:
    """A text of at most so many characters."""

    most: int


Kind = Union[type, range, Text, tuple[str, ...], "list[Kind]", "Shape"]
"""A type, a whole number within a range, a text with a limit, one of some texts, a list of a kind, or an object."""
Shape = Mapping[str, Kind]

AMOUNT = range(2**63)
PROJECT_SETTINGS: Shape = {
    "quota": {
        "active_time_seconds": AMOUNT,
        "compute_time_seconds": AMOUNT,
        "written_data_bytes": AMOUNT,
        "data_transfer_bytes": AMOUNT,
        "logical_size_bytes": AMOUNT,
    },
    "allowed_ips": {"ips": [str], "protected_branches_only": bool},
    "enable_logical_replication": bool,
    "maintenance_window": {"weekdays": [range(1, 8)], "start_time": str, "end_time": str},
    "block_public_connections": bool,
    "block_vpc_connections": bool,
    "audit_log_level": ("base", "extended", "full"),
    "hipaa": bool,
    "preload_libraries": {"use_defaults": bool, "enabled_libraries": [str]},
}
WHOLE = frozenset({"maintenance_window"})
"""Objects that are of no use without all of their keys."""
LEAST_UNITS, MOST_UNITS = 0.25, 1024
NAME = Text(256)
COMPUTE_SETTINGS: Shape = {
    "autoscaling_limit_min_cu": float,
    "autoscaling_limit_max_cu": float,
    "suspend_timeout_seconds": range(-1, 604_801),
}
COMPUTE: Shape = {**COMPUTE_SETTINGS, "disabled": bool}
PROJECT: Shape = {
    "name": NAME,
    "org_id": str,
    "pg_version": int,
    "history_retention_seconds": range(30 * 86_400 + 1),
    "settings": PROJECT_SETTINGS,
    "default_endpoint_settings": COMPUTE_SETTINGS,
    "branch": {"name": NAME, "role_name": str, "database_name": str},
}
BRANCH: Shape = {
    "name": NAME,
    "parent_id": str,
    "parent_lsn": str,
    "parent_timestamp": str,
    "protected": bool,
    "init_source": str,
    "expires_at": str,
}
RESTORE: Shape = {"source_branch_id": str, "source_lsn": str, "source_timestamp": str, "preserve_under_name": NAME}
MOST_TEXTS = 50
_WORDS: Mapping[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: f"a number from {LEAST_UNITS} to {MOST_UNITS}",
    str: "a text",
}


def shaped(part: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    """The known keys of `part`, `null` ones left out. Raises Problem 400 for a value of another type."""
    return {key: _value(key, part[key], kind) for key, kind in shape.items() if key in part and part[key] is not None}


def objects_in(value: Any, name: str) -> list[dict[str, Any]]:
    """A list of objects, empty where it was left out. Raises Problem 400 for anything else."""
    found = value or []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise Problem(400, f"{name} should be a list of objects")
    return found


def texts(part: Mapping[str, Any], name: str) -> dict[str, str]:
    """An object of texts. Raises Problem 400 for other values, or too many."""
    if len(part) > MOST_TEXTS or not all(isinstance(value, str) for value in part.values()):
        raise Problem(400, f"{name} should hold texts, at most {MOST_TEXTS}")
    return dict(part)


def _value(key: str, value: Any, kind: Kind) -> Any:
    if isinstance(kind, Mapping):
        if not isinstance(value, dict):
            raise Problem(400, f"{key} should be an object")
        found = shaped(value, kind)
        if key in WHOLE and len(found) < len(kind):
            raise Problem(400, f"{key} needs {', '.join(kind)}")
        return found
    if isinstance(kind, list):
        if not isinstance(value, list):
            raise Problem(400, f"{key} should be a list")
        return [_value(f"each of {key}", item, kind[0]) for item in value]
    if not _fits(value, kind):
        raise Problem(400, f"{key} should be {_said(kind)}")
    return value


def _fits(value: Any, kind: type | range | Text | tuple[str, ...]) -> bool:
    if isinstance(kind, Text):
        return isinstance(value, str) and len(value) <= kind.most
    if isinstance(kind, range):
        return isinstance(value, int) and not isinstance(value, bool) and value in kind
    if isinstance(kind, tuple):
        return isinstance(value, str) and value in kind
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, int | float) and LEAST_UNITS <= value <= MOST_UNITS
    return isinstance(value, kind)


def _said(kind: type | range | Text | tuple[str, ...]) -> str:
    if isinstance(kind, Text):
        return f"a text of at most {kind.most} characters"
    if isinstance(kind, range):
        return f"a whole number from {kind.start} to {kind.stop - 1}"
    return f"one of {', '.join(kind)}" if isinstance(kind, tuple) else _WORDS[kind]
