"""Tool calls over stdio without the SDK: they are answered as the SDK's server answers them, and what is not a tool call still is."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import psycopg
import pytest

from neon_branch_mcp import stdio_direct
from neon_branch_mcp.app import App, Caller, open_app
from neon_branch_mcp.config import Config
from neon_branch_mcp.front import Handover, fitting_snapshot
from neon_branch_mcp.local.plane import LocalPlane
from neon_branch_mcp.server import build_server, session_caller
from neon_branch_mcp.stdio_direct import serve_direct
from neon_branch_mcp.stdio_pipe import Output
from neon_branch_mcp.tools.wire import tool_call

from .conftest import MadeBranch, plane_config
from .sdk_reference import serve_by_sdk
from .stdio_client import RawClient, clean_env
from .test_front import HANDSHAKES, STATELESS, Pipes, hello, pipes, stateless

pytestmark = pytest.mark.anyio

Serve = Callable[[App, Handover], Awaitable[None]]
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
SNAPSHOT = fitting_snapshot(["--local"], {}, Path("/"))


async def by_sdk(app: App, handover: Handover) -> None:
    await serve_by_sdk(build_server(app, session_caller(Caller())), handover)


async def directly(app: App, handover: Handover) -> None:
    assert SNAPSHOT is not None
    await serve_direct(app, handover, SNAPSHOT, lambda app, caller: build_server(app, session_caller(caller)))


def call(number: Any, tool: Any, arguments: Any, **params: Any) -> dict[str, Any]:
    named = {"name": tool, "arguments": arguments, **params}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": named}


CALLS: tuple[dict[str, Any], ...] = (
    call(
        1,
        "query",
        {"sql": "select 1 as a, 'é\"\\' as b, null as c, 1.50::numeric as d, 1e300::float8 as e, 'NaN'::float8 as f"},
    ),
    call(2, "query", {"sql": "drop table users"}),
    call(3, "query", {"sql": "select $1::int + $2::int", "params": "[1, 2]"}),
    call(4, "query", {"sql": "select id, email from users order by id limit 3", "max_rows": 2}),
    call(5, "query", {"sql": 1}),
    call(6, "query", {"sql": "select 1", "nonsense": True}),
    call(7, "query", {"sql": "select nothing from nowhere"}),
    call("eight", "describe_schema", {"objects": "users", "detail": "tables"}),
    call(9, "explain_sql", {"sql": "select * from users where id = 1"}),
    call(10, "no_such_tool", {}),
    call(11, "query", None),
    call(12, "query", [1]),
    call(13, 7, {}),
    call(14, "query", {"sql": "select 2"}, extra=1),
    call(15, "list_projects", {}),
    call(16, "query", {"sql": "select 1", "branch": "no-such-branch"}),
    call(17, "query", {"sql": "select 'x' where false"}),
    {"jsonrpc": "2.0", "id": 18, "method": "tools/call"},
    {"jsonrpc": "2.0", "id": 19, "method": "prompts/get", "params": {"name": "clean_up_branches"}},
    {"jsonrpc": "2.0", "id": 20, "method": "resources/list"},
    {"jsonrpc": "2.0", "id": 21, "method": "no/such/method"},
)


async def answers(config: Config, serve: Serve, messages: Sequence[dict[str, Any]]) -> dict[Any, bytes]:
    """The answer to each request by its id, with every message sent at once and the pipe then closed."""
    data = b"".join(json.dumps(m).encode() + b"\n" for m in messages)
    with pipes() as p:
        handover = Handover(p.server_in, p.server_out, (), b"", frozenset(), closed=False)
        writer = threading.Thread(target=_send, args=(p, data))
        writer.start()
        found: list[bytes] = []
        reader = threading.Thread(target=_read, args=(p.client_in, found))
        reader.start()
        async with open_app(config) as app:
            await serve(app, handover)
        p.close(p.server_out)
        writer.join(5)
        reader.join(5)
    return {json.loads(line)["id"]: line for line in found}


def _send(p: Pipes, data: bytes) -> None:
    while data:
        data = data[os.write(p.client_out, data) :]
    p.close(p.client_out)


def _read(fd: int, found: list[bytes]) -> None:
    with os.fdopen(os.dup(fd), "rb") as lines:
        found.extend(lines)


async def one_by_one(config: Config, serve: Serve, messages: Sequence[dict[str, Any]]) -> list[bytes]:
    """The answers with each request sent after the last one's answer: a closing pipe is another test's matter."""
    found: list[bytes] = []
    with pipes() as p:
        handover = Handover(p.server_in, p.server_out, (), b"", frozenset(), closed=False)

        def converse() -> None:
            with os.fdopen(os.dup(p.client_in), "rb") as lines:
                for message in messages:
                    os.write(p.client_out, json.dumps(message).encode() + b"\n")
                    if "id" in message:
                        found.append(lines.readline())
            p.close(p.client_out)

        client = threading.Thread(target=converse)
        client.start()
        async with open_app(config) as app:
            await serve(app, handover)
        client.join(5)
    return found


def conversation(version: str) -> list[dict[str, Any]]:
    if version != STATELESS:
        return [hello(version), INITIALIZED, *CALLS]
    meta = stateless("")["params"]["_meta"]
    return [{**m, "params": {**m.get("params", {}), "_meta": meta}} for m in CALLS]


@pytest.mark.parametrize("version", [*HANDSHAKES, STATELESS])
async def test_every_answer_is_the_sdk_servers_to_the_byte(plane: LocalPlane, version: str) -> None:
    config = plane_config(plane)
    direct, by_the_sdk = [await one_by_one(config, serve, conversation(version)) for serve in (directly, by_sdk)]
    assert direct == by_the_sdk


def test_a_plain_call_is_read_here_and_anything_else_is_left_to_the_sdk() -> None:
    plain = [tool_call(m, {"query", "describe_schema", "explain_sql", "list_projects"}) is not None for m in CALLS]
    assert plain == [m["id"] not in (10, 12, 13, 14, 18, 19, 20, 21) for m in CALLS]


async def test_what_was_piped_in_is_answered_although_the_client_has_closed_its_end(plane: LocalPlane) -> None:
    asked = [hello(HANDSHAKES[-1]), INITIALIZED, CALLS[0], CALLS[7], CALLS[18]]
    found = await answers(plane_config(plane), directly, asked)
    assert found.keys() == {"greeting", 1, "eight", 19}
    assert all(b'"result"' in line for line in found.values())


async def test_what_runs_too_long_after_the_client_has_closed_its_end_is_cancelled_in_postgres(
    plane: LocalPlane, branch: MadeBranch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdio_direct, "GRACE", 1.0)
    asked = [
        hello(HANDSHAKES[-1]),
        INITIALIZED,
        call(1, "run_sql", {"sql": "select pg_sleep(60)", "branch": branch.name}),
    ]
    found = await answers(plane_config(plane), directly, asked)
    assert json.loads(found[1])["error"]["code"] == stdio_direct.CONNECTION_CLOSED
    with psycopg.connect(branch.uri) as conn:
        running = conn.execute(
            "select count(*) from pg_stat_activity where query like 'select pg_sleep(60)%'"
        ).fetchone()
    assert running == (0,)


@pytest.mark.parametrize(("number", "given_up"), [(1, 1), ("1", "1"), (1, "1"), ("1", 1)])
async def test_a_cancelled_call_has_no_answer_and_its_statement_ends(
    number: str | int, given_up: str | int, plane: LocalPlane, branch: MadeBranch
) -> None:
    sleeping = "select count(*) from pg_stat_activity where query = 'select pg_sleep(50)' and state = 'active'"
    with pipes() as p, psycopg.connect(branch.uri, autocommit=True) as conn:

        def converse() -> list[bytes]:
            asked = call(number, "run_sql", {"sql": "select pg_sleep(50)", "branch": branch.name})
            _write(p, hello(HANDSHAKES[-1]), INITIALIZED, asked)
            while conn.execute(sleeping).fetchone() != (1,):
                pass
            _write(p, {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": given_up}})
            while conn.execute(sleeping).fetchone() != (0,):
                pass
            _write(p, CALLS[1])
            with os.fdopen(os.dup(p.client_in), "rb") as lines:
                found = [lines.readline(), lines.readline()]
            p.close(p.client_out)
            return found

        handover = Handover(p.server_in, p.server_out, (), b"", frozenset(), closed=False)
        async with open_app(plane_config(plane)) as app, anyio.create_task_group() as tasks:
            tasks.start_soon(directly, app, handover)
            with anyio.fail_after(60):
                found = await anyio.to_thread.run_sync(converse)
    assert [json.loads(line)["id"] for line in found] == ["greeting", 2]


def _write(p: Pipes, *messages: dict[str, Any]) -> None:
    os.write(p.client_out, b"".join(json.dumps(m).encode() + b"\n" for m in messages))


async def test_steps_are_told_to_who_asks_for_them(plane: LocalPlane, branch: MadeBranch) -> None:
    asked = call(1, "reset_branch", {"branch": branch.name}, _meta={"progressToken": "t"})
    lines = tuple(json.dumps(m).encode() for m in (hello(HANDSHAKES[-1]), INITIALIZED, asked))
    found: list[bytes] = []
    with pipes() as p:
        reader = threading.Thread(target=_read, args=(p.client_in, found))
        reader.start()
        async with open_app(plane_config(plane, policy={"delete": "any"})) as app:
            await directly(app, Handover(p.server_in, p.server_out, lines, b"", frozenset(), closed=True))
        p.close(p.server_out)
        reader.join(5)
    steps = [json.loads(line)["params"] for line in found if b"notifications/progress" in line]
    assert [step["progress"] for step in steps] == list(range(1, len(steps) + 1))
    assert steps
    assert {step["progressToken"] for step in steps} == {"t"}


def test_a_conversation_of_tools_imports_no_sdk_and_a_prompt_does(tmp_path: Path) -> None:
    script = (
        "import sys, threading, time, neon_branch_mcp.__main__ as m\n"
        "def tell():\n"
        "    while True:\n"
        "        time.sleep(.05); sys.stderr.write(f\"{'mcp.server' in sys.modules}\\n\"); sys.stderr.flush()\n"
        "threading.Thread(target=tell, daemon=True).start()\n"
        "m.main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, "serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=clean_env(
            NEON_API_KEY="napi_x", NEON_API_HOST="http://127.0.0.1:9/api/v2", NEON_BRANCH_MCP_NEON_RETRY_BUDGET="1"
        ),
    )
    assert process.stderr is not None
    assert process.stdin is not None
    client = RawClient(process, HANDSHAKES[-1])
    client.greet()
    client.request("tools/list")
    client.request("prompts/list")
    client.request("resources/templates/list")
    assert client.request("tools/call", {"name": "query", "arguments": {"sql": "select 1"}})["isError"]
    process.stderr.readline()
    before = [process.stderr.readline() for _ in range(3)]
    assert client.request("prompts/get", {"name": "clean_up_branches"})["messages"]
    process.stdin.close()
    after = process.stderr.read().splitlines()
    process.wait(20)
    assert process.stdout is not None
    process.stdout.close()
    process.stderr.close()
    assert before == [b"False\n"] * 3
    assert after[-1] == b"True"


async def test_a_line_that_its_writer_left_is_ended_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with pipes() as p:
        output, long = Output(p.server_out), "x" * 300_000 + "\n"
        with anyio.move_on_after(0.3) as scope:
            await output.write(long)
        assert scope.cancelled_caught
        found: list[bytes] = []
        reader = threading.Thread(target=_read, args=(p.client_in, found))
        reader.start()
        await output.write("next\n")
        p.close(p.server_out)
        await anyio.to_thread.run_sync(reader.join, 5)
    assert [len(line) for line in found] == [300_001, 5]


async def test_a_client_that_is_gone_ends_the_server_quietly(plane: LocalPlane) -> None:
    data = [json.dumps(m).encode() for m in (hello(HANDSHAKES[-1]), INITIALIZED, CALLS[0])]
    with pipes() as p:
        p.close(p.client_in)
        async with open_app(plane_config(plane)) as app:
            with anyio.fail_after(20):
                await directly(app, Handover(p.server_in, p.server_out, tuple(data), b"", frozenset(), closed=True))
