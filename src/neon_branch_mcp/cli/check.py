"""`neon-branch-mcp check`: what works here, what does not, and what to do about it."""

import json
import platform
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import anyio
import anyio.to_thread
import typer
from rich.console import Console
from rich.text import Text

from .. import __version__
from ..app import NO_KEY, App, Caller, open_app
from ..config import Config, find_file, find_neon_context
from ..errors import ConfigError, NeonBranchError, Refused
from ..guard.functions import FunctionCatalogue
from ..guard.policy import two_statements
from ..http.tokens import PREFIX
from ..tools.context import Place, ToolContext
from ..tools.sql import query
from .check_clients import client_findings
from .findings import Finding
from .options import ApiKeyFile, ConfigFile, DataDir, Local, Project
from .settings import settings

PARTS = ("mcp", "psycopg", "sqlglot", "httpx", "pydantic")
KEY_KINDS = {
    "api_key_user": "a personal key: it reaches every organization of its user; a project-scoped one would do",
    "api_key_org": "an organization key: it reaches every project of the organization; a project-scoped one would do",
}
MARKS = {"ok": ("✓", "green"), "note": ("·", "cyan"), "bad": ("✗", "red")}
REMEDIES = {
    "auth": "Make a key under Settings → API keys in the Neon console and set NEON_API_KEY.",
    "unreachable": "Check the network, HTTPS_PROXY and NEON_API_HOST; --local works without.",
    "ambiguous": "Say which with --project-id, or in .neon (neon set-context).",
    "not_permitted": "Use a key that reaches it, or leave --project-id out.",
}
PROBES = (
    ("statements", "SELECT 1; SELECT 2", "a second statement"),
    ("statements", "DELETE FROM pg_class", "a write"),
    ("functions", "SELECT pg_reload_conf()", "a function with an effect beyond the transaction"),
)


