"""`neon-branch-mcp setup-reader`: a login that can only read, made once by the operator's own hand."""

import sys
from dataclasses import replace
from typing import Annotated

import anyio
import typer

from ..app import Caller, open_app
from ..config import Config
from ..postgres.reader import ReaderReport, make_reader
from ..tools.context import ToolContext
from .options import ApiKeyFile, ConfigFile, DataDir, Local, Project, stderr
from .settings import settings


def setup_reader(
    role: Annotated[str, typer.Option("--role", help="Name of the login.")] = "nbm_reader",
    branch: Annotated[
        str | None, typer.Option("--branch", help="Branch to make it on; else the default branch.")
    ] = None,
    config: ConfigFile = None,
    api_key_file: ApiKeyFile = None,
    project_id: Project = None,
    local: Local = None,
    data_dir: DataDir = None,
) -> None:
    """Make a login that can only read, on the default branch, and print the settings that make the server use it.

    This writes to the default branch: it creates one role. Run again, it gives the role a new password. Branches made afterwards have
    the login too.
    """
    loaded = settings(config, api_key_file, project_id, local, data_dir)
    name, report = anyio.run(_make, loaded, role, branch)
    stderr.print(
        f"{'Made' if report.created else 'Renewed'} the login {report.role} on {name}: {'; '.join(report.grants)}."
    )
    for note in report.notes:
        stderr.print(f"Note: {note}.")
    stderr.print("Give the server these two settings (here as environment variables; the password is shown only now):")
    sys.stdout.write(f"NEON_BRANCH_MCP_SQL_READER_ROLE={report.role}\n")
    sys.stdout.write(f"NEON_BRANCH_MCP_SQL_READER_PASSWORD={report.password.reveal()}\n")


async def _make(config: Config, role: str, branch: str | None) -> tuple[str, ReaderReport]:
    async def silent(_: str) -> None: ...

    # The owner's login makes the role, also where a reader is configured already; this one command writes to the default branch.
    owner = config.model_copy(
        update={"sql": config.sql.model_copy(update={"reader_role": None, "reader_password": None})}
    )
    async with open_app(owner) as app:
        ctx = ToolContext(app, Caller(client="setup-reader"), "setup-reader", silent)
        workspace = await ctx.workspace()
        project = await ctx.project(None)
        branches = await workspace.branches.list(project, fresh=True)
        default = next(b for b in branches if b.default)
        found = default if branch is None else await workspace.branches.resolve(project, branch, fresh=True)
        places = [
            await ctx.place_on(found, database.name)
            for database in await workspace.branches.databases(found, fresh=True)
        ]
        targets = [replace(place.target, access="read-write") for place in places]
        return found.name, await make_reader(app.executor, targets, role=role)
