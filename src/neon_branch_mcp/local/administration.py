"""The small changes: settings of projects and computes, databases and roles changed or dropped. Done when they return."""

from collections.abc import Mapping
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from . import access
from .lifecycle import session
from .objects import COMPUTE_DEFAULTS
from .problems import Problem, not_found
from .service import Service
from .shapes import COMPUTE, PROJECT, shaped
from .store import BranchRow, EndpointRow, ProjectRow, RoleRow, now


def update_project(service: Service, project_id: str, asked: Mapping[str, Any]) -> ProjectRow:
    """A project's name, history window and settings."""
    project = service.project(project_id)
    columns: dict[str, Any] = {"updated_at": now()}
    given = shaped(asked, PROJECT)
    if given.get("name"):
        columns["name"] = given["name"]
    if "history_retention_seconds" in given:
        columns["history_seconds"] = given["history_retention_seconds"]
    settings = {**project.settings, **given.get("settings", {})}
    if "default_endpoint_settings" in given:
        settings[COMPUTE_DEFAULTS] = {**settings.get(COMPUTE_DEFAULTS, {}), **given["default_endpoint_settings"]}
    columns["settings"] = settings
    with service.core.store.write() as tx:
        tx.change(ProjectRow, project_id, **columns)
    return service.project(project_id)


def update_endpoint(service: Service, project_id: str, endpoint_id: str, asked: Mapping[str, Any]) -> EndpointRow:
    """A compute's settings: autoscaling limits, suspend time-out, disabled."""
    endpoint = service.endpoint(project_id, endpoint_id)
    given = shaped(asked, COMPUTE)
    disabled = given.pop("disabled", endpoint.disabled)
    with service.core.store.write() as tx:
        tx.change(
            EndpointRow, endpoint_id, settings={**endpoint.settings, **given}, disabled=disabled, updated_at=now()
        )
    branch = service.core.branch(endpoint.branch_id)
    if disabled and branch.cluster_id is not None:
        service.core.cluster_of(branch).stop()
    return service.endpoint(project_id, endpoint_id)


def delete_endpoint(service: Service, project_id: str, endpoint_id: str) -> EndpointRow:
    """A compute; its branch keeps its data."""
    endpoint = service.endpoint(project_id, endpoint_id)
    branch = service.core.branch(endpoint.branch_id)
    if branch.cluster_id is not None:
        service.core.cluster_of(branch).stop()
    with service.core.store.write() as tx:
        tx.drop(EndpointRow, "id = ?", endpoint_id)
    return endpoint


def update_database(
    service: Service, branch: BranchRow, before: access.FoundDatabase, *, name: str, owner: str
) -> access.FoundDatabase:
    """A database's name and owner."""
    access.check_database_name(name)
    with session(service.core, branch.id) as conn:
        if owner not in access.login_roles(conn):
            raise not_found(f"role {owner}")
        _run(conn, "ALTER DATABASE {} OWNER TO {}", before.name, owner)
        if name != before.name:
            _run(conn, "ALTER DATABASE {} RENAME TO {}", before.name, name)
        return next(d for d in access.databases(conn) if d.name == name)


def delete_database(service: Service, branch: BranchRow, database: access.FoundDatabase) -> None:
    """A database with everything in it; its sessions end."""
    with session(service.core, branch.id) as conn:
        _run(conn, "DROP DATABASE {} WITH (FORCE)", database.name)


def delete_role(service: Service, role: RoleRow) -> None:
    """A login that owns nothing any more. Raises Problem 422 with what it owns."""
    with session(service.core, role.branch_id) as conn:
        try:
            _run(conn, "DROP ROLE {}", role.name)
        except psycopg.errors.DependentObjectsStillExist as exc:
            raise Problem(422, f"role {role.name} cannot be dropped: {exc.diag.message_detail}") from exc
    with service.core.store.write() as tx:
        tx.drop(RoleRow, "branch_id = ? AND name = ?", role.branch_id, role.name)


def _run(conn: access.Connection, text: LiteralString, *names: str) -> None:
    try:
        conn.execute(sql.SQL(text).format(*map(sql.Identifier, names)))
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.ObjectInUse) as exc:
        raise Problem(409, str(exc.diag.message_primary)) from exc
