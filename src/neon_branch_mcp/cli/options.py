"""Options that commands share, and the settings they lead to."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..config import Config, load, split_list

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


def settings(
    config: Path | None = None,
    api_key_file: Path | None = None,
    project_id: str | None = None,
    local: bool | None = None,
    data_dir: Path | None = None,
    auth: str | None = None,
    read_only: bool | None = None,
    tools: str | None = None,
) -> Config:
    """The settings in force for a command line. Raises ConfigError."""
    return load(
        {
            "neon": {"api_key_file": api_key_file, "project_id": project_id},
            "policy": {"look_only": read_only, "tools": None if tools is None else split_list(tools)},
            "local": {"enabled": local, "data_dir": data_dir},
            "http": {"auth": auth},
        },
        config_file=config,
    )
