"""`neon-branch-mcp demo`: the main job, played through the real protocol on a real Postgres."""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp_types import TextContent
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from ..local.places import destroy
from .journey import BRANCH, CHECK, MIGRATION, WRONG_MIGRATION
from .options import DataDir

CONNECT = """\
Codex CLI      .codex/config.toml:   [mcp_servers.neon]
                                     command = "neon-branch-mcp"
                                     args = ["serve"]
                                     env_vars = ["NEON_API_KEY"]
                                     required = true
Claude Code    claude mcp add neon -- neon-branch-mcp serve
Claude Desktop claude_desktop_config.json:
               {"mcpServers": {"neon": {"command": "neon-branch-mcp", "args": ["serve"], "env": {"NEON_API_KEY": "…"}}}}
Without an account, add "--local" to the arguments."""


class DemoFailed(Exception):
    """A step did not end as it should; the message says which."""


def demo(
    data_dir: DataDir = None,
    width: Annotated[int | None, typer.Option(help="Width of the output in columns.")] = None,
) -> None:
    """Play an agent's whole journey on a real Postgres on this machine."""
    console = Console(width=width)
    folder = data_dir or Path(tempfile.mkdtemp(prefix="neon-branch-mcp-demo-"))
    try:
        anyio.run(_play, console, folder)
    except DemoFailed as exc:
        console.print(f"[bold red]The demo failed:[/] {exc}")
        raise typer.Exit(1) from None
    finally:
        if data_dir is None:
            destroy(folder)


@dataclass
class Player:
    """Calls tools and prints each call and its result as a person would want to read them."""

    client: Client
    console: Console
    steps: int = field(default=0)

    async def call(self, title: str, tool: str, *, fails: bool = False, **arguments: Any) -> Any:
        """Call `tool`; `fails` says that it must be refused. Returns its structured result (None for a failure)."""
        self.steps += 1
        result = await self.client.call_tool(tool, arguments)
        text = "\n".join(c.text for c in result.content if isinstance(c, TextContent))
        structured = result.structured_content
        body: list[Any] = [_call_line(tool, arguments)]
        if "sql" in arguments:
            body.append(_sql(arguments["sql"]))
        for check in arguments.get("checks", ()):
            body += [Text(check["name"]), _sql(check["base_sql"]), _sql(check["branch_sql"])]
        body.append(Text())
        body.append(Text(text, style="yellow") if result.is_error else _shown(structured, text))
        ended = "refused" if text.startswith("[refused]") else "failed"
        mark = f"[red]{ended}, as it should[/]" if result.is_error else "[green]ok[/]"
        self.console.print(
            Panel(
                Group(*body), title=f"{self.steps}. {title}", subtitle=mark, title_align="left", subtitle_align="right"
            )
        )
        if result.is_error != fails:
            raise DemoFailed(f"step {self.steps} ({tool}) should have {'failed' if fails else 'worked'}: {text}")
        return structured


def _sql(text: str) -> Syntax:
    return Syntax(text.strip(), "postgresql", background_color="default", word_wrap=True)


def _call_line(tool: str, arguments: dict[str, Any]) -> Text:
    shown = ", ".join(f"{k}={json.dumps(v)}" for k, v in arguments.items() if k not in ("sql", "checks"))
    return Text.assemble((tool, "bold cyan"), f"({shown})")


def _shown(structured: Any, text: str) -> RenderableType:
    """Rows as a table, a report as it stands, other results as names and values."""
    if "rows" in structured:
        table = Table(*(column["name"] for column in structured["columns"]))
        for row in structured["rows"]:
            table.add_row(*("NULL" if cell is None else str(cell) for cell in row))
        return table
    if not text.startswith("{"):
        return Text(text)
    grid = Table.grid(padding=(0, 2))
    for name, value in _flat(structured):
        grid.add_row(Text(name, style="dim"), Text(value))
    return grid


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{prefix}{name}.")
        elif inner is not None:
            yield prefix + name, ", ".join(map(str, inner)) if isinstance(inner, list) else str(inner)


async def _play(console: Console, folder: Path) -> None:
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "neon_branch_mcp", "serve", "--local", "--data-dir", str(folder)]
    )
    console.rule("[bold]neon-branch-mcp: an agent's journey[/]")
    console.print("Starting the server over stdio, with a Postgres of its own ...")
    async with Client(server) as client:
        player = Player(client, console)
        await _journey(player)
    console.rule("[bold green]Done: the migration was rehearsed, proven and shown; the default branch never changed[/]")
    console.print(Panel(Text(CONNECT), title="Connect your agent", title_align="left"))


async def _journey(player: Player) -> None:
    call = player.call
    before = await call("What the default branch looks like", "describe_schema", objects=["users"])
    await call("An agent tries to drop a table on the default branch", "run_sql", fails=True, sql="DROP TABLE users")
    made = await call("It makes a branch instead", "create_branch", name=BRANCH)
    branch = made["branch"]["name"]
    await call("It looks at the schema there", "describe_schema", branch=branch)
    await call(
        "Its first migration has a mistake, and fails harmlessly",
        "apply_migration",
        fails=True,
        name="split_user_addresses",
        sql=WRONG_MIGRATION,
        branch=branch,
    )
    await call(
        "Corrected, it runs; the report says what it locked, rewrote and lost",
        "apply_migration",
        name="split_user_addresses",
        sql=MIGRATION,
        branch=branch,
    )
    await call("What is different from the default branch", "compare_schema", branch=branch)
    proof = await call(
        "Proof that every record survived, with one check for the data that moved",
        "verify_migration",
        branch=branch,
        checks=[CHECK],
    )
    if proof["verdict"] != "preserved":
        raise DemoFailed(f"the verdict is {proof['verdict']}")
    counts = await call(
        "Every address is there",
        "query",
        branch=branch,
        sql="SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM user_addresses) AS addresses",
    )
    base = await call(
        "The default branch is unchanged",
        "query",
        sql="SELECT count(*) AS users, count(street) AS addresses FROM users",
    )
    if counts["rows"] != base["rows"]:
        raise DemoFailed(f"the branch has {counts['rows']}, the default branch {base['rows']}")
    after = await call("And so is its schema", "describe_schema", objects=["users"])
    if after["schema"] != before["schema"]:
        raise DemoFailed("the default branch's schema changed")
    await call("A connection string for the app's tests", "get_connection_string", branch=branch)
    await call("After the pull request, the branch is deleted", "delete_branch", branch=branch)
