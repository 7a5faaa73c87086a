"""Options that commands share."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

stderr = Console(stderr=True)

ConfigFile = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).", metavar="FILE")]
ApiKeyFile = Annotated[
    Path | None, typer.Option("--api-key-file", help="File that holds the Neon API key.", metavar="FILE")
]
Project = Annotated[str | None, typer.Option("--project-id", help="The Neon project to work in.")]
Local = Annotated[
    bool | None, typer.Option("--local/--cloud", help="Real Postgres branches on this machine; no account needed.")
]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Where --local keeps its clusters.", metavar="DIR")]
ReadOnly = Annotated[
    bool | None, typer.Option("--read-only", help="Offer only the tools that read.", show_default=False)
]
ToolGroups = Annotated[
    str | None,
    typer.Option(
        "--tools",
        help="Offer only these groups: branches, sql, schema, migrations, projects; separated by commas.",
        metavar="GROUPS",
    ),
]
