"""The journey by the real Codex CLI, the real Claude Code and the real MCP Inspector, with the configuration that `init` writes.

A scripted model drives them; no account and no network is needed. `./tools/test --clients` runs them with the programs on the PATH:
`npm install @openai/codex @anthropic-ai/claude-code @modelcontextprotocol/inspector node@24` in some folder, then put its
node_modules/.bin in front of the PATH. Tried with Codex 0.169, Claude Code 2.1 and Inspector 2.12.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from neon_branch_mcp.local.plane import LocalPlane
from neon_branch_mcp.tools.catalogue import TOOLS

from ..conftest import PlaneApi
from ..stdio_client import clean_env
from .model import Step, scripted_model

pytestmark = pytest.mark.clients

MIGRATION = """\
CREATE TABLE user_notes (user_id bigint PRIMARY KEY REFERENCES users, note text);
INSERT INTO user_notes SELECT id, name FROM users;
"""
UNASKED: tuple[Step, ...] = (
    ("call", "run_sql", {"sql": "DROP TABLE users"}),
    ("call", "list_branches", {}),
    ("call", "create_branch", {"name": "{name}"}),
    ("call", "describe_schema", {"branch": "{name}"}),
    ("call", "apply_migration", {"branch": "{name}", "name": "notes", "sql": MIGRATION}),
    ("call", "run_sql", {"branch": "{name}", "sql": "UPDATE user_notes SET note = 'x' WHERE user_id <= 3"}),
    ("call", "query", {"branch": "{name}", "sql": "SELECT count(*) FROM user_notes WHERE note = 'x'"}),
    ("call", "compare_schema", {"branch": "{name}"}),
    ("call", "verify_migration", {"branch": "{name}"}),
    ("call", "get_connection_string", {"branch": "{name}"}),
)
DELETE: Step = ("call", "delete_branch", {"branch": "{name}"})


def journey(name: str) -> list[Step]:
    return [json.loads(json.dumps(step).replace("{name}", name)) for step in (*UNASKED, DELETE)] + [("say", "done")]


def program(name: str) -> str:
    path = shutil.which(name)
    assert path is not None, f"the program {name} is not on the PATH; the top of this file says where it comes from"
    return path


def ours(*args: str, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "neon_branch_mcp", *args],
        cwd=cwd,
        env=clean_env(**env),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    project.mkdir()
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    return project


@pytest.fixture
def forget(api: PlaneApi) -> Iterator[Callable[[str], str]]:
    """Names a branch, and deletes it at the end if the client has not."""
    names: list[str] = []

    def remember(name: str) -> str:
        names.append(name)
        return name

    yield remember
    for branch in api("GET", f"{api.project}/branches")["branches"]:
        if branch["name"] in names:
            api("DELETE", f"{api.project}/branches/{branch['id']}")


def run_codex(project: Path, model_name: str, script: list[Step]) -> list[dict[str, Any]]:
    """The MCP calls of one `codex exec`, as Codex reports them."""
    home = project.parent / "codex-home"
    home.mkdir()
    with scripted_model(script) as model:
        (home / "config.toml").write_text(
            f'model = "{model_name}"\nmodel_provider = "scripted"\ncheck_for_update_on_startup = false\n'
            "[analytics]\nenabled = false\n"
            f'[model_providers.scripted]\nname = "scripted"\nbase_url = "{model.url}/v1"\nwire_api = "responses"\n'
            'env_key = "SCRIPTED_KEY"\nrequest_max_retries = 0\nstream_max_retries = 0\n'
            f'[projects."{project}"]\ntrust_level = "trusted"\n'
        )
        done = subprocess.run(
            [program("codex"), "exec", "--json", "--ephemeral", "-C", str(project), "go"],
            env={**os.environ, "CODEX_HOME": str(home), "SCRIPTED_KEY": "x", "NEON_API_KEY": "napi_local"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240,
        )  # fmt: skip
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


@pytest.mark.parametrize("way", WAYS)
def test_codex_does_the_journey_over_stdio_unasked_but_for_deleting(
    way: str, plane: LocalPlane, folder: Path, forget: Callable[[str], str]
) -> None:
    ours("init", "codex", "--local", "--data-dir", str(plane.data_dir), cwd=folder)
    search: list[Step] = [("search", "branch sql schema migration")] if way == "search" else []
    judge(run_codex(folder, WAYS[way], search + journey(forget(f"codex-{way}"))))


@contextmanager
def http_server(plane: LocalPlane) -> Iterator[str]:
    """`serve --http` over the plane; its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["serve", "--http", f"127.0.0.1:{port}", "--local", "--data-dir", str(plane.data_dir)]
    with subprocess.Popen([sys.executable, "-m", "neon_branch_mcp", *command], env=clean_env()) as server:
        try:
            for _ in range(300):
                try:
                    httpx.get(f"http://127.0.0.1:{port}/healthz")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            server.terminate()


def test_codex_does_the_journey_over_http(plane: LocalPlane, folder: Path, forget: Callable[[str], str]) -> None:
    with http_server(plane) as url:
        ours("init", "codex", "--http", url, cwd=folder)
        judge(run_codex(folder, WAYS["functions"], journey(forget("codex-http"))))


def test_claude_code_does_the_journey(plane: LocalPlane, folder: Path, forget: Callable[[str], str]) -> None:
    ours("init", "claude-code", "--local", "--data-dir", str(plane.data_dir), cwd=folder)
    home = folder.parent / "claude-home"
    home.mkdir()
    (home / "settings.json").write_text('{"enableAllProjectMcpServers": true}')
    waits: list[Step] = [
        ("call", "WaitForMcpServers", {})
    ] * 4  # each waits a few seconds; a busy machine may need more than one
    script = waits + journey(forget("claude"))
    with scripted_model(script) as model:
        own = {"CLAUDE_CONFIG_DIR": str(home), "ANTHROPIC_BASE_URL": model.url, "ANTHROPIC_API_KEY": "x"}
        quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
        done = subprocess.run(
            [program("claude"), "-p", "go", "--output-format", "stream-json", "--verbose", "--allowedTools", "mcp__neon"],
            env={**os.environ, **own, **quiet}, cwd=folder,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240,
        )  # fmt: skip
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
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


def inspect(plane: LocalPlane, *args: str) -> dict[str, Any]:
    """What the Inspector's command line prints for a method."""
    server = [sys.executable, "-m", "neon_branch_mcp", "serve", "--local", "--data-dir", str(plane.data_dir)]
    done = subprocess.run(
        [program("mcp-inspector"), "--cli", *server, *args, "--connect-timeout", "60000"],
        env=clean_env(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


READS = {
    "list_branches": {},
    "describe_branch": {"branch": "main"},
    "query": {"sql": "SELECT 1"},
    "explain_sql": {"sql": "SELECT 1"},
    "describe_schema": {"objects": '["users"]'},
    "list_projects": {},
}


def test_the_inspector_lists_every_tool_and_calls_those_that_read(plane: LocalPlane) -> None:
    assert {t["name"] for t in inspect(plane, "--method", "tools/list")["tools"]} == {s.name for s in TOOLS}
    for tool, arguments in READS.items():
        pairs = [part for k, v in arguments.items() for part in ("--tool-arg", f"{k}={v}")]
        answer = inspect(plane, "--method", "tools/call", "--tool-name", tool, *pairs)
        assert not answer["isError"], answer
        assert answer["structuredContent"]
