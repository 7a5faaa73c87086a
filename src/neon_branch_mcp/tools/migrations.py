"""Tools for migrations: apply_migration."""

import functools
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from ..errors import Refused
from ..migrations.plan import Plan
from ..migrations.report import MigrationReport
from .context import Place, ToolContext
from .spec import BranchName, DatabaseName, ProjectId, ToolSpec

PART = 50_000
"""Characters of a script that the guard is asked about at once."""


async def apply_migration(
    ctx: ToolContext,
    name: Annotated[str, Field(description='Name, like "split_users_addresses".', min_length=1, max_length=200)],
    sql: Annotated[str, Field(description="The migration script; all of it in one transaction where Postgres can.")],
    branch: BranchName,
    database: DatabaseName = None,
    dry_run: Annotated[bool, Field(description="Run all of it, report, and roll back; default false.")] = False,
    lock_timeout: Annotated[float | None, Field(gt=0, description="Seconds to wait for a lock; default 5.")] = None,
    version: Annotated[str | None, Field(description='The app\'s own number of it, recorded: "20260131".')] = None,
    project_id: ProjectId = None,
) -> MigrationReport:
    """Apply a schema migration on a branch and report what it locked, rewrote, deleted and changed. Rolls back on error."""
    # Here, because a server's first answers would else wait for all that it imports.
    from ..migrations.apply import apply

    place = await ctx.place(project_id, branch, database, fresh=True)
    ctx.facts.sql = sql
    _check_writable(place)
    limits = ctx.app.config.sql
    report = await apply(
        ctx.app.executor,
        place.target,
        name=name,
        sql=sql,
        permit=functools.partial(_permit, ctx, place),
        version=version,
        dry_run=dry_run,
        lock_timeout=lock_timeout or limits.lock_timeout,
        statement_timeout=limits.statement_timeout,
        who=ctx.caller.client,
        progress=ctx.progress,
        stay=not ctx.app.config.policy.reach_beyond,
    )
    ctx.app.executor.forget(place.target)
    return report


async def _permit(ctx: ToolContext, place: Place, planned: Plan) -> None:
    """Refuse what reaches beyond the branch, as run_sql does; then put the call on record."""
    elsewhere = await (await ctx.workspace()).branches.endpoints_elsewhere(place.branch, planned.sql)
    for part in _parts(planned):
        await ctx.app.guard.vet(
            part,
            branch=place.branch,
            access=place.access,
            intent="migration",
            catalogue=functools.partial(ctx.app.executor.catalogue, place.target),
            elsewhere=elsewhere,
        )
    await ctx.about_to_change()


def _parts(planned: Plan) -> Iterator[str]:
    """A script in pieces of whole statements that the guard reads well within its time."""
    start = end = 0
    for s in planned.statements:
        if s.offset + len(s.text) - start > PART and end > start:
            yield planned.sql[start:end]
            start = s.offset
        end = s.offset + len(s.text)
    yield planned.sql[start:]


def _check_writable(place: Place) -> None:
    if place.access.access == "read-only":
        raise Refused(
            f'Refused on "{place.branch.name}", {place.access.reason} (read-only here): a migration writes. '
            "Nothing was executed.",
            rule="read-only-branch",
            remedy="Run it on a branch: create_branch, then apply_migration with branch=….",
        )


SPECS = (ToolSpec(apply_migration, "Apply migration", "write", "migrations", text=MigrationReport.text, page=True),)
