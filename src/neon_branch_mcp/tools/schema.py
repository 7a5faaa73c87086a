"""Tools for the schema: describe_schema, compare_schema."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ..errors import NotFound
from ..models import Branch
from .context import Place, ToolContext
from .spec import BranchName, DatabaseName, MaybeBranch, ProjectId, ToolSpec

# What a tool runs is imported when it runs: a server's first answers would else wait for all of it.
if TYPE_CHECKING:
    from ..migrations.diff import SchemaDiff
    from ..postgres.schema import Schema


@dataclass(frozen=True)
class SchemaResult:
    """The schema as DDL-like text. `tables` counts those asked for, on this page or not; `cursor` gets the rest."""

    schema: str
    tables: int
    branch: str
    database: str
    cursor: str | None


@dataclass(frozen=True)
class ComparisonResult:
    """How `branch` differs from `base`: a line per change, and the statements that lead from base to branch."""

    branch: str
    base: str
    database: str
    changes: list[str]
    diff: str
    notes: list[str]


async def describe_schema(
    ctx: ToolContext,
    branch: MaybeBranch = None,
    database: DatabaseName = None,
    schemas: Annotated[
        list[str] | None, Field(description="Only these schemas; default: all but the system's.")
    ] = None,
    objects: Annotated[
        list[str] | None, Field(description='Only these, by name or glob: "users", "billing.*".')
    ] = None,
    detail: Annotated[
        Literal["names", "tables", "full"],
        Field(
            description="names: a line per table; tables: the default; full: with function bodies, comments, grants."
        ),
    ] = "tables",
    cursor: Annotated[str | None, Field(description="From an earlier answer, for the rest of it.")] = None,
    project_id: ProjectId = None,
) -> SchemaResult:
    """Describe the database schema in one call: tables, columns, keys, indexes, views, functions, with row estimates."""
    from ..postgres.describe import describe

    place = await ctx.place(project_id, branch, database)
    budget = ctx.app.config.sql.max_bytes
    async with ctx.app.executor.session(place.target, purpose="describe") as conn:
        shown = await describe(conn, schemas=schemas, objects=objects, detail=detail, budget=budget, cursor=cursor)
    return SchemaResult(shown.text, shown.tables, place.branch.name, place.database.name, shown.cursor)


async def compare_schema(
    ctx: ToolContext,
    branch: BranchName,
    base: Annotated[str | None, Field(description="Branch to compare with; default: the branch's parent.")] = None,
    database: DatabaseName = None,
    project_id: ProjectId = None,
) -> ComparisonResult:
    """Compare the schema of a branch with its parent's, or another branch's: what was added, removed, changed, and the DDL for it."""
    from ..migrations.diff import diff

    own = await ctx.branch(project_id, branch)
    against = await ctx.place_on(await _base(ctx, own, base), database)
    before = await _read(ctx, against)
    place = await ctx.place(project_id, own.id, against.database.name)
    after = await _read(ctx, place)
    found = diff(before, after)
    changes, ddl = _within(found, ctx.app.config.sql.max_bytes)
    return ComparisonResult(own.name, against.branch.name, place.database.name, changes, ddl, list(found.notes))


async def _read(ctx: ToolContext, place: Place) -> "Schema":
    from ..postgres.introspect import introspect

    async with ctx.app.executor.session(place.target, purpose="compare") as conn:
        return await introspect(conn, locked="raise")


async def _base(ctx: ToolContext, branch: Branch, asked: str | None) -> Branch:
    if asked is None and branch.parent_id is None:
        raise NotFound(f"{branch.name} is a root branch and has no parent to compare with; name one as base.")
    return await ctx.branch(branch.project_id, asked or branch.parent_id)


def _within(found: "SchemaDiff", budget: int) -> tuple[list[str], str]:
    """The changes and the statements, as much of each as half of the budget holds, and a line for what was left out."""
    summaries = [c.summary for c in found.changes]
    changes = _first(summaries, budget // 2, "-- {} more changes, not shown")
    return changes, "\n".join(_first(found.ddl.splitlines(), budget // 2, "-- {} more lines, not shown"))


def _first(lines: list[str], budget: int, rest: str) -> list[str]:
    used = 0
    for i, line in enumerate(lines):
        used += len(line.encode()) + 1
        if used > budget:
            return [*lines[:i], rest.format(len(lines) - i)]
    return lines


def _comparison_text(result: ComparisonResult) -> str:
    head = f"-- {result.branch} against {result.base}, database {result.database}"
    notes = [f"-- {note}" for note in result.notes]
    body = [*result.changes, "", result.diff] if result.changes else ["no difference"]
    return "\n".join([head, *notes, *body])


SPECS = (
    ToolSpec(describe_schema, "Describe schema", "read", "schema", text=lambda r: r.schema, page=True),
    ToolSpec(compare_schema, "Compare schemas", "read", "schema", text=_comparison_text),
)
