"""The command line: it parses, calls and prints."""

import logging
import sys

import typer
from rich.text import Text

from .. import __version__
from ..errors import NeonBranchError
from ..front import Handover
from . import audit, call, check, demo, init, local, serve, setup_reader, token
from .options import stderr

cli = typer.Typer(
    name="neon-branch-mcp",
    help="Neon database branches for AI agents: anything on a branch, nothing to the default branch.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
cli.command("serve")(serve.serve)
cli.command("call")(call.call)
cli.command("demo")(demo.demo)
cli.add_typer(audit.app, name="audit")
cli.add_typer(local.local, name="local")
cli.add_typer(token.token, name="token")
cli.command("init")(init.init)
cli.command("check")(check.check)
cli.command("setup-reader")(setup_reader.setup_reader)


def _show_version(value: bool) -> None:
    if value:
        sys.stdout.write(f"neon-branch-mcp {__version__}\n")
        raise typer.Exit


@cli.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Print the version."),
) -> None:
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")


def main(handover: Handover | None = None) -> None:
    """Run the command line; `serve` goes on with the pipe that the front hands over. Exit 2 for what the user must put right, 1 for
    what failed.
    """
    try:
        cli(obj=handover)
    except NeonBranchError as exc:
        stderr.print(Text(exc.message if exc.code == "config" else exc.render()), soft_wrap=True)
        sys.exit(2 if exc.code == "config" else 1)
