"""Tools for migrations: apply_migration."""

from typing import Annotated

from pydantic import Field

from ..errors import Refused
from ..migrations.apply import apply
from ..migrations.report import MigrationReport
from .context import Place, ToolContext
from .spec import BranchName, DatabaseName, ProjectId, ToolSpec


async def apply_migration(
    ctx: ToolContext,
    name: Annotated[str, Field(description='Name, like "split_users_addresses".', min_length=1, max_length=200)],
    sql: Annotated[str, Field(description="The migration script; all of it in one transaction where Postgres can.")],
    branch: BranchName,
    database: DatabaseName = None,
    dry_run: Annotated[bool, Field(description="Run all of it, report, and roll back; default false.")] = False,
    lock_timeout: Annotated[float | None, Field(gt=0, description="Seconds to wait for a lock; default 5.")] = None,
    project_id: ProjectId = None,
) -> MigrationReport:
    """Apply a schema migration on a branch and report what it locked, rewrote, deleted and changed. Rolls back on error."""
    place = await ctx.place(project_id, branch, database, fresh=True)
    ctx.facts.sql = sql
    _check_writable(place)
    await ctx.about_to_change()
    limits = ctx.app.config.sql
    return await apply(
        ctx.app.executor.session,
        place.target,
        name=name,
        sql=sql,
        dry_run=dry_run,
        lock_timeout=lock_timeout or limits.lock_timeout,
        statement_timeout=limits.statement_timeout,
        who=ctx.caller.client,
        progress=ctx.progress,
    )


def _check_writable(place: Place) -> None:
    if place.access.access == "read-only":
        raise Refused(
            f'Refused on "{place.branch.name}", {place.access.reason} (read-only here): a migration writes. '
            "Nothing was executed.",
            rule="read-only-branch",
            remedy="Run it on a branch: create_branch, then apply_migration with branch=….",
        )


SPECS = (ToolSpec(apply_migration, "Apply migration", "write", "migrations", text=MigrationReport.text, page=True),)
