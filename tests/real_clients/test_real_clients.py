"""The journey by the real Codex CLI, the real Claude Code and the real MCP Inspector, with the configuration that `init` writes.

A scripted model drives them; no account and no network is needed. `./tools/test --clients` runs them with the programs on the PATH:
`npm install node@24 neon @neon/sdk @neondatabase/api-client @openai/codex @anthropic-ai/claude-code @modelcontextprotocol/inspector@2` in
some folder, then put its node_modules/.bin in front of the PATH. (Without the @2 an older npm takes an Inspector that knows less, because
it looks at the Node it runs on itself.) Tried with Codex 0.169, Claude Code 2.1 and Inspector 2.12.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from neon_branch_mcp.local.plane import LocalPlane
from neon_branch_mcp.tools.catalogue import TOOLS

from ..stdio_client import clean_env
from .kit import CHECK, MIGRATION, UNASKED, codex_home, http_server, journey, ours, program, team_server
from .model import ScriptedModel, Step, offered, scripted_model

pytestmark = pytest.mark.clients


def codex(
    project: Path, model_name: str, model: ScriptedModel, key: str = "napi_local"
) -> "subprocess.CompletedProcess[str]":
    """One `codex exec` that asks the scripted model, with this Neon key."""
    return subprocess.run(
        [program("codex"), "exec", "--json", "--ephemeral", "-C", str(project), "go"],
        env=codex_home(project, model, model_name, key=key),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240,
    )  # fmt: skip


def run_codex(project: Path, model_name: str, script: list[Step], key: str = "napi_local") -> list[dict[str, Any]]:
    """The MCP calls of one `codex exec`, as Codex reports them."""
    with scripted_model(script) as model:
        done = codex(project, model_name, model, key)
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    items = [e["item"] for e in events if e["type"] == "item.completed" and e["item"]["type"] == "mcp_tool_call"]
    assert items, done.stdout[-2000:] + done.stderr[-2000:]
    return items


def judge(items: list[dict[str, Any]]) -> None:
    """What works on a branch ran unasked, what would write to the default branch was refused by us, and deleting had to be asked for."""
    told = [(i["tool"], i["status"]) for i in items]
    assert told[1:-1] == [(step[1], "completed") for step in UNASKED[1:]]
    assert told[0] == ("run_sql", "failed")
    assert "[refused]" in json.dumps(items[0])
    assert told[-1] == ("delete_branch", "failed")
    assert "requires approval" in json.dumps(items[-1])


WAYS = {"functions": "scripted-unknown", "search": "gpt-5.5", "code": "gpt-6.1-sol"}


def steps(way: str, name: str) -> list[Step]:
    """The journey of a model that is told of tools in this way."""
    search: list[Step] = [("search", "branch sql schema migration")] if way == "search" else []
    return search + journey(name)


@pytest.mark.parametrize("way", WAYS)
def test_codex_does_the_journey_over_stdio_unasked_but_for_deleting(
    way: str, plane: LocalPlane, folder: Path, forget: Callable[[str], str]
) -> None:
    ours("init", "codex", "--local", "--data-dir", str(plane.data_dir), cwd=folder)
    judge(run_codex(folder, WAYS[way], steps(way, forget(f"codex-{way}"))))


def test_codex_has_our_tools_in_its_first_request_although_it_does_not_wait_for_us(
    plane: LocalPlane, folder: Path
) -> None:
    ours("init", "codex", "--local", "--data-dir", str(plane.data_dir), cwd=folder)
    config = folder / ".codex" / "config.toml"
    required, without = config.read_text(), config.read_text().replace("required = true\n", "")
    assert without != required
    config.write_text(without)
    with scripted_model([("say", "done")]) as model:
        codex(folder, WAYS["functions"], model)
        named = {name for _, name in offered(model.requests[0])}
    assert {s.name for s in TOOLS} <= {name.rpartition("__")[2] for name in named}


@pytest.mark.parametrize("way", WAYS)
def test_codex_does_the_journey_over_http_with_its_own_key_unasked_but_for_deleting(
    way: str, plane: LocalPlane, folder: Path, forget: Callable[[str], str]
) -> None:
    with team_server(plane) as (url, key):
        ours("init", "codex", "--http", url, cwd=folder)
        judge(run_codex(folder, WAYS[way], steps(way, forget(f"codex-http-{way}")), key))


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_claude_code_does_the_journey(
    transport: str, plane: LocalPlane, folder: Path, forget: Callable[[str], str]
) -> None:
    with ExitStack() as stack:
        key = "none"
        if transport == "http":
            url, key = stack.enter_context(team_server(plane))
            ours("init", "claude-code", "--http", url, cwd=folder)
        else:
            ours("init", "claude-code", "--local", "--data-dir", str(plane.data_dir), cwd=folder)
        claude_judged(run_claude(folder, journey(forget(f"claude-{transport}")), key))


def run_claude(folder: Path, script: list[Step], key: str) -> list[dict[str, Any]]:
    """The events of one `claude -p` that asks the scripted model, with this Neon key."""
    home = folder.parent / "claude-home"
    home.mkdir()
    (home / "settings.json").write_text('{"enableAllProjectMcpServers": true}')
    waits: list[Step] = [
        ("call", "WaitForMcpServers", {})
    ] * 4  # each waits a few seconds; a busy machine may need more than one
    with scripted_model(waits + script) as model:
        own = {"CLAUDE_CONFIG_DIR": str(home), "ANTHROPIC_BASE_URL": model.url, "ANTHROPIC_API_KEY": "x"}
        quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
        done = subprocess.run(
            [program("claude"), "-p", "go", "--output-format", "stream-json", "--verbose", "--allowedTools", "mcp__neon"],
            env={**os.environ, **own, **quiet, "NEON_API_KEY": key}, cwd=folder,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240,
        )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def claude_judged(events: list[dict[str, Any]]) -> None:
    """All of it was done, but what would write to the default branch: that we refused."""
    results = [
        (block.get("is_error", False), json.dumps(block["content"]))
        for e in events
        if e["type"] == "user"
        for block in e["message"]["content"]
        if block["type"] == "tool_result"
    ]
    told = results[-len(UNASKED) - 1 :]
    assert [failed for failed, _ in told] == [True] + [False] * len(UNASKED), results
    assert "[refused]" in told[0][1]


def inspect(*args: str) -> dict[str, Any]:
    """What the Inspector's command line prints for a method."""
    done = subprocess.run(
        [program("mcp-inspector"), "--cli", *args, "--connect-timeout", "60000"],
        env=clean_env(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    printed: dict[str, Any]
    printed, _ = json.JSONDecoder().raw_decode(done.stdout)  # an error's code may follow
    return printed


def test_the_inspector_lists_every_tool_over_stdio(plane: LocalPlane) -> None:
    server = [sys.executable, "-m", "neon_branch_mcp", "serve", "--local", "--data-dir", str(plane.data_dir)]
    assert {t["name"] for t in inspect(*server, "--method", "tools/list")["tools"]} == {s.name for s in TOOLS}


EVERY_TOOL: tuple[tuple[str, dict[str, str]], ...] = (
    ("list_projects", {}),
    ("create_branch", {"name": "{name}", "expires_in": "1h"}),
    ("list_branches", {}),
    ("describe_schema", {"branch": "{name}", "objects": '["users"]'}),
    ("query", {"branch": "{name}", "sql": "SELECT $1::int", "params": "[1]"}),
    ("run_sql", {"branch": "{name}", "sql": "CREATE TABLE seen (a int)"}),
    ("explain_sql", {"branch": "{name}", "sql": "SELECT * FROM users", "analyze": "true"}),
    ("apply_migration", {"branch": "{name}", "name": "notes", "sql": MIGRATION}),
    ("compare_schema", {"branch": "{name}"}),
    ("describe_branch", {"branch": "{name}"}),
    ("verify_migration", {"branch": "{name}", "checks": json.dumps([CHECK])}),
    ("get_connection_string", {"branch": "{name}"}),
    ("reset_branch", {"branch": "{name}"}),
    ("delete_branch", {"branch": "{name}"}),
)


def test_the_inspector_calls_every_tool(plane: LocalPlane, forget: Callable[[str], str]) -> None:
    assert {tool for tool, _ in EVERY_TOOL} == {s.name for s in TOOLS}
    name = forget("inspected")
    with http_server(plane) as url:
        for tool, arguments in EVERY_TOOL:
            pairs = [part for k, v in arguments.items() for part in ("--tool-arg", f"{k}={v.replace('{name}', name)}")]
            answer = inspect(url, "--transport", "http", "--method", "tools/call", "--tool-name", tool, *pairs)
            assert not answer.get("isError"), (tool, answer)
            assert answer["structuredContent"], tool
