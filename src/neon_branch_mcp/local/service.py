"""What the API's calls mean: checks, rows and jobs. Every method blocks briefly; the work itself is done by `jobs`.

A method that changes something returns the rows as they are at once, with their operations in `scheduling`.
"""

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import psycopg

from . import access, ids
from .changes import Changed, NewBranch
from .core import IMPORTING, Core, branch_in, endpoint_of
from .history import Moment, base_for, check_not_ahead
from .jobs import Jobs, schedule
from .lifecycle import session, wake
from .lookup import branch_of, endpoint_in, project_in, refuse_if_busy
from .ports import add_endpoint
from .problems import Problem, not_found
from .rules import (
    add_named,
    branch_row,
    check_expiry,
    check_new_branch,
    check_projects,
    check_restore,
    inherit_roles,
    preserve,
    project_row,
)
from .sample import DATABASE, OWNER
from .store import BranchRow, EndpointRow, OperationRow, ProjectRow, RoleRow, now

Found = TypeVar("Found")
ComputeAction = Literal["start", "suspend", "restart"]
COMPUTE_ACTIONS: tuple[ComputeAction, ...] = ("start", "suspend", "restart")

MADE_WITHIN = 20.0
"""Seconds that a call waits for a branch that is being made."""


class Service:
    """The control plane's calls. Raises Problem for every refusal."""

    def __init__(self, core: Core, jobs: Jobs) -> None:
        self.core = core
        self._jobs = jobs
        self._store = core.store

    def submit(self, changed: Changed) -> Future[None]:
        """The end of a call's work, which has begun already."""
        return self._jobs.submit(changed.job_id)

    def finish(self, changed: Changed) -> None:
        """Wait for the end of a call's work. Raises Problem where it failed."""
        self.submit(changed).result()
        for operation in changed.operations:
            ended = self.operation(operation.project_id, operation.id)
            if ended.status not in ("finished", "skipped"):
                raise Problem(500, f"{ended.action} ended as {ended.status}: {ended.error}")

    def _begin(self, changed: Changed) -> Changed:
        """Begin the work of a call as soon as it is written down, whatever becomes of the answer."""
        self._jobs.submit(changed.job_id)
        return changed

    # Projects

    def projects(self) -> list[ProjectRow]:
        """All projects, oldest first."""
        with self._store.read() as tx:
            return tx.all(ProjectRow)

    def project(self, project_id: str) -> ProjectRow:
        """One project."""
        with self._store.read() as tx:
            return project_in(tx, project_id)

    def create_project(
        self,
        name: str,
        *,
        branch: str = "main",
        role: str | None = None,
        database: str | None = None,
        sample: bool = False,
        importing: bool = False,
        history: float | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Changed:
        """A project with its root branch, one role and one database.

        One that is `importing` is deleted when this process ends before `imported` is called.
        """
        role = role or (OWNER if sample else "neondb_owner")
        database = database or (DATABASE if sample else "neondb")
        access.check_role_name(role)
        access.check_database_name(database)
        seconds = self.core.config.history if history is None else history
        project = project_row(name, self.core.binaries.major, int(seconds), settings or {})
        with self._store.write() as tx:
            check_projects(tx, self.core.config)
            tx.add(project)
            if importing:
                tx.set_meta(IMPORTING + project.id, self.core.worker)
            row = branch_row(project.id, branch, parent=None, is_default=True)
            tx.add(row)
            endpoint = add_endpoint(tx, self.core, row, {})
            owner = RoleRow(row.id, role, ids.password(), row.created_at, row.created_at)
            tx.add(owner)
            job_id, operations = schedule(
                tx,
                self.core,
                "create_project",
                project.id,
                branch_id=row.id,
                endpoint_id=endpoint.id,
                actions=["create_timeline", "start_compute"],
                payload={"role": role, "database": database, "sample": sample},
            )
        return self._begin(Changed(operations, project, row, [endpoint], [owner], job_id=job_id))

    def imported(self, project_id: str) -> None:
        """The project holds all that it should: it stays, whatever becomes of this process."""
        with self._store.write() as tx:
            tx.drop_meta(IMPORTING + project_id)

    def delete_project(self, project_id: str) -> Changed:
        """Everything of a project."""
        with self._store.write() as tx:
            project = project_in(tx, project_id)
            refuse_if_busy(tx, project_id)
            tx.change(ProjectRow, project_id, state="deleting")
            for branch in tx.all(BranchRow, "project_id = ?", [project_id]):
                tx.change(BranchRow, branch.id, pending_state="deleting")
            job_id, operations = schedule(tx, self.core, "delete_project", project_id, actions=["delete_timeline"])
        return self._begin(Changed(operations, project, job_id=job_id))

    # Branches

    def branches(self, project_id: str) -> list[BranchRow]:
        """The project's branches, oldest first."""
        with self._store.read() as tx:
            project_in(tx, project_id)
            return tx.all(BranchRow, "project_id = ?", [project_id])

    def branch(self, project_id: str, branch_id: str) -> BranchRow:
        """One branch."""
        with self._store.read() as tx:
            return branch_of(tx, project_id, branch_id)

    def create_branch(self, project_id: str, asked: NewBranch) -> Changed:
        """A branch of the parent, or of the default branch; of its head, or of a point in its past."""
        moment = Moment(asked.parent_lsn, asked.parent_timestamp)
        self._check_not_ahead(project_id, asked.parent_id, moment)
        with self._store.write() as tx:
            project_in(tx, project_id)
            refuse_if_busy(tx, project_id)
            parent = branch_of(tx, project_id, asked.parent_id)
            check_new_branch(tx, project_id, asked, parent, self.core.config)
            if moment != Moment():
                base_for(tx, parent, moment)
            branch_id = ids.branch_id()
            row = branch_row(project_id, asked.name or branch_id, parent=parent, asked=asked, branch_id=branch_id)
            add_named(tx, row)
            endpoints = [add_endpoint(tx, self.core, row, asked.compute_settings or {})] if asked.compute else []
            roles = inherit_roles(tx, row, parent)
            job_id, operations = schedule(
                tx,
                self.core,
                "create_branch",
                project_id,
                branch_id=row.id,
                endpoint_id=endpoints[0].id if endpoints else None,
                actions=["create_branch", "start_compute"] if endpoints else ["create_branch"],
                payload={
                    "source_id": parent.id,
                    "compute": bool(endpoints),
                    "schema_only": asked.init_source == "schema-only",
                    "lsn": moment.lsn,
                    "timestamp": moment.timestamp,
                },
            )
        return self._begin(Changed(operations, None, row, endpoints, roles, job_id=job_id))

    def update_branch(self, project_id: str, branch_id: str, columns: Mapping[str, Any]) -> Changed:
        """Rename, protect, or set the end of a branch (`name`, `is_protected`, `expires_at` with `ttl_seconds`)."""
        with self._store.write() as tx:
            branch = branch_of(tx, project_id, branch_id)
            refuse_if_busy(tx, project_id)
            try:
                tx.change(BranchRow, branch_id, **columns, updated_at=now())
            except sqlite3.IntegrityError:
                raise Problem(409, f"branch with name {columns.get('name')} already exists") from None
            branch = branch_in(tx, branch_id)
            if branch.expires_at is not None and columns.keys() & {"expires_at", "is_protected"}:
                check_expiry(tx, branch)
        return Changed((), None, branch)

    def delete_branch(self, project_id: str, branch_id: str) -> Changed:
        """Delete a branch; not the default one, a protected one, or one with children."""
        with self._store.write() as tx:
            branch = branch_of(tx, project_id, branch_id)
            refuse_if_busy(tx, project_id)
            if branch.is_default:
                raise Problem(422, "cannot delete the default branch of the project")
            if branch.is_protected:
                raise Problem(422, "cannot delete protected branch")
            if tx.one(BranchRow, "parent_id = ?", branch_id):
                raise Problem(422, "cannot delete branch that has children")
            tx.change(BranchRow, branch_id, state="ready", pending_state="deleting", state_changed_at=now())
            endpoint = endpoint_of(tx, branch_id)
            job_id, operations = schedule(
                tx,
                self.core,
                "delete_branch",
                project_id,
                branch_id=branch_id,
                endpoint_id=endpoint.id if endpoint else None,
                actions=["suspend_compute", "delete_timeline"],
            )
        return self._begin(Changed(operations, None, branch, job_id=job_id))

    def restore_branch(
        self,
        project_id: str,
        branch_id: str,
        source_id: str,
        *,
        preserve_under_name: str | None = None,
        source_lsn: str | None = None,
        source_timestamp: float | None = None,
    ) -> Changed:
        """Put the source's data, now or at a point in its past, in the branch's place.

        With the parent as source this is a reset from the parent; with the branch itself it goes back in its own history, and what
        it was becomes its parent, so that a reset undoes that. Another source becomes the parent.
        """
        moment = Moment(source_lsn, source_timestamp)
        self._check_not_ahead(project_id, source_id, moment)
        with self._store.write() as tx:
            branch = branch_of(tx, project_id, branch_id)
            source = branch_of(tx, project_id, source_id)
            refuse_if_busy(tx, project_id)
            check_restore(tx, branch, source, moment, preserve_under_name)
            started = now()
            kept = None if preserve_under_name is None else preserve(tx, branch, preserve_under_name, self.core.config)
            expires = None if branch.ttl_seconds is None else started + branch.ttl_seconds
            tx.change(
                BranchRow,
                branch_id,
                pending_state="ready",
                state="resetting",
                state_changed_at=started,
                expires_at=expires,
            )
            endpoint = endpoint_of(tx, branch_id)
            job_id, operations = schedule(
                tx,
                self.core,
                "restore_branch",
                project_id,
                branch_id=branch_id,
                endpoint_id=endpoint.id if endpoint else None,
                actions=["create_timeline", "suspend_compute", "start_compute"],
                payload={
                    "source_id": source.id,
                    "preserve_as": kept.id if kept else None,
                    "parent_id": kept.id if kept and source.id == branch.id else source.id,
                    "lsn": moment.lsn,
                    "timestamp": moment.timestamp,
                },
            )
            branch = branch_in(tx, branch_id)
        return self._begin(Changed(operations, None, branch, job_id=job_id))

    def set_default(self, project_id: str, branch_id: str) -> Changed:
        """Make it the project's default branch."""
        with self._store.write() as tx:
            branch = branch_of(tx, project_id, branch_id)
            refuse_if_busy(tx, project_id)
            if branch.expires_at is not None:
                raise Problem(400, "default branch cannot have an expiration", "DEFAULT_BRANCH_EXPIRATION_NOT_ALLOWED")
            for other in tx.all(BranchRow, "project_id = ? AND is_default = 1", [project_id]):
                tx.change(BranchRow, other.id, is_default=False)
            tx.change(BranchRow, branch_id, is_default=True, updated_at=now())
            branch = branch_in(tx, branch_id)
        return Changed((), None, branch)

    # Endpoints

    def endpoints(self, project_id: str, branch_id: str | None = None) -> list[EndpointRow]:
        """The project's computes, or one branch's."""
        with self._store.read() as tx:
            project_in(tx, project_id)
            if branch_id is None:
                return tx.all(EndpointRow, "project_id = ?", [project_id])
            branch_of(tx, project_id, branch_id)
            return tx.all(EndpointRow, "branch_id = ?", [branch_id])

    def endpoint(self, project_id: str, endpoint_id: str) -> EndpointRow:
        """One compute."""
        with self._store.read() as tx:
            return endpoint_in(tx, project_id, endpoint_id)

    def is_active(self, endpoint: EndpointRow) -> bool:
        """Whether the compute's Postgres runs."""
        with self._store.read() as tx:
            branch = tx.one(BranchRow, "id = ?", endpoint.branch_id)
        if branch is None or branch.cluster_id is None:
            return False
        return self.core.cluster(branch.cluster_id).running() is not None

    def create_endpoint(self, project_id: str, branch_id: str, settings: Mapping[str, Any]) -> Changed:
        """A read-write compute for a branch that has none."""
        with self._store.write() as tx:
            branch = branch_of(tx, project_id, branch_id)
            refuse_if_busy(tx, project_id)
            if endpoint_of(tx, branch_id) is not None and settings.get("type") != "read_only":
                raise Problem(409, "read-write endpoint already exists")
            endpoint = add_endpoint(tx, self.core, branch, settings)
            job_id, operations = schedule(
                tx,
                self.core,
                "start_compute",
                project_id,
                branch_id=branch_id,
                endpoint_id=endpoint.id,
                actions=["start_compute"],
            )
        return self._begin(Changed(operations, None, branch, [endpoint], job_id=job_id))

    def compute(self, project_id: str, endpoint_id: str, action: ComputeAction) -> Changed:
        """Start, suspend or restart a compute."""
        kind = f"{action}_compute"
        steps = ["suspend_compute", "start_compute"] if action == "restart" else [kind]
        with self._store.write() as tx:
            endpoint = endpoint_in(tx, project_id, endpoint_id)
            refuse_if_busy(tx, project_id)
            if endpoint.disabled and action != "suspend":
                raise Problem(422, "endpoint is disabled")
            job_id, operations = schedule(
                tx,
                self.core,
                kind,
                project_id,
                branch_id=endpoint.branch_id,
                endpoint_id=endpoint_id,
                actions=steps,
            )
        return self._begin(Changed(operations, endpoints=[endpoint], job_id=job_id))

    # Databases and roles: the cluster itself is asked, so what SQL made is seen too

    def databases(self, project_id: str, branch_id: str) -> Sequence[access.FoundDatabase]:
        """The branch's databases. Wakes it, and waits for one that is still being made: clients ask right after creating it."""
        self._made(project_id, branch_id)
        return self._asked(branch_id, access.databases)

    def create_database(self, project_id: str, branch_id: str, name: str, owner: str) -> access.FoundDatabase:
        """A database; ready when this returns."""
        access.check_database_name(name)
        self._check_idle(project_id, branch_id)
        with session(self.core, branch_id) as conn:
            if owner not in access.login_roles(conn):
                raise not_found(f"role {owner}")
            if any(d.name == name for d in access.databases(conn)):
                raise Problem(409, f"database {name} already exists")
            access.create_database(conn, name, owner)
            return next(d for d in access.databases(conn) if d.name == name)

    def roles(self, project_id: str, branch_id: str) -> list[RoleRow]:
        """The branch's logins, with passwords where they are known. Wakes it, and waits for one that is still being made."""
        branch = self._made(project_id, branch_id)
        with self._store.read() as tx:
            known = {r.name: r for r in tx.all(RoleRow, "branch_id = ?", [branch_id])}
        found = self._asked(branch_id, access.login_roles)
        unknown = RoleRow(branch_id, "", None, branch.created_at, branch.updated_at)
        return [known.get(n) or RoleRow(branch_id, n, None, unknown.created_at, unknown.updated_at) for n in found]

    def role(self, project_id: str, branch_id: str, name: str) -> RoleRow:
        """One login."""
        for role in self.roles(project_id, branch_id):
            if role.name == name:
                return role
        raise not_found("role")

    def create_role(self, project_id: str, branch_id: str, name: str) -> RoleRow:
        """A login with a new password; ready when this returns."""
        access.check_role_name(name)
        self._check_idle(project_id, branch_id)
        role = RoleRow(branch_id, name, ids.password(), now(), now())
        with session(self.core, branch_id) as conn:
            if name in access.login_roles(conn):
                raise Problem(409, f"role {name} already exists")
            access.create_role(conn, name, str(role.password))
        with self._store.write() as tx:
            tx.put_role(role)
        return role

    def reset_password(self, project_id: str, branch_id: str, name: str) -> Changed:
        """A new password for this role on this branch only; its sessions end."""
        role = self.role(project_id, branch_id, name)
        new = RoleRow(branch_id, name, ids.password(), role.created_at, now())
        with self._store.write() as tx:
            refuse_if_busy(tx, project_id)
            endpoint = endpoint_of(tx, branch_id)
            job_id, operations = schedule(
                tx,
                self.core,
                "apply_password",
                project_id,
                branch_id=branch_id,
                endpoint_id=endpoint.id if endpoint else None,
                actions=["apply_config"],
                payload={"role": name, "password": new.password},
            )
        return self._begin(Changed(operations, role=new, job_id=job_id))

    def connection_uri(
        self, project_id: str, database: str, role: str, *, branch_id: str | None, endpoint_id: str | None
    ) -> str:
        """The URI of a database through the branch's port; `pooled` makes no difference here."""
        with self._store.read() as tx:
            if endpoint_id is not None:
                endpoint: EndpointRow | None = endpoint_in(tx, project_id, endpoint_id)
            else:
                branch = branch_of(tx, project_id, branch_id)
                endpoint = endpoint_of(tx, branch.id)
        if endpoint is None:
            raise not_found("endpoint")
        if database not in [d.name for d in self.databases(project_id, endpoint.branch_id)]:
            raise not_found("database")
        found = self.role(project_id, endpoint.branch_id, role)
        if found.password is None:
            raise Problem(412, "the role's password is not stored; reset it to get a connection string")
        return self.uri(endpoint, database, found)

    def uri(self, endpoint: EndpointRow, database: str, role: RoleRow) -> str:
        """A libpq URI with the role's password."""
        tls = "sslmode=require&channel_binding=require" if self.core.binaries.has_openssl else "sslmode=disable"
        user, password = quote(role.name, safe=""), quote(role.password or "", safe="")
        return f"postgresql://{user}:{password}@127.0.0.1:{endpoint.port}/{quote(database, safe='')}?{tls}"

    # Operations

    def operations(self, project_id: str) -> list[OperationRow]:
        """Newest first."""
        with self._store.read() as tx:
            project_in(tx, project_id)
            return tx.all(OperationRow, "project_id = ?", [project_id], order="seq DESC")

    def operation(self, project_id: str, operation_id: str) -> OperationRow:
        """One operation; those of a deleted project are still there."""
        with self._store.read() as tx:
            found = tx.one(OperationRow, "project_id = ? AND id = ?", project_id, operation_id)
        if found is None:
            raise not_found("operation")
        return found

    # Shared checks

    def _asked(self, branch_id: str, question: Callable[[access.Connection], Sequence[Found]]) -> Sequence[Found]:
        """The cluster's answer; asked again where the branch was reset or put to sleep in the middle of it."""
        try:
            with session(self.core, branch_id) as conn:
                return question(conn)
        except psycopg.OperationalError:
            with session(self.core, branch_id) as conn:
                return question(conn)

    def _made(self, project_id: str, branch_id: str) -> BranchRow:
        """The branch, once it has a cluster; as it is after a while, if it gets none."""
        until = time.monotonic() + MADE_WITHIN
        while (branch := self.branch(project_id, branch_id)).cluster_id is None and time.monotonic() < until:
            time.sleep(0.01)
        return branch

    def _check_idle(self, project_id: str, branch_id: str) -> None:
        with self._store.read() as tx:
            branch_of(tx, project_id, branch_id)
            refuse_if_busy(tx, project_id)

    def _check_not_ahead(self, project_id: str, branch_id: str | None, moment: Moment) -> None:
        if moment.lsn is not None:
            with self._store.read() as tx:
                source = branch_of(tx, project_id, branch_id)
            check_not_ahead(wake(self.core, source.id), moment)
