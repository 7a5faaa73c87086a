"""Tools for branches: create, list, describe, reset, delete, and the connection string."""

from dataclasses import dataclass
from typing import Annotated

import anyio
from pydantic import Field

from ..errors import NeonBranchError, NotFound, Refused
from ..guard.policy import may_delete
from ..migrations.ledger import read_ledger
from ..migrations.replay import Replayed
from ..models import Branch, Database
from ..neon.branches import NewBranch
from .context import ToolContext
from .replay import keep_safe, ledgers_of, replay
from .schema import compare_schema
from .spec import BranchName, DatabaseName, ProjectId, ToolSpec
from .views import BranchView, branch_view

PURPOSE = "an agent's work"
"""In the branch's annotation; verify_migration's own branches have another."""


@dataclass(frozen=True)
class CreatedBranchResult:
    """A branch on which SQL works. `seconds` is from the call to the first answered statement."""

    branch: BranchView
    databases: list[str]
    seconds: float
    next: str
    warning: str | None = None


async def create_branch(
    ctx: ToolContext,
    name: Annotated[str | None, Field(description="Name; default: one is made up.")] = None,
    parent: Annotated[
        str | None, Field(description="Branch to copy, by id or name; default: the default branch.")
    ] = None,
    expires_in: Annotated[
        str | None,
        Field(description='Life, like "12h", at most 30d; default 7d. "": no end, which a branch with children needs.'),
    ] = None,
    schema_only: Annotated[bool, Field(description="Copy the schema without its rows; default false.")] = False,
    parent_timestamp: Annotated[
        str | None, Field(description="Copy the parent as it was then: 2026-01-31T12:00:00Z.")
    ] = None,
    parent_lsn: Annotated[str | None, Field(description="Copy the parent as it was at this LSN: 0/1DE2850.")] = None,
    project_id: ProjectId = None,
) -> CreatedBranchResult:
    """Create a branch: a copy of the database that can be changed and broken freely. Returns once SQL works there."""
    workspace = await ctx.workspace()
    project = await ctx.project(project_id)
    ctx.facts.branch = name or ""
    await ctx.about_to_change()
    made = await workspace.branches.create(
        project,
        name=name,
        parent=parent,
        expires_in=expires_in,
        schema_only=schema_only,
        parent_timestamp=parent_timestamp,
        parent_lsn=parent_lsn,
        client_name=ctx.caller.client,
        session=ctx.caller.session,
        purpose=PURPOSE,
        progress=ctx.progress,
    )
    ctx.facts.branch, ctx.facts.branch_id = made.branch.name, made.branch.id
    access = await ctx.access(made.branch)
    answered = await _first_answer(ctx, made)
    warning = None
    if not made.own_credentials:
        warning = "This branch still has its parent's passwords, so get_connection_string refuses for it."
    return CreatedBranchResult(
        branch=branch_view(made.branch, access, created_by_us=True),
        databases=[d.name for d in made.databases],
        seconds=round(made.seconds + answered, 3),
        next=f'Pass branch="{made.branch.name}" to describe_schema, run_sql and apply_migration.',
        warning=warning,
    )


async def _first_answer(ctx: ToolContext, made: NewBranch) -> float:
    """Seconds until the new branch's Postgres answered; its compute may have been asleep."""
    started = anyio.current_time()
    if made.databases:
        await ctx.progress("Waiting for Postgres")
        place = await ctx.place_on(made.branch, made.databases[0].name)
        try:
            async with ctx.app.executor.session(place.target, purpose="ready") as conn:
                await conn.execute("SELECT 1")
        except NeonBranchError as exc:
            exc.add(f"The branch {made.branch.name!r} was made, but its Postgres does not answer yet; try it again.")
            raise
    return anyio.current_time() - started


@dataclass(frozen=True)
class BranchList:
    """The branches of a project."""

    branches: list[BranchView]


async def list_branches(
    ctx: ToolContext,
    search: Annotated[str | None, Field(description="Part of a name or id.")] = None,
    project_id: ProjectId = None,
) -> BranchList:
    """List the branches of the project: which is the default, which may be written, which expire when."""
    workspace = await ctx.workspace()
    found = await workspace.branches.list(await ctx.project(project_id), fresh=True)
    wanted = [b for b in found if not search or search.lower() in b.name.lower() or search in b.id]
    return BranchList([await _view(ctx, b) for b in wanted])


@dataclass(frozen=True)
class BranchDetails:
    """One branch: its facts, computes, databases, the migrations applied there, and how its schema differs from its parent's."""

    branch: BranchView
    access_reason: str
    state: str
    created_at: str
    computes: list[str]
    databases: list[str]
    migrations: list[str]
    schema_changes: list[str]
    parent_lsn: str | None = None
    parent_timestamp: str | None = None


async def describe_branch(ctx: ToolContext, branch: BranchName, project_id: ProjectId = None) -> BranchDetails:
    """Describe one branch: state, computes, databases, migrations applied, schema changes against its parent."""
    workspace = await ctx.workspace()
    found = await ctx.branch(project_id, branch, fresh=True)
    access = await ctx.access(found)
    endpoints = await workspace.client.list_endpoints(found.project_id, found.id)
    databases = await workspace.branches.databases(found, fresh=True)
    return BranchDetails(
        branch=await _view(ctx, found),
        access_reason=access.reason,
        state=found.current_state,
        created_at=found.created_at,
        parent_lsn=found.parent_lsn,
        parent_timestamp=found.parent_timestamp,
        computes=[f"{e.id} ({e.type}, {e.current_state})" for e in endpoints],
        databases=[d.name for d in databases],
        migrations=[line for d in databases for line in await _migrations(ctx, found, d)],
        schema_changes=[line for d in databases for line in await _schema_changes(ctx, found, d)],
    )


