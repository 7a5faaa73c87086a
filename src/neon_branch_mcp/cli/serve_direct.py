"""`neon-branch-mcp serve` over stdio, as far as a client waits for it: without the command line's library and without the SDK."""

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from ..app import App, Caller, open_app
from ..config import Config
from ..errors import ConfigError
from ..front import Handover
from ..guard.statements_process import Spawned
from ..stdio_direct import serve_direct
from .process import event_loop, log_to_stderr, until_told_to_end
from .settings import settings

if TYPE_CHECKING:
    from mcp.server import MCPServer

Serve = Callable[[Handover], None]


def prepared(flags: Mapping[str, Any], spawned: Spawned | None) -> Serve:
    """What serves the pipe for this command line, with all imported that a first call needs.

    Raises ConfigError, which the whole command line then tells the user.
    """
    config = settings_of(flags)
    if config.local.enabled:
        importlib.import_module("neon_branch_mcp.local.plane")
    elif config.api_key() is None:
        raise ConfigError("no key")
    return partial(_run, config, spawned)


def settings_of(flags: Mapping[str, Any]) -> Config:
    """The settings for the options of `serve`, by their names. Raises ConfigError."""

    def path(name: str) -> Path | None:
        return Path(flags[name]) if name in flags else None

    return settings(
        config=path("--config"),
        api_key_file=path("--api-key-file"),
        project_id=flags.get("--project-id"),
        local=True if "--local" in flags else False if "--cloud" in flags else None,
        data_dir=path("--data-dir"),
        read_only=flags.get("--read-only"),
        tools=flags.get("--tools"),
    )


def _run(config: Config, spawned: Spawned | None, handover: Handover) -> None:
    log_to_stderr()
    anyio.run(_serve, config, spawned, handover, backend_options=event_loop())


async def _serve(config: Config, spawned: Spawned | None, handover: Handover) -> None:
    async with until_told_to_end(), open_app(config, spawned) as app:
        await serve_direct(app, handover, handover.snapshot, build_sdk_server)


def build_sdk_server(app: App, caller: Caller) -> "MCPServer":
    """The SDK's server for one caller; the first call imports the SDK."""
    from ..server import build_server, session_caller  # the SDK: half of the memory, and seldom needed

    return build_server(app, session_caller(caller))
