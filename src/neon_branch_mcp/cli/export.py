"""`neon-branch-mcp export` and `report`: a branch's migrations as files, and what they did as text or as a page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import anyio
import typer

from ..app import Caller, open_app
from ..config import Config
from ..errors import ConfigError, Conflict, NotFound
from ..migrations.html import page
from ..migrations.ledger import LedgerEntry, read_ledger
from ..migrations.replay import files
from ..migrations.report import text_of
from ..tools.context import Place, ToolContext
from .options import ApiKeyFile, ConfigFile, DataDir, Local, Project
from .settings import settings

BranchArgument = Annotated[str, typer.Argument(help="The branch, by name or id.", metavar="BRANCH")]
DatabaseOption = Annotated[str | None, typer.Option("--database", help="The database; default: the only one.")]


def export(
    branch: BranchArgument,
    out: Annotated[Path, typer.Option("--out", help="Folder for the files; made if it is not there.", metavar="DIR")],
    database: DatabaseOption = None,
    config: ConfigFile = None,
    api_key_file: ApiKeyFile = None,
    project_id: Project = None,
    local: Local = None,
    data_dir: DataDir = None,
) -> None:
    """Write the branch's migrations as numbered SQL files, with a SHA256SUMS that `sha256sum -c` checks."""
    loaded = settings(config, api_key_file, project_id, local, data_dir)
    place, entries = anyio.run(_ledger, loaded, branch, database, "export")
    if not entries:
        raise NotFound(f"No migration was applied on {place.branch.name}/{place.database.name}; nothing was written.")
    for name in _write(out, files(entries)):
        typer.echo(out / name)


def report(
    branch: BranchArgument,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write one self-contained HTML page instead.", metavar="FILE")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Only the migration of this name.")] = None,
    database: DatabaseOption = None,
    config: ConfigFile = None,
    api_key_file: ApiKeyFile = None,
    project_id: Project = None,
    local: Local = None,
    data_dir: DataDir = None,
) -> None:
    """Show what the branch's migrations locked, rewrote, read and lost, in the order in which they were applied."""
    loaded = settings(config, api_key_file, project_id, local, data_dir)
    place, entries = anyio.run(_ledger, loaded, branch, database, "report")
    chosen = [e for e in entries if name in (None, e.name)]
    if not chosen:
        there = ", ".join(e.name for e in entries) or "none"
        raise NotFound(f"No migration {name or ''} on {place.branch.name}/{place.database.name}; applied are: {there}.")
    if html is None:
        typer.echo("\n\n".join(text_of(e.report) for e in chosen))
        return
    html.write_text(page(place.branch.name, place.database.name, chosen), encoding="utf-8")
    typer.echo(html)


async def _ledger(
    config: Config, branch: str, database: str | None, command: str
) -> tuple[Place, Sequence[LedgerEntry]]:
    async with open_app(config) as app:
        context = ToolContext(app, Caller(client=command), command, _quiet)
        place = await context.place(None, branch, database)
        async with app.executor.session(place.target, purpose=command) as conn:
            return place, await read_ledger(conn)


async def _quiet(message: str) -> None:
    return


def _write(folder: Path, contents: dict[str, bytes]) -> list[str]:
    """Write what is not there yet. Raises Conflict, before it writes anything, where a file holds something else."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        different = [n for n, data in contents.items() if (folder / n).exists() and (folder / n).read_bytes() != data]
        if different and different != ["SHA256SUMS"]:
            raise Conflict(
                f"{folder} holds other content under {', '.join(different)}; nothing was written. Name an empty folder."
            )
        for name, data in contents.items():
            (folder / name).write_bytes(data)
    except OSError as exc:
        raise ConfigError(f"{folder} cannot be written: {exc.strerror}.") from exc
    return list(contents)
