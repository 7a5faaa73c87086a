"""Tools for SQL: run_sql, query, explain_sql."""

import functools
import json
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from ..guard.policy import Intent, VettedSql
from ..models import Access
from ..postgres.plans import plan_text
from ..postgres.rows import Column
from .context import Place, ToolContext
from .spec import DatabaseName, MaxRows, MaybeBranch, Params, ProjectId, Sql, ToolSpec

PLAN_BYTES = 1_000_000


@dataclass(frozen=True)
class SqlResult:
    """Rows as arrays under one list of columns. `row_count` is the number of rows shown, or changed by a statement without rows."""

    columns: list[Column]
    rows: list[list[Any]]
    row_count: int | None
    command: str
    truncated: bool
    access: Access
    branch: str
    note: str | None = None
    warnings: list[str] | None = None


async def run_sql(
    ctx: ToolContext,
    sql: Sql,
    branch: MaybeBranch = None,
    database: DatabaseName = None,
    params: Params = None,
    max_rows: MaxRows = None,
    project_id: ProjectId = None,
) -> SqlResult:
    """Run SQL on a branch: anything Postgres allows on a branch of yours, one reading statement on a read-only branch.
    For schema changes prefer apply_migration, which reports what was locked, rewritten and lost."""
    place = await ctx.place_to_write(project_id, branch, database)
    return await _run(ctx, place, sql, "run_sql", params, max_rows)


async def query(
    ctx: ToolContext,
    sql: Sql,
    branch: MaybeBranch = None,
    database: DatabaseName = None,
    params: Params = None,
    max_rows: MaxRows = None,
    project_id: ProjectId = None,
) -> SqlResult:
    """Read with SQL: one SELECT, VALUES, TABLE, SHOW or EXPLAIN, in a READ ONLY transaction, on any branch."""
    place = await ctx.place(project_id, branch, database)
    return await _run(ctx, place, sql, "query", params, max_rows)


@dataclass(frozen=True)
class PlanResult:
    """A query plan as Postgres prints it, and its costliest nodes."""

    plan: str
    costly: list[str]
    analyzed: bool
    access: Access
    branch: str


async def explain_sql(
    ctx: ToolContext,
    sql: Annotated[str, Field(description="One statement, without EXPLAIN.")],
    branch: MaybeBranch = None,
    database: DatabaseName = None,
    analyze: Annotated[
        bool, Field(description="Execute it, measure, and roll back; default false: only plan it.")
    ] = False,
    project_id: ProjectId = None,
) -> PlanResult:
    """Explain how Postgres runs a statement: the plan and its costly nodes. With analyze it is executed and rolled back."""
    place = await ctx.place(project_id, branch, database, fresh=analyze)
    intent: Intent = "explain_analyze" if analyze else "explain"
    vetted = await _vet(ctx, place, sql, intent)
    if analyze and place.access.access == "read-write":
        await ctx.about_to_change()
    answer = await ctx.app.executor.run(
        place.target, vetted, params=None, max_rows=1, max_bytes=PLAN_BYTES, max_cell=PLAN_BYTES
    )
    told = plan_text(_document(answer.rows[0][0]))
    return PlanResult("\n".join(told.lines), list(told.costly), analyze, place.access.access, place.branch.name)


def _document(cell: Any) -> list[dict[str, Any]]:
    parsed: list[dict[str, Any]] = json.loads(cell) if isinstance(cell, str) else cell
    return parsed


async def _vet(ctx: ToolContext, place: Place, sql: str, intent: Intent) -> VettedSql:
    ctx.facts.sql = sql
    writes = place.access.access == "read-write" and intent != "query"
    branches = (await ctx.workspace()).branches
    return await ctx.app.guard.vet(
        sql,
        branch=place.branch,
        access=place.access,
        intent=intent,
        catalogue=functools.partial(ctx.app.executor.catalogue, place.target),
        elsewhere=await branches.endpoints_elsewhere(place.branch, sql) if writes else (),
    )


async def _run(
    ctx: ToolContext, place: Place, sql: str, intent: Intent, params: list[Any] | None, max_rows: int | None
) -> SqlResult:
    limits = ctx.app.config.sql
    vetted = await _vet(ctx, place, sql, intent)
    if vetted.access == "read-write":
        await ctx.about_to_change()
    else:
        ctx.foresee_record()
    answer = await ctx.app.executor.run(
        place.target, vetted, params=params, max_rows=max_rows or limits.max_rows, max_bytes=limits.max_bytes
    )
    ctx.facts.rows = answer.row_count
    return SqlResult(
        columns=list(answer.columns),
        rows=answer.rows,
        row_count=answer.row_count,
        command=answer.command,
        truncated=answer.truncated,
        access=vetted.access,
        branch=place.branch.name,
        note=answer.note or None,
        warnings=list(answer.warnings) or None,
    )


SPECS = (
    ToolSpec(run_sql, "Run SQL", "write", "sql"),
    ToolSpec(query, "Query", "read", "sql"),
    ToolSpec(explain_sql, "Explain SQL", "read", "sql"),
)
