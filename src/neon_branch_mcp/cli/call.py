"""`neon-branch-mcp call TOOL [JSON]`: one tool call from the shell."""

import json
import sys
from typing import Annotated, Any

import anyio
import typer

from ..app import NO_KEY, Caller, open_app
from ..config import Config
from ..errors import ConfigError
from ..tools.runner import Answer, ToolRunners, served_tools, unheard
from .options import ApiKeyFile, ConfigFile, DataDir, Local, Project
from .settings import settings


def call(
    tool: Annotated[str, typer.Argument(help="Name of the tool, such as list_branches.")],
    arguments: Annotated[str, typer.Argument(help="Its arguments as a JSON object; - reads them from stdin.")] = "{}",
    config: ConfigFile = None,
    api_key_file: ApiKeyFile = None,
    project_id: Project = None,
    local: Local = None,
    data_dir: DataDir = None,
) -> None:
    """Call one tool and print its result as JSON. Exit 1 when the tool answers with an error."""
    loaded = settings(config, api_key_file, project_id, local, data_dir)
    names = [spec.name for spec in served_tools(loaded)]
    if tool not in names:
        raise ConfigError(f"There is no tool {tool}. There are: {', '.join(names)}.")
    if not loaded.local.enabled and loaded.api_key() is None:
        raise ConfigError(NO_KEY)
    answer = anyio.run(_call, loaded, tool, _parsed(arguments))
    shown = {"error": answer.text} if answer.structured is None else json.loads(answer.structured)
    sys.stdout.write(json.dumps(shown, ensure_ascii=False, indent=2) + "\n")
    if answer.is_error:
        raise typer.Exit(1)


def _parsed(arguments: str) -> dict[str, Any]:
    try:
        value = json.loads(sys.stdin.read() if arguments == "-" else arguments)
    except ValueError as exc:
        raise ConfigError(f'The arguments are not JSON, such as \'{{"branch": "dev"}}\': {exc}.') from None
    if not isinstance(value, dict):
        raise ConfigError('The arguments should be a JSON object, such as {"branch": "dev"}.')
    return value


async def _call(config: Config, tool: str, arguments: dict[str, Any]) -> Answer:
    async with open_app(config) as app:
        return await ToolRunners(app)[tool].run(arguments, Caller(client="call"), unheard)
