"""Tools for the schema: describe_schema, compare_schema."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from ..postgres.introspect import introspect
from ..postgres.schema import Schema
from ..postgres.schema_text import render
from .context import Place, ToolContext
from .spec import DatabaseName, MaybeBranch, ProjectId, ToolSpec


@dataclass(frozen=True)
class SchemaResult:
    """The schema as DDL-like text. `tables` is how many it shows; `cursor` gets the rest."""

    schema: str
    tables: int
    branch: str
    database: str
    cursor: str | None


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
    place = await ctx.place(project_id, branch, database)
    schema = await _read_schema(ctx, place, schemas)
    shown = render(schema, detail=detail, objects=objects, budget=ctx.app.config.sql.max_bytes, cursor=cursor)
    return SchemaResult(shown.text, shown.tables, place.branch.name, place.database.name, shown.cursor)


async def _read_schema(ctx: ToolContext, place: Place, schemas: list[str] | None) -> Schema:
    async with ctx.app.executor.session(place.target, purpose="describe") as conn:
        return await introspect(conn, schemas=schemas)


SPECS = (ToolSpec(describe_schema, "Describe schema", "read", "schema", text=lambda r: r.schema, page=True),)
