"""`neon-branch-mcp demo`: the main job, played through the real protocol on a real Postgres."""

import io
import json
import re
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
from .launch import launch_command
from .options import DataDir

CONNECT = """\
{command} init codex            (or claude-code, claude-desktop, cursor, vscode)
{command} init codex --local    without a Neon account
{command} check                 tells whether everything works

Any other client: the command is "{command} serve", over stdio."""
PICTURE_WIDTH, PICTURE_LINES = 100, 6


class DemoFailed(Exception):
    """A step did not end as it should; the message says which."""


def demo(
    data_dir: DataDir = None,
    width: Annotated[int | None, typer.Option(help="Width of the output in columns.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Also draw the run, in short, as a picture.", metavar="FILE")] = None,
) -> None:
    """Play an agent's whole journey on a real Postgres on this machine."""
    console = Console(width=width)
    folder = data_dir or Path(tempfile.mkdtemp(prefix="neon-branch-mcp-demo-"))
    try:
        picture = anyio.run(_play, console, folder)
        if svg is not None:
            # Without the fonts that Rich would have a reader's browser fetch.
            drawn = re.sub(r"@font-face \{.*?\}\s*", "", picture.export_svg(title="./tools/demo"), flags=re.DOTALL)
            svg.write_text(drawn, encoding="utf-8")
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
    picture: Console = field(default_factory=lambda: Console(record=True, file=io.StringIO(), width=PICTURE_WIDTH))

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
        self._draw(title, _call_line(tool, arguments), arguments.get("sql", ""), text, structured)
        if result.is_error != fails:
            raise DemoFailed(f"step {self.steps} ({tool}) should have {'failed' if fails else 'worked'}: {text}")
        return structured

    def _draw(self, title: str, call: Text, sql: str, text: str, structured: Any) -> None:
        """The step in short, for the picture."""
        self.picture.print(Text(f"{self.steps}. {title}", "bold"))
        self.picture.print(Text("   ").append_text(call), no_wrap=True, overflow="ellipsis")
        if sql:
            self.picture.print(Text(f"   {sql.split(chr(10))[0]}", "cyan"), no_wrap=True, overflow="ellipsis")
        lines = _short(text, structured)
        style = "yellow" if structured is None else "green"
        for line in lines[:PICTURE_LINES]:
            self.picture.print(Text(f"   {line}", style), no_wrap=True, overflow="ellipsis")
        if len(lines) > PICTURE_LINES:
            self.picture.print(Text(f"   … {len(lines) - PICTURE_LINES} more lines", "dim"))


def _short(text: str, structured: Any) -> list[str]:
    """A result in a few lines, without a password."""
    if structured is not None and "rows" in structured:
        names = " ".join(column["name"] for column in structured["columns"])
        return [names, *(" ".join(map(str, row)) for row in structured["rows"])]
    if structured is not None and text.startswith("{"):
        return [f"{name}: {re.sub(r':[^:@/]+@', ':…@', value)}" for name, value in _flat(structured)]
    return [line for line in text.splitlines() if line.strip()]


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


async def _play(console: Console, folder: Path) -> Console:
    """Play it, print it, and return the picture of it."""
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "neon_branch_mcp", "serve", "--local", "--data-dir", str(folder)]
    )
    console.rule("[bold]neon-branch-mcp: an agent's journey[/]")
    console.print("Starting the server over stdio, with a Postgres of its own ...")
    async with Client(server) as client:
        player = Player(client, console)
        await _journey(player)
    console.rule("[bold green]Done: the migration was rehearsed, proven and shown; the default branch never changed[/]")
    connect = CONNECT.format(command=" ".join(launch_command()))
    console.print(Panel(Text(connect), title="Connect your agent", title_align="left"))
    return player.picture


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
