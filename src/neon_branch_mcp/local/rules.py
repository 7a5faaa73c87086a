"""What a branch may be and become: its rows as they begin, and what is refused of a new branch, an end, a restore."""

import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..config import LocalConfig
from . import ids
from .changes import NewBranch
from .history import Moment, base_for
from .objects import ORG_ID
from .problems import Problem
from .store import BranchRow, ProjectRow, RoleRow, Transaction, now

MAX_LIFE = 30 * 86_400


def project_row(name: str, major: int, history_seconds: int, settings: Mapping[str, Any]) -> ProjectRow:
    """A project as it begins."""
    moment = now()
    return ProjectRow(
        ids.project_id(), name, ORG_ID, major, "init", history_seconds, settings, created_at=moment, updated_at=moment
    )


def branch_row(
    project_id: str,
    name: str,
    *,
    parent: BranchRow | None,
    asked: NewBranch | None = None,
    is_default: bool = False,
    branch_id: str | None = None,
) -> BranchRow:
    """A branch as it begins: not yet ready, without a cluster."""
    asked = asked or NewBranch()
    moment = now()
    # A schema-only branch has no data of a parent: it is a root.
    is_child = parent is not None and asked.init_source == "parent-data"
    return BranchRow(
        id=branch_id or ids.branch_id(),
        project_id=project_id,
        name=name,
        parent_id=parent.id if parent is not None and is_child else None,
        parent_lsn=None,
        parent_timestamp=(asked.parent_timestamp or moment) if is_child and asked.parent_lsn is None else None,
        state="init",
        pending_state="ready",
        state_changed_at=moment,
        is_default=is_default,
        is_protected=asked.protected,
        init_source=asked.init_source,
        cluster_id=None,
        expires_at=asked.expires_at,
        ttl_seconds=None if asked.expires_at is None else max(1, round(asked.expires_at - moment)),
        last_reset_at=None,
        logical_size=None,
        made_by=None,
        annotation=asked.annotation or {},
        created_at=moment,
        updated_at=moment,
    )


def add_named(tx: Transaction, row: BranchRow) -> None:
    """Add the branch. Raises Problem 409 where the project has one of that name."""
    try:
        tx.add(row)
    except sqlite3.IntegrityError:
        raise Problem(409, f"branch with name {row.name} already exists") from None


def inherit_roles(tx: Transaction, branch: BranchRow, parent: BranchRow) -> list[RoleRow]:
    """A child has its parent's passwords, unless the parent is protected."""
    roles = [
        RoleRow(
            branch.id,
            r.name,
            ids.password() if parent.is_protected else r.password,
            branch.created_at,
            branch.created_at,
        )
        for r in tx.all(RoleRow, "branch_id = ?", [parent.id])
    ]
    for role in roles:
        tx.add(role)
    return roles


def check_projects(tx: Transaction, limits: LocalConfig) -> None:
    """Refuses a project more than the settings allow."""
    if len(tx.all(ProjectRow)) >= limits.max_projects:
        raise Problem(
            422, f"projects limit exceeded; local.max_projects is {limits.max_projects}", "PROJECTS_LIMIT_EXCEEDED"
        )


def check_branches(tx: Transaction, project_id: str, limits: LocalConfig, *, root: bool) -> None:
    """Refuses a branch more than the settings allow; `root` says that it will have no parent."""
    branches = tx.all(BranchRow, "project_id = ?", [project_id])
    if len(branches) >= limits.max_branches:
        raise Problem(
            422, f"branches limit exceeded; local.max_branches is {limits.max_branches}", "BRANCHES_LIMIT_EXCEEDED"
        )
    if root and sum(b.parent_id is None for b in branches) >= limits.max_root_branches:
        raise Problem(
            422,
            f"root branches limit exceeded; local.max_root_branches is {limits.max_root_branches}",
            "ROOT_BRANCHES_LIMIT_EXCEEDED",
        )


def check_new_branch(
    tx: Transaction, project_id: str, asked: NewBranch, parent: BranchRow, limits: LocalConfig
) -> None:
    """Refuses a branch that Neon would not make."""
    if parent.cluster_id is None:
        raise Problem(422, f"branch not ready yet; branch_id:{parent.id}")
    if parent.expires_at is not None:
        raise Problem(422, "branches with an expiration cannot have children")
    check_branches(tx, project_id, limits, root=asked.init_source == "schema-only")
    if asked.expires_at is not None and asked.protected:
        raise Problem(400, "protected branch cannot have an expiration", "PROTECTED_BRANCH_EXPIRATION_NOT_ALLOWED")
    _check_end(asked.expires_at)


def check_expiry(tx: Transaction, branch: BranchRow) -> None:
    """Refuses an end that the branch, as it is now, may not have."""
    if branch.is_default:
        raise Problem(400, "default branch cannot have an expiration", "DEFAULT_BRANCH_EXPIRATION_NOT_ALLOWED")
    if branch.is_protected:
        raise Problem(400, "protected branch cannot have an expiration", "PROTECTED_BRANCH_EXPIRATION_NOT_ALLOWED")
    if tx.one(BranchRow, "parent_id = ?", branch.id):
        raise Problem(422, "branches with children cannot have an expiration")
    _check_end(branch.expires_at)


def _check_end(expires_at: float | None) -> None:
    if expires_at is not None and not now() < expires_at <= now() + MAX_LIFE:
        raise Problem(400, f"expires_at should lie in the future, at most {MAX_LIFE // 86_400} days ahead")


def preserve(tx: Transaction, branch: BranchRow, name: str, limits: LocalConfig) -> BranchRow:
    """The row of what a restore replaces, with the branch's place in the tree and its children."""
    check_branches(tx, branch.project_id, limits, root=branch.parent_id is None)
    parent = tx.one(BranchRow, "id = ?", branch.parent_id) if branch.parent_id else None
    row = branch_row(branch.project_id, name, parent=parent)
    row = replace(
        row,
        init_source=branch.init_source,
        parent_lsn=branch.parent_lsn,
        parent_timestamp=branch.parent_timestamp,
    )
    add_named(tx, row)
    inherit_roles(tx, row, branch)
    for child in tx.all(BranchRow, "parent_id = ?", [branch.id]):
        tx.change(BranchRow, child.id, parent_id=row.id)
    return row


def check_restore(tx: Transaction, branch: BranchRow, source: BranchRow, moment: Moment, kept: str | None) -> None:
    """Refuses to put the source's data in this branch's place."""
    if branch.is_protected:
        raise Problem(422, "cannot reset protected branch")
    if source.cluster_id is None or branch.cluster_id is None:
        raise Problem(422, "branch not ready yet")
    if source.id == branch.id and moment == Moment():
        raise Problem(422, "restoring a branch to itself needs source_lsn or source_timestamp")
    if branch.init_source == "schema-only" and source.id != branch.id:
        raise Problem(422, "schema-only branches cannot be reset")
    if source.expires_at is not None and source.id != branch.id:  # it becomes the parent
        raise Problem(422, "branches with an expiration cannot have children")
    if moment != Moment():
        base_for(tx, source, moment)
    if kept is None and (source.id == branch.id or tx.one(BranchRow, "parent_id = ?", branch.id)):
        raise Problem(422, "preserve_under_name is required: the branch has children, or is restored to its own past")
