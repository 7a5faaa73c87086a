"""The tool verify_migration: the right base for a branch, its checks through the guard, then migrations/verify.py."""

import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import anyio
from pydantic import BaseModel, ConfigDict, Field

from ..errors import NeonBranchError, Refused, SqlError, TimedOut
from ..migrations.verify_report import VerifyReport
from ..models import Branch
from .context import Place, ToolContext
from .spec import BranchName, DatabaseName, ProjectId, ToolSpec

# What a tool runs is imported when it runs: a server's first answers would else wait for all of it.
if TYPE_CHECKING:
    from ..migrations.verify_checks import Check
    from ..migrations.verify_side import BaseIs, Side

RESERVE = 15.0
"""Seconds of the call kept for what comes before and after the comparison."""
SNAPSHOT_LIFE = "2h"
WANTS_PARAMETERS = "08P01"
"""What Postgres says of a query with $1 that got no value."""


class CheckInput(BaseModel):
    """Two read-only queries that must return the same rows, in any order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="What it shows.", min_length=1, max_length=100)
    base_sql: str = Field(description="Query on the base; with the key.")
    branch_sql: str = Field(description="Query on the branch.")


@dataclass(frozen=True)
class _Base:
    """The base of a comparison; `note` says why it is not the parent as it was."""

    place: Place
    kind: "BaseIs"
    note: str = ""


async def verify_migration(
    ctx: ToolContext,
    branch: BranchName,
    base: Annotated[
        str | None, Field(description="Branch to compare with; default: the parent as it was when branched.")
    ] = None,
    checks: Annotated[
        list[CheckInput] | None, Field(description="Proof for data that moved or changed its form.", max_length=50)
    ] = None,
    database: DatabaseName = None,
    project_id: ProjectId = None,
) -> VerifyReport:
    """Verify that a migration kept every record: compares a branch's data with its base; per table preserved, lost or unproven."""
    from ..migrations.verify import verify

    place = await ctx.place(project_id, branch, database)
    async with _base(ctx, place, base) as found:
        # The record is about the branch that was asked for.
        ctx.facts.branch, ctx.facts.branch_id = place.branch.name, place.branch.id
        vetted = [await _vetted(ctx, check, found.place, place) for check in checks or ()]
        report = await verify(
            _side(ctx, found.place),
            _side(ctx, place),
            checks=vetted,
            base_is=found.kind,
            seconds=max(5.0, ctx.app.config.sql.call_timeout - RESERVE),
            progress=ctx.progress,
        )
    return replace(report, notes=(*report.notes, found.note)) if found.note else report


def _side(ctx: ToolContext, place: Place) -> "Side":
    from ..migrations.verify_side import Side

    return Side(place.branch.name, functools.partial(ctx.app.executor.session, place.target, purpose="verify"))


async def _vetted(ctx: ToolContext, check: CheckInput, base: Place, branch: Place) -> "Check":
    """Both queries past the guard, and each begun once the guarded way, so that the database's own view of them is judged too."""
    from ..migrations.verify_checks import Check

    ctx.facts.sql = f"{check.base_sql}\n{check.branch_sql}"
    sides = []
    for place, role, sql in ((base, "base_sql", check.base_sql), (branch, "branch_sql", check.branch_sql)):
        try:
            vetted = await ctx.app.guard.vet(
                sql,
                branch=place.branch,
                access=place.access,
                intent="query",
                catalogue=functools.partial(ctx.app.executor.catalogue, place.target),
            )
            with suppress(TimedOut):  # it was let begin; verify gives it more time
                await ctx.app.executor.run(place.target, vetted, params=None, max_rows=1, max_bytes=1_000)
        except NeonBranchError as exc:
            raise _told(exc, f"Check {check.name!r}, {role} on {place.branch.name!r}") from exc
        sides.append(vetted)
    return Check(check.name, sides[0], sides[1])


def _told(exc: NeonBranchError, where: str) -> NeonBranchError:
    """The same error, saying which query it was and what a check can be."""
    exc.message = f"{where}: {exc.message}"
    if isinstance(exc, Refused):
        exc.remedy = "A check is two queries that only read: one SELECT on each side."
    elif isinstance(exc, SqlError) and exc.fields.sqlstate == WANTS_PARAMETERS:
        exc.message = f"{where}: a check has no parameters; write the values into the query."
    return exc


@asynccontextmanager
async def _base(ctx: ToolContext, place: Place, asked: str | None) -> AsyncIterator[_Base]:
    """What to compare with, for as long as the block runs."""
    branch, database = place.branch, place.database.name
    if asked is not None:
        named = await ctx.branch(branch.project_id, asked)
        if named.id == branch.id:
            raise Refused(
                f'"{branch.name}" cannot be its own base.', rule="own-base", remedy="Leave base out, or name another."
            )
        yield _Base(await ctx.place_on(named, database), "parent now" if named.id == branch.parent_id else "as named")
    elif branch.parent_id is None:
        others = [b.name for b in await (await ctx.workspace()).branches.list(branch.project_id) if b.id != branch.id]
        raise Refused(
            f'"{branch.name}" is a root branch: it has no parent to compare with.',
            rule="no-base",
            remedy=f"Pass base=…: {', '.join(others[:20]) or 'there is no other branch'}.",
        )
    else:
        async with _as_branched(ctx, branch, database) as found:
            yield found


@asynccontextmanager
async def _as_branched(ctx: ToolContext, branch: Branch, database: str) -> AsyncIterator[_Base]:
    """The parent at the moment the branch was taken: a second branch of that moment, deleted afterwards. Else the parent as it is now."""
    branches = (await ctx.workspace()).branches
    parent = await ctx.branch(branch.project_id, branch.parent_id)
    try:
        if branch.parent_lsn is None:
            raise Refused("the API does not say when the branch was taken", rule="no-base")
        await ctx.about_to_change()
        made = await branches.create(
            branch.project_id,
            name=f"verify-{branch.id}-{ctx.caller.session[:6]}",
            parent=branch.parent_id,
            parent_lsn=branch.parent_lsn,
            expires_in=SNAPSHOT_LIFE,
            client_name=ctx.caller.client,
            session=ctx.caller.session,
            purpose="base of verify_migration",
            progress=ctx.progress,
        )
    except NeonBranchError as exc:
        note = f"The parent as it was when the branch was taken cannot be had here: {exc.message}"
        yield _Base(await ctx.place_on(parent, database), "parent now", note)
        return
    try:
        place = await ctx.place_on(made.branch, database)
        # To a reader it is the parent.
        yield _Base(replace(place, branch=replace(place.branch, name=parent.name)), "as branched")
    finally:
        with anyio.CancelScope(shield=True):
            await branches.delete(made.branch)


SPECS = (ToolSpec(verify_migration, "Verify migration", "read", "migrations", text=VerifyReport.text, page=True),)
