"""The shapes of what a body may hold: what is known is kept, what is not is left out, what has another type is refused."""

from collections.abc import Mapping
from typing import Any, Union

from .problems import Problem

Shape = Mapping[str, Union[type, "Shape"]]

PROJECT_SETTINGS: Shape = {
    "quota": dict.fromkeys(
        (
            "active_time_seconds",
            "compute_time_seconds",
            "written_data_bytes",
            "data_transfer_bytes",
            "logical_size_bytes",
        ),
        int,
    ),
    "allowed_ips": {"ips": list, "protected_branches_only": bool},
    "enable_logical_replication": bool,
    "maintenance_window": {"weekdays": list, "start_time": str, "end_time": str},
    "block_public_connections": bool,
    "block_vpc_connections": bool,
    "audit_log_level": str,
    "hipaa": bool,
    "preload_libraries": {"use_defaults": bool, "enabled_libraries": list},
}
COMPUTE_SETTINGS: Shape = {
    "autoscaling_limit_min_cu": float,
    "autoscaling_limit_max_cu": float,
    "suspend_timeout_seconds": int,
}
PROJECT: Shape = {
    "name": str,
    "org_id": str,
    "branch": {"name": str, "role_name": str, "database_name": str},
}
BRANCH: Shape = {
    "name": str,
    "parent_id": str,
    "parent_lsn": str,
    "parent_timestamp": str,
    "protected": bool,
    "init_source": str,
    "expires_at": str,
}
RESTORE: Shape = {"source_branch_id": str, "source_lsn": str, "source_timestamp": str, "preserve_under_name": str}
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list of texts"}


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
    """An object of texts. Raises Problem 400 for other values."""
    if not all(isinstance(value, str) for value in part.values()):
        raise Problem(400, f"{name} should hold texts")
    return dict(part)


def _value(key: str, value: Any, kind: "type | Shape") -> Any:
    if isinstance(kind, Mapping):
        if not isinstance(value, dict):
            raise Problem(400, f"{key} should be an object")
        return shaped(value, kind)
    if not _fits(value, kind):
        raise Problem(400, f"{key} should be {_WORDS[kind]}")
    return value


def _fits(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    if kind is list:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return isinstance(value, (int, float) if kind is float else kind)