def check(
    config: ConfigFile = None,
    api_key_file: ApiKeyFile = None,
    project_id: Project = None,
    local: Local = None,
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check everything from the key to a round trip of SQL, and say what to do about what is wrong. Exit 1 when something is."""
    found: list[Finding] = []
    console = Console(highlight=False)

    async def run() -> None:
        async for finding in findings(config, api_key_file, project_id, local, data_dir):
            found.append(finding)
            if not as_json:
                _print(console, finding)

    anyio.run(run)
    if as_json:
        sys.stdout.write(json.dumps([asdict(f) for f in found], indent=1, ensure_ascii=False) + "\n")
    if any(f.state == "bad" for f in found):
        raise typer.Exit(1)


def _print(console: Console, finding: Finding) -> None:
    mark, colour = MARKS[finding.state]
    console.print(Text.assemble((f"{mark} ", colour), (f"{finding.title}: ", "bold"), finding.said), soft_wrap=True)
    if finding.fix:
        console.print(Text(f"    → {finding.fix}", "yellow"), soft_wrap=True)


async def findings(
    config: Path | None, api_key_file: Path | None, project_id: str | None, local: bool | None, data_dir: Path | None
) -> AsyncIterator[Finding]:
    """All findings, in the order in which one thing depends on another."""
    yield _versions()
    try:
        loaded = settings(config, api_key_file, project_id, local, data_dir)
    except ConfigError as exc:
        yield Finding("bad", "Settings", exc.message, "config.example.toml shows every setting.")
    else:
        yield _settings_found(config, loaded)
        if _is_of_a_shared_server(loaded):
            said = "the key is a token of a shared server and none of Neon's; what that server works with is checked where it runs."
            yield Finding("note", "Neon", said)
        else:
            async with open_app(loaded) as app:
                async for finding in _server_findings(app):
                    yield finding
    for finding in await anyio.to_thread.run_sync(lambda: list(client_findings(Path.cwd(), Path.home()))):
        yield finding


def _is_of_a_shared_server(loaded: Config) -> bool:
    """Whether all that there is for a key is what `token new` made: who only reaches a team's server over HTTP needs no more."""
    key = loaded.api_key()
    return not loaded.local.enabled and key is not None and key.reveal().startswith(PREFIX)


def _versions() -> Finding:
    parts = ", ".join(f"{name} {version(name)}" for name in PARTS)
    said = f"neon-branch-mcp {__version__}, Python {platform.python_version()} on {platform.system()}, {parts}"
    return Finding("ok", "Versions", said)


def _settings_found(named: Path | None, loaded: Config) -> Finding:
    path = named or find_file(Path.cwd())
    said = f"from {path}" if path else "defaults and environment; no file"
    context = find_neon_context(Path.cwd())
    if context is not None and context.project_id:
        said += f"; .neon names project {context.project_id}" + (f", branch {context.branch}" if context.branch else "")
    return Finding("ok", "Settings", f"{said}; branches that may be written: {loaded.policy.write}.")


async def _server_findings(app: App) -> AsyncIterator[Finding]:
    async def silent(_: str) -> None: ...

    ctx = ToolContext(app, Caller(client="check"), "check", silent)
    for title, step in (("Neon", _backend), ("Project", _project), ("Branches", _branches), ("SQL", _database)):
        try:
            for finding in await step(ctx):
                yield finding
        except NeonBranchError as exc:
            yield Finding("bad", title, exc.render().removeprefix(f"[{exc.code}] "), REMEDIES.get(exc.code, ""))
            return


async def _backend(ctx: ToolContext) -> list[Finding]:
    """Whose key it is and what it reaches; for --local, what Postgres there is."""
    config = ctx.app.config
    if config.local.enabled:
        plane = await ctx.app.plane()
        where = plane.data_dir if plane else config.local.data_dir
        return [Finding("ok", "Local", f"the control plane runs; its clusters are in {where}.")]
    if config.api_key() is None:
        raise ConfigError(NO_KEY)
    workspace = await ctx.workspace()
    identity = await workspace.client.auth()
    kind = KEY_KINDS.get(identity.auth_method)
    told = kind or f"a key of kind {identity.auth_method}"
    return [Finding("note" if kind else "ok", "Neon", f"{config.neon.api_host} accepts {told}.")]


async def _project(ctx: ToolContext) -> list[Finding]:
    workspace = await ctx.workspace()
    project = await workspace.client.get_project(await ctx.project(None))
    return [Finding("ok", "Project", f"{project.name} ({project.id}), Postgres {project.pg_version}.")]


async def _branches(ctx: ToolContext) -> list[Finding]:
    workspace = await ctx.workspace()
    branches = await workspace.branches.list(await ctx.project(None), fresh=True)
    default = [b.name for b in branches if b.default]
    protected = [b.name for b in branches if b.protected]
    ours = [b for b in branches if workspace.branches.created_by_us(b)]
    said = f"{len(branches)}, of which {len(ours)} made by this server; default: {', '.join(default) or 'none'}"
    return [Finding("ok" if default else "bad", "Branches", f"{said}; protected: {', '.join(protected) or 'none'}.")]


async def _database(ctx: ToolContext) -> list[Finding]:
    """The guard's layers, tried where they matter, and a round trip through all of them."""
    place = await ctx.place(None, None, None)
    return [*await _layers(ctx, place), await _round_trip(ctx, place)]


async def _layers(ctx: ToolContext, place: Place) -> list[Finding]:
    if place.access.access != "read-only":
        return [Finding("note", "Guard", f'"{place.branch.name}" may be written; the layers guard read-only branches.')]
    found = []
    for layer, sql, what in PROBES:
        if not await _refuses(ctx, place, sql):
            found.append(
                Finding(
                    "bad", "Guard", f"the layer of {layer} let {what} through.", "Do not use this server; report it."
                )
            )
    await ctx.app.executor.self_test(place.target, two_statements())
    if not found:
        found.append(Finding("ok", "Guard", "statement, functions and protocol layers refuse what they should."))
    role = ctx.app.config.sql.reader_role
    if role is None:
        said = "no read-only login is configured (sql.reader_role); the other layers stand alone."
        found.append(Finding("note", "Guard", said, "neon-branch-mcp setup-reader makes one."))
    else:
        found.append(Finding("ok", "Guard", f"the login {role}, which can only read, is used on read-only branches."))
    return found


async def _refuses(ctx: ToolContext, place: Place, sql: str) -> bool:
    async def catalogue(*, fresh: bool = False) -> FunctionCatalogue:
        return await ctx.app.executor.catalogue(place.target, fresh=fresh)

    try:
        await ctx.app.guard.vet(sql, branch=place.branch, access=place.access, intent="query", catalogue=catalogue)
    except Refused:
        return True
    return False


async def _round_trip(ctx: ToolContext, place: Place) -> Finding:
    started = time.monotonic()
    answer = await query(
        ctx, "SELECT current_setting('transaction_read_only'), current_user, current_setting('server_version')"
    )
    took = (time.monotonic() - started) * 1000
    read_only, user, server = answer.rows[0]
    said = f"{place.branch.name}/{place.database.name} as {user}, Postgres {server}, in {took:.0f} ms"
    if read_only != "on":
        return Finding(
            "bad", "SQL", f"{said}: the transaction was not READ ONLY.", "Do not use this server; report it."
        )
    return Finding("ok", "SQL", f"{said}, in a READ ONLY transaction.")
