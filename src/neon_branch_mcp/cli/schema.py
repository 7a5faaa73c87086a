"""`neon-branch-mcp schema BRANCH`: the schema of a branch for people, as text or as an HTML page with a picture."""

import sys
from pathlib import Path
from typing import Annotated

import anyio
import typer

from ..app import Caller, open_app
from ..config import Config
from ..errors import ConfigError
from ..postgres.introspect import introspect
from ..postgres.schema import Schema
from ..postgres.schema_html import page
from ..postgres.schema_text import render
from ..tools.context import CallFacts, ToolContext
from .options import ApiKeyFile, ConfigFile, DataDir, Local, Project, stderr
from .settings import settings

WHOLE = 1_000_000_000  # a person's terminal has no budget


def schema(
    branch: Annotated[str | None, typer.Argument(help="Branch, by id or name; default: the default branch.")] = None,
    database: Annotated[str | None, typer.Option(help="Database; only needed when the branch has several.")] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write one HTML page with a picture of the tables.", metavar="FILE")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Every statement, with bodies, comments and grants.")] = False,
    config: ConfigFile = None,
    api_key_file: ApiKeyFile = None,
    project_id: Project = None,
    local: Local = None,
    data_dir: DataDir = None,
) -> None:
    """Show the schema of a branch; nothing is changed."""
    loaded = settings(config, api_key_file, project_id, local, data_dir)
    found, name = anyio.run(_read, loaded, branch, database)
    if html is None:
        sys.stdout.write(render(found, detail="full" if full else "tables", budget=WHOLE).text)
        return
    try:
        html.write_text(page(found, title=f"{name}, database {found.database}"), encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"{html} cannot be written: {exc.strerror}.") from exc
    stderr.print(f"Wrote {html}.", soft_wrap=True)


async def _read(config: Config, branch: str | None, database: str | None) -> tuple[Schema, str]:
    async with open_app(config) as app:
        context = ToolContext(app, Caller(client="schema"), "describe_schema", _silent, CallFacts())
        place = await context.place(None, branch, database)
        async with app.executor.session(place.target, purpose="describe") as conn:
            return await introspect(conn, sizes=True), place.branch.name


async def _silent(message: str) -> None:
    """Nobody waits for news."""
