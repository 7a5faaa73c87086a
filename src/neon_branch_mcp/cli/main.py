"""The command line: it parses, calls and prints."""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import typer
from rich.text import Text

from .. import __version__
from ..errors import NeonBranchError
from ..front import Handover
from .options import stderr
from .process import log_to_stderr

# Command → module below cli/ and the function or Typer application in it. A command's module is imported when the command is run:
# clients wait for `serve` to start.
COMMANDS = {
    "serve": "serve:serve",
    "call": "call:call",
    "demo": "demo:demo",
    "init": "init:init",
    "check": "check:check",
    "local": "local:local",
    "audit": "audit:app",
    "schema": "schema:schema",
    "setup-reader": "setup_reader:setup_reader",
    "token": "token:token",
    "export": "export:export",
    "report": "export:report",
}


def build(arguments: Sequence[str]) -> typer.Typer:
    """The command line; of its commands only the one that `arguments` name, or all of them where they name none."""
    app = typer.Typer(
        name="neon-branch-mcp",
        help="Neon database branches for AI agents: anything on a branch, nothing to the default branch.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(_options)
    named = arguments[0] if arguments else ""
    for command in [named] if named in COMMANDS else COMMANDS:
        module, _, attribute = COMMANDS[command].partition(":")
        _add(app, command, getattr(importlib.import_module(f".{module}", __package__), attribute))
    return app


def _add(app: typer.Typer, name: str, command: Any) -> None:
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name)
    else:
        app.command(name)(command)


def _show_version(value: bool) -> None:
    if value:
        sys.stdout.write(f"neon-branch-mcp {__version__}\n")
        raise typer.Exit


def _options(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Print the version."),
) -> None:
    log_to_stderr()


def main(handover: Handover | None = None) -> None:
    """Run the command line; `serve` goes on with the pipe that the front hands over. Exit 2 for what the user must put right, 1 for
    what failed.
    """
    try:
        build(sys.argv[1:])(obj=handover)
    except NeonBranchError as exc:
        stderr.print(Text(exc.message if exc.code == "config" else exc.render()), soft_wrap=True)
        sys.exit(2 if exc.code == "config" else 1)
