"""`tools/schema-corpus FILE.sql…`: one row per schema; what did not hold is told below and fails the run."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import anyio
import typer
from anyio.from_thread import start_blocking_portal
from rich.console import Console
from rich.table import Table

from neon_branch_mcp.config import LocalConfig
from neon_branch_mcp.local.binaries import find_binaries
from neon_branch_mcp.local.plane import open_plane
from tests.conftest import PlaneApi, Scratch, data_folder

from .checks import HEADINGS, Server, check


@contextmanager
def started(bin_dir: Path | None) -> Iterator[Server]:
    """A Postgres of our own, with its superuser's way in."""
    config = LocalConfig(bin_dir=bin_dir)
    with data_folder() as folder, start_blocking_portal() as portal, ExitStack() as stack:
        opened = open_plane(config.model_copy(update={"data_dir": folder}))
        plane = stack.enter_context(portal.wrap_async_context_manager(opened))
        made = PlaneApi(plane, portal).create_branch("corpus")
        core = plane.service.core
        scratch = Scratch(made["id"], "", core.cluster_of(core.branch(made["id"])))
        yield Server(scratch.superuser_uri("postgres"), find_binaries(bin_dir).folder)


def main(
    files: Annotated[list[Path], typer.Argument(help="Files that psql can load.", exists=True, dir_okay=False)],
    uri: Annotated[str | None, typer.Option(help="A superuser's URI of a scratch server; else one is started.")] = None,
    bin_dir: Annotated[Path | None, typer.Option(help="Where psql and pg_dump, and postgres itself, are.")] = None,
) -> None:
    """Check introspection, its text and its differences on schemas that others wrote."""
    console = Console()
    with ExitStack() as stack:
        server = Server(uri, find_binaries(bin_dir).folder) if uri else stack.enter_context(started(bin_dir))
        results = [anyio.run(check, server, file) for file in files]
    table = Table(*HEADINGS)
    for result in results:
        table.add_row(*result.row())
    console.print(table)
    for result in results:
        for problem in result.problems:
            console.print(f"{result.name}: {problem}", markup=False, highlight=False)
    raise typer.Exit(1 if any(r.problems for r in results) else 0)


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
