"""`neon-branch-mcp serve`: the MCP server."""

import anyio
import typer

from ..app import NO_KEY, Caller, open_app
from ..config import Config
from ..errors import ConfigError
from ..front import Handover
from ..server import build_server, session_caller
from ..stdio import serve_stdio
from .options import ApiKeyFile, ConfigFile, DataDir, Local, Project, settings


def serve(
    context: typer.Context,
    config: ConfigFile = None,
    api_key_file: ApiKeyFile = None,
    project_id: Project = None,
    local: Local = None,
    data_dir: DataDir = None,
) -> None:
    """Serve MCP over stdin and stdout."""
    loaded = settings(config, api_key_file, project_id, local, data_dir)
    if not loaded.local.enabled and loaded.api_key() is None:
        raise ConfigError(NO_KEY)
    anyio.run(_serve_stdio, loaded, context.obj)


async def _serve_stdio(config: Config, handover: Handover | None) -> None:
    async with open_app(config) as app:
        await serve_stdio(build_server(app, session_caller(Caller())), handover)