async def _migrations(ctx: ToolContext, branch: Branch, database: Database) -> list[str]:
    """What the ledger of one database holds, oldest first."""
    place = await ctx.place_on(branch, database.name)
    async with ctx.app.executor.session(place.target, purpose="describe") as conn:
        return [f"{database.name}: {entry.name} ({entry.state})" for entry in await read_ledger(conn)]


async def _schema_changes(ctx: ToolContext, branch: Branch, database: Database) -> list[str]:
    """How one database differs from the parent's of the same name, a line each."""
    if branch.parent_id is None:
        return []
    try:
        compared = await compare_schema(ctx, branch.id, None, database.name, branch.project_id)
    except NotFound:
        return [f"database {database.name} is not on the parent"]
    finally:
        ctx.facts.branch, ctx.facts.branch_id = branch.name, branch.id
    return [f"{database.name}: {change}" for change in compared.changes]


@dataclass(frozen=True)
class DeletedBranch:
    """A branch that is gone, with its data."""

    deleted: str
    id: str


async def delete_branch(ctx: ToolContext, branch: BranchName, project_id: ProjectId = None) -> DeletedBranch:
    """Delete a branch and its data. Only branches that this server created; never the default or a protected one."""
    found = await _disposable(ctx, project_id, branch)
    workspace = await ctx.workspace()
    await ctx.about_to_change()
    await workspace.branches.delete(found)
    return DeletedBranch(found.name, found.id)


@dataclass(frozen=True)
class ResetBranch:
    """A branch that is again what its parent is now. `replayed`: the migrations that were applied again, in order."""

    branch: BranchView
    reset_from: str | None
    replayed: list[Replayed]


async def reset_branch(
    ctx: ToolContext,
    branch: BranchName,
    replay_migrations: Annotated[bool, Field(description="Then apply its migrations again; default false.")] = False,
    project_id: ProjectId = None,
) -> ResetBranch:
    """Reset a branch: throw its changes away and make it a fresh copy of its parent, with the same connection string."""
    found = await _disposable(ctx, project_id, branch)
    workspace = await ctx.workspace()
    ledgers = await ledgers_of(ctx, found) if replay_migrations else {}
    await ctx.about_to_change()
    kept = keep_safe(ctx, found, ledgers)
    after = await workspace.branches.reset(found, progress=ctx.progress)
    replayed = await replay(ctx, after, ledgers, kept)
    return ResetBranch(await _view(ctx, after), found.parent_id, replayed)


@dataclass(frozen=True)
class ConnectionString:
    """A libpq URI of a writable branch, with its password."""

    uri: str
    branch: str
    database: str


async def get_connection_string(
    ctx: ToolContext,
    branch: BranchName,
    database: DatabaseName = None,
    pooled: Annotated[bool, Field(description="Through the connection pooler; default false.")] = False,
    project_id: ProjectId = None,
) -> ConnectionString:
    """Get the connection string of a branch, for the app's tests. Holds a password. Never of a read-only branch."""
    workspace = await ctx.workspace()
    found = await ctx.branch(project_id, branch, fresh=True)
    access = await ctx.access(found)
    if access.access == "read-only":
        raise Refused(
            f'Refused for "{found.name}", {access.reason} (read-only here): its connection string would allow writing.',
            rule="connection-string",
            remedy="create_branch, then ask for that branch's.",
        )
    chosen = await workspace.branches.database(found, database)
    shared_allowed = ctx.app.config.policy.shared_passwords
    if not shared_allowed and not await workspace.branches.has_own_password(found, chosen):
        raise Refused(
            f'Refused for "{found.name}": its password is not shown to be its own, so it may open the parent branch too.',
            rule="shared-password",
            remedy="Use a branch made with create_branch; an operator can allow it with policy.shared_passwords.",
        )
    await ctx.about_to_change()
    uri = await workspace.branches.conninfo(found, chosen, pooled=pooled)
    return ConnectionString(uri.reveal(), found.name, chosen.name)


async def _view(ctx: ToolContext, branch: Branch) -> BranchView:
    workspace = await ctx.workspace()
    return branch_view(branch, await ctx.access(branch), workspace.branches.created_by_us(branch))


async def _disposable(ctx: ToolContext, project_id: str | None, branch: str) -> Branch:
    """The branch as the API shows it now, if policy lets it be deleted or reset."""
    found = await ctx.branch(project_id, branch, fresh=True)
    workspace = await ctx.workspace()
    branches = await workspace.branches.list(found.project_id, fresh=True)
    ours = workspace.branches.created_by_us(found)
    refusal = may_delete(found, branches, ctx.app.config.policy, ours)
    if refusal is not None:
        raise refusal.error()
    return found


SPECS = (
    ToolSpec(create_branch, "Create branch", "create", "branches"),
    ToolSpec(list_branches, "List branches", "read", "branches"),
    ToolSpec(describe_branch, "Describe branch", "read", "branches"),
    ToolSpec(reset_branch, "Reset branch", "destroy", "branches"),
    ToolSpec(delete_branch, "Delete branch", "destroy", "branches"),
    ToolSpec(get_connection_string, "Get connection string", "secret", "branches"),
)
