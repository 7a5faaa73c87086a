"""`neon-branch-mcp token new`: a bearer token for a team's HTTP server."""

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from ..config import TokenConfig
from ..errors import ConfigError
from ..http.tokens import Tokens, new_token

token = typer.Typer(help="Bearer tokens of serve --http --auth tokens.", no_args_is_help=True)
MAX_NAME = 80
_SPAN = re.compile(r"([1-9][0-9]{0,4})([hdw])\Z")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@token.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Who will hold it; the audit names it.")],
    project_id: Annotated[str | None, typer.Option("--project-id", help="The only project it may reach.")] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Only tools that read.")] = False,
    tool: Annotated[list[str] | None, typer.Option("--tool", help="A tool it may use; repeat for several.")] = None,
    expires: Annotated[str | None, typer.Option("--expires", help='Its life, such as "90d", "12h", "4w".')] = None,
) -> None:
    """Make a token: it is printed once, to stdout. What the configuration needs to know of it goes to stderr."""
    if not 0 < len(name) <= MAX_NAME:
        raise ConfigError(f"The name of a token has 1 to {MAX_NAME} characters.")
    secret, digest = new_token()
    made = TokenConfig(
        name=name,
        hash=digest,
        project_id=project_id,
        read_only=read_only,
        tools=tuple(tool) if tool else None,
        expires=None if expires is None else datetime.now(UTC).replace(microsecond=0) + _span(expires),
    )
    Tokens([made])  # refuses an unknown tool before anybody relies on it
    sys.stderr.write(f"# For the configuration file; the token itself is shown only now.\n{_toml(made)}")
    sys.stdout.write(f"{secret}\n")


def _span(text: str) -> timedelta:
    match = _SPAN.match(text)
    if match is None:
        raise ConfigError(f'--expires {text!r} is not a span such as "90d", "12h" or "4w".')
    return int(match[1]) * _UNITS[match[2]]


def _toml(made: TokenConfig) -> str:
    """The token's block of the configuration file. JSON's strings and lists are TOML's as well."""
    lines = ["[[http.tokens]]", f"name = {json.dumps(made.name, ensure_ascii=False)}", f'hash = "{made.hash}"']
    if made.project_id is not None:
        lines.append(f"project_id = {json.dumps(made.project_id)}")
    if made.read_only:
        lines.append("read_only = true")
    if made.tools is not None:
        lines.append(f"tools = {json.dumps(list(made.tools))}")
    if made.expires is not None:
        lines.append(f"expires = {made.expires:%Y-%m-%dT%H:%M:%SZ}")
    return "\n".join(lines) + "\n"
