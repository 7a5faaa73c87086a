"""`neon-branch-mcp serve`: the MCP server."""

import sys
from typing import Annotated

import anyio
import typer
from rich.text import Text

from ..app import NO_KEY, Caller, open_app
from ..config import Config
from ..errors import ConfigError
from ..front import Handover, take_standard_streams
from ..stdio_direct import serve_direct
from .options import ApiKeyFile, ConfigFile, DataDir, Local, Project, ReadOnly, ToolGroups, stderr
from .process import event_loop, settle, until_told_to_end
from .serve_direct import build_sdk_server
from .settings import settings

Http = Annotated[
    str | None,
    typer.Option(
        "--http",
        help="Serve streamable HTTP at /mcp there, such as 127.0.0.1:8765, instead of stdio.",
        metavar="HOST:PORT",
    ),
]
Auth = Annotated[
    str | None, typer.Option("--auth", help="Who may call over HTTP: none (loopback only), neon-api-key, tokens, jwt.")
]


def serve(
    context: typer.Context,
    config: ConfigFile = None,
    api_key_file: ApiKeyFile = None,
    project_id: Project = None,
    local: Local = None,
    data_dir: DataDir = None,
    http: Http = None,
    auth: Auth = None,
    read_only: ReadOnly = None,
    tools: ToolGroups = None,
) -> None:
    """Serve MCP over stdin and stdout, or over HTTP with --http."""
    loaded = settings(config, api_key_file, project_id, local, data_dir, auth, read_only, tools)
    if http is not None:
        _serve_http(loaded, http)
        return
    if not loaded.local.enabled and loaded.api_key() is None:
        raise ConfigError(NO_KEY)
    anyio.run(_serve_stdio, loaded, context.obj, backend_options=event_loop())


async def _serve_stdio(config: Config, handover: Handover | None) -> None:
    async with until_told_to_end(), open_app(config) as app, anyio.create_task_group() as beside:
        beside.start_soon(app.warm_up)
        if sys.platform == "win32":  # there no pipe can be waited for
            await build_sdk_server(app, Caller()).run_stdio_async()
        else:
            pipe = handover or Handover(*take_standard_streams(), (), b"", frozenset(), closed=False)
            await serve_direct(app, pipe, None, build_sdk_server)
        beside.cancel_scope.cancel()


def _serve_http(config: Config, address: str) -> None:
    # Imported here: whoever serves stdio does not wait for a web server to load.
    from ..http.listener import serve_http

    def announce(url: str) -> None:
        settle()
        stderr.print(Text(f"Serving MCP at {url} (auth: {config.http.auth})"), soft_wrap=True)

    anyio.run(serve_http, config, address, announce, backend_options=event_loop())
