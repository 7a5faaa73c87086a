"""Rows of the state → the API's JSON, complete by the specification."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from .access import FoundDatabase
from .store import BranchRow, EndpointRow, OperationRow, ProjectRow, RoleRow

Json = dict[str, Any]
REGION = "local"
PLATFORM = "local"
OWNER_ID = "5f0a1c1e-0000-4000-8000-000000000001"
ORG_ID = "org-local-plane-00000001"
PROVISIONER = "k8s-neonvm"
COMPUTE_DEFAULTS = "default_endpoint_settings"
"""Where a project's settings keep those of its new computes; the API shows the two side by side."""


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC, whole seconds, as Neon writes times."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def project(row: ProjectRow) -> Json:
    """The Project object."""
    return {
        "id": row.id,
        "name": row.name,
        "platform_id": PLATFORM,
        "region_id": REGION,
        "provisioner": PROVISIONER,
        "default_endpoint_settings": row.settings.get(COMPUTE_DEFAULTS, {}),
        "settings": {key: value for key, value in row.settings.items() if key != COMPUTE_DEFAULTS},
        "pg_version": row.pg_version,
        "proxy_host": "127.0.0.1",
        "branch_logical_size_limit": 0,
        "branch_logical_size_limit_bytes": 0,
        "store_passwords": True,
        "creation_source": "local",
        "history_retention_seconds": row.history_seconds,
        "created_at": timestamp(row.created_at),
        "updated_at": timestamp(row.updated_at),
        "owner_id": OWNER_ID,
        "org_id": row.org_id,
        "synthetic_storage_size": 0,
        "consumption_period_start": timestamp(row.created_at),
        "consumption_period_end": "0001-01-01T00:00:00Z",
        "data_storage_bytes_hour": 0,
        "data_transfer_bytes": 0,
        "written_data_bytes": 0,
        "compute_time_seconds": 0,
        "active_time_seconds": 0,
        "active_time": 0,
        "cpu_used_sec": 0,
    }


def branch(row: BranchRow) -> Json:
    """The Branch object; what it has not is left out, as Neon does."""
    optional = {
        "parent_id": row.parent_id,
        "parent_lsn": row.parent_lsn,
        "parent_timestamp": None if row.parent_timestamp is None else timestamp(row.parent_timestamp),
        "pending_state": row.pending_state,
        "logical_size": row.logical_size,
        "ttl_interval_seconds": row.ttl_seconds if row.expires_at is not None else None,
        "expires_at": None if row.expires_at is None else timestamp(row.expires_at),
        "last_reset_at": None if row.last_reset_at is None else timestamp(row.last_reset_at),
    }
    return {
        "id": row.id,
        "project_id": row.project_id,
        "name": row.name,
        "current_state": row.state,
        "state_changed_at": timestamp(row.state_changed_at),
        "creation_source": "local" if row.made_by is None else f"local: {row.made_by}",
        "primary": row.is_default,
        "default": row.is_default,
        "protected": row.is_protected,
        "init_source": row.init_source,
        "cpu_used_sec": 0,
        "compute_time_seconds": 0,
        "active_time_seconds": 0,
        "written_data_bytes": 0,
        "data_transfer_bytes": 0,
        "created_at": timestamp(row.created_at),
        "updated_at": timestamp(row.updated_at),
        **{k: v for k, v in optional.items() if v is not None},
    }


def annotation(row: BranchRow) -> Json:
    """The AnnotationData of a branch."""
    return {
        "object": {"type": "console/branch", "id": row.id},
        "value": dict(row.annotation),
        "created_at": timestamp(row.created_at),
        "updated_at": timestamp(row.updated_at),
    }


def endpoint(row: EndpointRow, *, active: bool) -> Json:
    """The Endpoint object; its host carries the port, as every branch has one of its own."""
    optional = {"last_active": row.last_active, "started_at": row.started_at, "suspended_at": row.suspended_at}
    return {
        "host": f"127.0.0.1:{row.port}",
        "id": row.id,
        "project_id": row.project_id,
        "branch_id": row.branch_id,
        "autoscaling_limit_min_cu": row.settings.get("autoscaling_limit_min_cu", 0.25),
        "autoscaling_limit_max_cu": row.settings.get("autoscaling_limit_max_cu", 0.25),
        "region_id": REGION,
        "type": row.type,
        "current_state": "active" if active else "idle",
        "settings": {},
        "pooler_enabled": False,
        "pooler_mode": "transaction",
        "disabled": row.disabled,
        "passwordless_access": True,
        "creation_source": "local",
        "created_at": timestamp(row.created_at),
        "updated_at": timestamp(row.updated_at),
        "proxy_host": "127.0.0.1",
        "suspend_timeout_seconds": row.settings.get("suspend_timeout_seconds", 0),
        "provisioner": PROVISIONER,
        **{k: timestamp(v) for k, v in optional.items() if v is not None},
    }


def role(row: RoleRow, *, reveal: bool = False) -> Json:
    """The Role object; the password only where Neon shows it."""
    shown = {"password": row.password} if reveal and row.password is not None else {}
    return {
        "branch_id": row.branch_id,
        "name": row.name,
        **shown,
        "protected": False,
        "created_at": timestamp(row.created_at),
        "updated_at": timestamp(row.updated_at),
    }


def database(row: FoundDatabase, of: BranchRow) -> Json:
    """The Database object. Its number is stable for a branch and name."""
    number = int(hashlib.sha256(f"{of.id}/{row.name}".encode()).hexdigest()[:8], 16)
    return {
        "id": number,
        "branch_id": of.id,
        "name": row.name,
        "owner_name": row.owner,
        "created_at": timestamp(of.created_at),
        "updated_at": timestamp(of.created_at),
    }


def operation(row: OperationRow) -> Json:
    """The Operation object."""
    optional = {"branch_id": row.branch_id, "endpoint_id": row.endpoint_id, "error": row.error}
    return {
        "id": row.id,
        "project_id": row.project_id,
        "action": row.action,
        "status": row.status,
        "failures_count": row.failures,
        "created_at": timestamp(row.created_at),
        "updated_at": timestamp(row.updated_at),
        "total_duration_ms": max(0, round((row.updated_at - row.created_at) * 1000)),
        **{k: v for k, v in optional.items() if v is not None},
    }
