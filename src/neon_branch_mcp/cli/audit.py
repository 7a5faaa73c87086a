"""`neon-branch-mcp audit`: what agents did, for people; `audit verify`: whether the record is whole."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from .. import audit_chain
from ..audit import default_path
from ..audit_reader import Call, call_of, calls, records
from ..errors import ConfigError
from .options import ConfigFile
from .settings import settings

app = typer.Typer(help="Show what agents did, newest last; `audit verify` checks that the record is whole.")

POLL = 0.5
COLOURS = {"ok": "green", "refused": "yellow", "": "magenta"}


@app.callback(invoke_without_command=True)
def audit(
    context: typer.Context,
    config: ConfigFile = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on showing calls as they happen.")] = False,
    branch: Annotated[str | None, typer.Option("--branch", help="Only calls on this branch (name or id).")] = None,
    refused: Annotated[bool, typer.Option("--refused", help="Only calls that the guard refused.")] = False,
    last: Annotated[int, typer.Option("--last", min=1, help="How many calls to show.")] = 100,
) -> None:
    """Show what agents did."""
    path = settings(config).audit.path or default_path()
    context.obj = path
    if context.invoked_subcommand is not None:
        return
    console = Console(soft_wrap=True, highlight=False)

    def wanted(call: Call) -> bool:
        return (branch is None or branch in (call.branch, call.branch_id)) and (call.refused or not refused)

    pending: dict[str, Mapping[str, Any]] = {}
    seen = _show_last(console, path, wanted, last, pending)
    if follow:
        _follow(console, path, wanted, seen, pending)
    else:
        for begun in pending.values():
            if wanted(call := call_of(begun)):
                console.print(line_of(call))


@app.command("verify")
def verify(context: typer.Context) -> None:
    """Check the chain of hashes. Exit 1 when a record was changed, removed or added."""
    path: Path = context.obj
    if not audit_chain.files(path):
        raise ConfigError(f"There is no audit at {path}.")
    verdict = audit_chain.verify(path)
    console = Console(soft_wrap=True, highlight=False)
    if verdict.problem is not None:
        console.print(Text(f"The audit {path} is not whole: {verdict.problem}.", style="red"))
        raise typer.Exit(1)
    earlier = f" It begins at record {verdict.first_seq}: earlier files are not here." if verdict.first_seq > 1 else ""
    torn = f" {verdict.torn} lines were cut off by a crash and are accounted for." if verdict.torn else ""
    console.print(Text(f"The audit {path} is whole: {verdict.records} records.{earlier}{torn}", style="green"))


def _show_last(
    console: Console,
    path: Path,
    wanted: Callable[[Call], bool],
    last: int,
    pending: dict[str, Mapping[str, Any]],
) -> int:
    """Prints the newest calls and returns the number of the newest record."""
    seen = 0
    shown: deque[Call] = deque(maxlen=last)
    for record in records(path):
        seen = record["seq"]
        shown.extend(call for call in calls([record], pending=pending) if wanted(call))
    for call in shown:
        console.print(line_of(call))
    if not seen:
        console.print(Text(f"Nothing is on record at {path}.", style="dim"))
    return seen


def _follow(
    console: Console, path: Path, wanted: Callable[[Call], bool], seen: int, pending: dict[str, Mapping[str, Any]]
) -> None:
    while True:
        for record in records(path, after=seen):
            seen = record["seq"]
            for call in calls([record], pending=pending):
                if wanted(call):
                    console.print(line_of(call))
        time.sleep(POLL)


def line_of(call: Call) -> Text:
    """One call on one line. The SQL is an agent's: nothing in it may move a terminal's cursor."""
    line = Text()
    line.append(f"{_local_time(call.time)}  ", style="dim")
    outcome = call.result or "no end on record"
    line.append(f"{outcome:<8} ", style=COLOURS.get(call.result, "red"))
    line.append(f"{call.tool:<16} ", style="bold")
    line.append(_plain(call.branch or "-"), style="cyan")
    if call.rule:
        line.append(f"  rule {_plain(call.rule)}", style="yellow")
    if call.rows is not None:
        line.append(f"  {call.rows} rows")
    if call.ms is not None:
        line.append(f"  {call.ms} ms", style="dim")
    if call.sql:
        line.append(f"  {_plain(call.sql)[:400]}")
    return line


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _local_time(stamp: str) -> str:
    try:
        return f"{datetime.fromisoformat(stamp).astimezone():%Y-%m-%d %H:%M:%S}"
    except ValueError:
        return _plain(stamp)
