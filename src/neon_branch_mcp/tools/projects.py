"""The tool for projects; absent where a project is pinned."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from .context import ToolContext
from .spec import ToolSpec


@dataclass(frozen=True)
class ProjectView:
    """A project in a result."""

    id: str
    name: str
    pg_version: int
    region: str | None


@dataclass(frozen=True)
class ProjectList:
    """The projects that the key reaches."""

    projects: list[ProjectView]


async def list_projects(
    ctx: ToolContext, search: Annotated[str | None, Field(description="Part of a name or id.")] = None
) -> ProjectList:
    """List the Neon projects that this server's key reaches."""
    workspace = await ctx.workspace()
    found = await workspace.client.list_projects(search)
    bound = ctx.caller.project_id
    return ProjectList([ProjectView(p.id, p.name, p.pg_version, p.region_id) for p in found if bound in (None, p.id)])


SPECS = (ToolSpec(list_projects, "List projects", "read", "projects"),)
