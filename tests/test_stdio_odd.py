"""What a client over stdio says that is not quite right, or not in order: it is answered as by the SDK's server, once, and ends nothing."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from neon_branch_mcp import stdio_direct
from neon_branch_mcp.app import App, open_app
from neon_branch_mcp.config import Config, load
from neon_branch_mcp.front import Front, Handover
from neon_branch_mcp.local.plane import LocalPlane

from .conftest import plane_config
from .stdio_client import RawClient, clean_env
from .test_front import HANDSHAKES, STATELESS, hello, pipes, stateless
from .test_stdio_direct import INITIALIZED, SNAPSHOT, Serve, _read, _send, _write, by_sdk, call, directly, one_by_one

pytestmark = pytest.mark.anyio

GREETING = hello(HANDSHAKES[-1])["params"]
ENVELOPE = stateless("")["params"]["_meta"]
OWN = "io.modelcontextprotocol/"


def ask(number: Any, method: Any, params: Any = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, **({} if params is None else {"params": params})}


def enveloped(**changed: Any) -> dict[str, Any]:
    return {**ENVELOPE, **{f"{OWN}{name}": value for name, value in changed.items()}}


SELECT = {"sql": "select 1"}
IDS: tuple[Any, ...] = (None, True, 1.5, [1], {}, "", 0, -1, 10**30)
NO_PARAMS: tuple[Any, ...] = ([], [1], "", "x", 0, False)
NO_METHODS: tuple[Any, ...] = (None, 7, "", [], {})
CURSORS: tuple[Any, ...] = ("", "abc", 0, False, None)
NO_META: tuple[Any, ...] = (None, "", "x", [], [1], 0)
TOKENS: tuple[Any, ...] = (None, 0, "", -1, True, 1.5, [], {})
BEFORE_A_HANDSHAKE: dict[str, dict[str, Any]] = {
    **{
        f"initialize with {name}={value!r}": ask(1, "initialize", {**GREETING, name: value})
        for name, value in (
            ("protocolVersion", ["2025-11-25"]),
            ("protocolVersion", {}),
            ("protocolVersion", None),
            ("capabilities", []),
            ("capabilities", None),
            ("capabilities", {"elicitation": 7}),
            ("clientInfo", None),
            ("clientInfo", {"name": 1, "version": "1"}),
            ("clientInfo", {"name": "c", "version": "1", "title": 7}),
            ("clientInfo", {"name": "c", "version": "1", "icons": [7]}),
            ("_meta", "x"),
            ("_meta", [1]),
        )
    },
    "initialize with a list as id": ask([1], "initialize", GREETING),
    "initialize with an object as id": ask({}, "initialize", GREETING),
    "initialize with a switch as id": ask(True, "initialize", GREETING),
    "initialize with no text as method": ask(1, ["initialize"], GREETING),
    "initialize with a list of params": ask(1, "initialize", [GREETING]),
    **{
        f"{method} too early": ask(1, method, params)
        for method, params in (
            ("ping", None),
            ("tools/list", None),
            ("prompts/list", {}),
            ("resources/list", {"cursor": None}),
            ("resources/templates/list", {"_meta": {"progressToken": 1}}),
            ("tools/call", {"name": "query", "arguments": {"sql": "select 1"}}),
            ("prompts/get", {"name": "clean_up_branches"}),
            ("resources/read", {"uri": "neon://branches"}),
            ("no/such/method", None),
        )
    },
    "no client's capabilities": ask(1, "tools/list", {"_meta": {f"{OWN}protocolVersion": STATELESS}}),
    "a client that is a number": ask(1, "tools/list", {"_meta": enveloped(clientInfo=7)}),
    "capabilities that are none": call(1, "query", SELECT, _meta=enveloped(clientCapabilities={"elicitation": 7})),
    "a client that is half a one": call(1, "query", SELECT, _meta=enveloped(clientInfo={"name": "c"})),
    "a version that is a list": ask(1, "tools/list", {"_meta": enveloped(protocolVersion=[])}),
    "a version that is unknown": ask(1, "tools/list", {"_meta": enveloped(protocolVersion="2999-01-01")}),
    "a nameless client": call(1, "query", SELECT, _meta={k: v for k, v in ENVELOPE.items() if "clientInfo" not in k}),
}
TOO_DEEP: Any = []
for _ in range(300):
    TOO_DEEP = [TOO_DEEP]
AFTER_A_HANDSHAKE: dict[str, dict[str, Any]] = {
    **{f"the id {i!r}": ask(i, "tools/list") for i in IDS},
    **{f"a call with the id {i!r}": call(i, "query", SELECT) for i in IDS},
    **{f"the params {p!r}": ask(1, "tools/list", p) for p in NO_PARAMS},
    **{f"the method {m!r}": ask(1, m) for m in NO_METHODS},
    **{f"the cursor {c!r}": ask(1, "tools/list", {"cursor": c}) for c in CURSORS},
    **{f"_meta {m!r}": ask(1, "tools/list", {"_meta": m}) for m in NO_META},
    **{f"a call with _meta {m!r}": call(1, "query", SELECT, _meta=m) for m in NO_META},
    **{f"the token {t!r}": call(1, "query", SELECT, _meta={"progressToken": t}) for t in TOKENS},
    "a second handshake": hello(HANDSHAKES[0]),
    "a request that is a result": {**call(1, "query", SELECT), "result": {}},
    "a request that is an error": {**call(1, "query", SELECT), "error": {"code": 1, "message": "x"}},
    "a request that has no result": {**call(1, "query", SELECT), "result": None, "error": None},
    "no version of JSON-RPC": {"id": 1, "method": "tools/list"},
    "a prompt nested too deeply": ask(1, "prompts/get", {"name": "clean_up_branches", "more": TOO_DEEP}),
    "a list nested too deeply": ask(1, "tools/list", {"cursor": TOO_DEEP}),
    "more than a request has": {**call(1, "query", SELECT), "nonsense": 1},
}


async def through_the_front(app: App, handover: Handover) -> None:
    """The front gets what was written so far: the real server is ready at once."""
    assert SNAPSHOT is not None
    ready, tell = os.pipe()
    os.close(tell)
    left = Front(SNAPSHOT, handover.input_fd, handover.output_fd).run(ready, lambda: None)
    os.close(ready)
    await directly(app, left)


@pytest.mark.parametrize("name", [*BEFORE_A_HANDSHAKE, *AFTER_A_HANDSHAKE])
async def test_what_is_not_quite_right_is_answered_as_by_the_sdks_server_and_once(name: str) -> None:
    before = [] if name in BEFORE_A_HANDSHAKE else [hello(HANDSHAKES[-1]), INITIALIZED]
    asked = [*before, {**BEFORE_A_HANDSHAKE, **AFTER_A_HANDSHAKE}[name]]
    unreachable = {"api_key": "napi_x", "api_host": "http://127.0.0.1:9/api/v2", "retry_budget": 0.01}
    config = load({"neon": unreachable, "audit": {"enabled": False}}, env={}, cwd=Path("/"))
    direct, front, by_the_sdk = [await all_answers(config, way, asked) for way in (directly, through_the_front, by_sdk)]
    assert direct == by_the_sdk
    assert front == by_the_sdk
    assert len(by_the_sdk) == len([m for m in asked if "id" in m])


async def test_what_was_refused_before_the_handshake_is_answered_after_it() -> None:
    asked = [ask(1, "tools/list"), hello(HANDSHAKES[-1]), INITIALIZED, ask(2, "tools/list"), call(3, "query", SELECT)]
    unreachable = {"api_key": "napi_x", "api_host": "http://127.0.0.1:9/api/v2", "retry_budget": 0.01}
    config = load({"neon": unreachable, "audit": {"enabled": False}}, env={}, cwd=Path("/"))
    direct, front, by_the_sdk = [await all_answers(config, way, asked) for way in (directly, through_the_front, by_sdk)]
    assert direct == front == by_the_sdk
    assert [("result" in answer, answer["id"]) for answer in direct] == [
        (False, 1),
        (True, 2),
        (True, 3),
        (True, "greeting"),
    ]


async def all_answers(config: Config, serve: Serve, messages: Sequence[dict[str, Any]]) -> list[Any]:
    """What the server writes until each message that has an id has its answer, and until it then ends; by the answers' ids."""
    found: list[bytes] = []
    with pipes() as p:
        _write(p, *messages)

        def converse() -> None:
            with os.fdopen(os.dup(p.client_in), "rb") as lines:
                found.extend(lines.readline() for message in messages if "id" in message)
                p.close(p.client_out)
                found.extend(lines)

        client = threading.Thread(target=converse)
        client.start()
        async with open_app(config) as app:
            with anyio.fail_after(stdio_direct.GRACE - 2):
                await serve(app, Handover(p.server_in, p.server_out, (), b"", frozenset(), closed=False))
        p.close(p.server_out)
        client.join(5)
    return sorted((json.loads(line) for line in found), key=lambda answer: str(answer["id"]))


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_what_runs_when_the_server_is_told_to_end_is_cancelled_and_recorded(
    sent: signal.Signals, tmp_path: Path
) -> None:
    log = tmp_path / "audit.jsonl"
    serve = [sys.executable, "-m", "neon_branch_mcp", "serve", "--local", "--data-dir", str(tmp_path / "data")]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        serve, stdin=pipe, stdout=pipe, stderr=pipe, cwd=tmp_path, env=clean_env(NEON_BRANCH_MCP_AUDIT_PATH=str(log))
    ) as process:
        client = RawClient(process, HANDSHAKES[-1])
        client.greet()
        client.tool("create_branch", name="b")
        client.send(call(7, "run_sql", {"sql": "select pg_sleep(60)", "branch": "b"}))
        while '"run_sql"' not in log.read_text(encoding="utf-8"):
            time.sleep(0.05)
        process.send_signal(sent)
        assert process.wait(20) == (130 if sent == signal.SIGINT else -sent)
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert json.loads(log.read_text(encoding="utf-8").splitlines()[-1])["result"] == "cancelled"


@pytest.mark.parametrize("late", [False, True], ids=["at once", "later"])
def test_a_client_that_goes_with_answers_unread_ends_the_server_quietly(late: bool, tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()  # as Node gives its children; a pipe would tell less
    with subprocess.Popen(
        [sys.executable, "-m", "neon_branch_mcp", "serve"],
        stdin=theirs.fileno(),
        stdout=theirs.fileno(),
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=clean_env(NEON_API_KEY="napi_x"),
    ) as process:
        theirs.close()
        with ours, ours.makefile("rb") as lines:
            if late:  # only the server that comes after the front answers a prompt
                prompt = ask(2, "prompts/get", {"name": "clean_up_branches"})
                ours.sendall(b"".join(json.dumps(m).encode() + b"\n" for m in (hello(HANDSHAKES[-1]), prompt)))
                assert [json.loads(lines.readline())["id"] for _ in range(2)] == ["greeting", 2]
            ours.sendall(json.dumps(hello(HANDSHAKES[-1])).encode() + b"\n")
            select.select([ours], [], [], 20)
        assert process.wait(20) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_stream_that_is_closed_from_the_start_is_one_to_nowhere(closed: str, tmp_path: Path) -> None:
    run = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m neon_branch_mcp serve {closed}', sys.executable],
        input=json.dumps(hello(HANDSHAKES[-1])).encode() + b"\n",
        capture_output=True,
        cwd=tmp_path,
        env=clean_env(NEON_API_KEY="napi_x"),
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, b"")
    assert run.stdout.count(b"\n") == (closed == "2>&-")


def test_the_sdk_is_imported_beside_the_loop_and_not_on_it(tmp_path: Path) -> None:
    script = (
        "import sys, threading, neon_branch_mcp.__main__ as m\n"
        "class Tell:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'mcp.server':\n"
        "            sys.stderr.write(f'{threading.current_thread() is threading.main_thread()}')\n"
        "sys.meta_path.insert(0, Tell())\n"
        "m.main()\n"
    )
    prompt = ask(2, "prompts/get", {"name": "clean_up_branches"})
    run = subprocess.run(
        [sys.executable, "-c", script, "serve"],
        input=b"".join(json.dumps(m).encode() + b"\n" for m in (hello(HANDSHAKES[-1]), prompt)),
        capture_output=True,
        cwd=tmp_path,
        env=clean_env(NEON_API_KEY="napi_x"),
        timeout=60,
        check=False,
    )
    assert [json.loads(line)["id"] for line in run.stdout.splitlines()] == ["greeting", 2]
    assert run.stderr == b"False"


def test_with_another_sdk_than_the_snapshots_what_was_piped_in_is_answered_too(tmp_path: Path) -> None:
    script = (
        "import neon_branch_mcp.front as front\n"
        "front._sdk_version = lambda: '2.99.0'\n"
        "import neon_branch_mcp.__main__ as m; m.main()\n"
    )
    asked = [
        hello(HANDSHAKES[-1]),
        INITIALIZED,
        *(call(number, "query", SELECT) for number in range(stdio_direct.MOST_AT_ONCE * 2)),
        ask("prompt", "prompts/get", {"name": "clean_up_branches"}),
        call("stateless", "query", {"sql": 1}, _meta=ENVELOPE),
    ]
    nowhere = {"NEON_API_HOST": "http://127.0.0.1:9/api/v2", "NEON_BRANCH_MCP_NEON_RETRY_BUDGET": "0.01"}
    run = subprocess.run(
        [sys.executable, "-c", script, "serve"],
        input=b"".join(json.dumps(m).encode() + b"\n" for m in asked),
        capture_output=True,
        cwd=tmp_path,
        env=clean_env(NEON_API_KEY="napi_x", **nowhere),
        timeout=60,
        check=False,
    )
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert (run.returncode, run.stderr) == (0, b"")
    assert sorted(str(answer["id"]) for answer in found) == sorted(str(m["id"]) for m in asked if "id" in m)
    assert all("result" in answer for answer in found)


BROKEN = {
    "no SDK": "import sys; sys.modules['mcp'] = None",
    "another SDK": "import mcp.server; del mcp.server.MCPServer",
    "a server that fails": "import neon_branch_mcp.cli.serve_direct as d; d.build_sdk_server = lambda *_: 1 / 0",
}


@pytest.mark.parametrize("how", BROKEN)
def test_without_a_working_sdk_tools_are_served_and_the_rest_is_answered_with_why(how: str, tmp_path: Path) -> None:
    script = f"{BROKEN[how]}\nimport neon_branch_mcp.__main__ as m; m.main()"
    env = {"NEON_API_HOST": "http://127.0.0.1:9/api/v2", "NEON_BRANCH_MCP_NEON_RETRY_BUDGET": "0.1"}
    with subprocess.Popen(
        [sys.executable, "-c", script, "serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=clean_env(NEON_API_KEY="napi_x", **env),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        found = []
        prompt = {"name": "clean_up_branches"}
        for message in (
            hello(HANDSHAKES[-1]),
            ask(2, "prompts/get", prompt),
            ask(3, "prompts/get", {**prompt, "_meta": ENVELOPE}),
            ask(4, "tools/list"),
            ask(5, "tools/list", {"_meta": ENVELOPE}),
            call(6, "query", {"sql": 1}),
            ask(7, "resources/read", {"uri": "neon://branches"}),
        ):
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
            found.append(json.loads(process.stdout.readline()))
        process.stdin.close()
        assert process.wait(20) == 0
        told = process.stderr.read().decode()
    errors = {answer["id"]: answer["error"] for answer in found if "error" in answer}
    assert [answer["id"] for answer in found] == ["greeting", 2, 3, 4, 5, 6, 7]
    assert errors.keys() == {2, 3, 7}
    assert {error["code"] for error in errors.values()} == {-32603}
    assert all("could not be loaded (" in error["message"] for error in errors.values())
    assert found[-2]["result"]["content"][0]["text"].startswith("[refused] query was not run")
    assert told.count("\n") == 1, told
    assert "The MCP SDK could not be loaded" in told


async def test_calls_that_share_an_id_are_both_answered(plane: LocalPlane) -> None:
    asked = [hello(HANDSHAKES[-1]), call(1, "query", {"sql": "select 1"}), call(1, "query", {"sql": "select 2"})]
    found = await all_answers(plane_config(plane), directly, asked)
    assert sorted(f["result"]["structuredContent"]["rows"] for f in found if f["id"] == 1) == [[[1]], [[2]]]


async def test_each_request_is_served_in_its_own_era_whatever_came_before(plane: LocalPlane) -> None:
    prompt = {"name": "clean_up_branches"}
    asked = [
        call(1, "query", SELECT, _meta=ENVELOPE),
        hello(HANDSHAKES[-1]),
        INITIALIZED,
        call(2, "query", SELECT),
        ask(3, "prompts/get", {**prompt, "_meta": ENVELOPE}),
        ask(4, "prompts/get", prompt),
        ask(5, "prompts/get", {**prompt, "_meta": ENVELOPE}),
        ask(6, "tools/list", {"_meta": ENVELOPE}),
        ask(7, "tools/list"),
        call(8, "query", SELECT),
        call(9, "query", SELECT, _meta=ENVELOPE),
    ]
    found = [json.loads(line) for line in await one_by_one(plane_config(plane), directly, asked)]
    assert [f["id"] for f in found] == [m["id"] for m in asked if "id" in m]
    assert all("result" in f for f in found), found
    assert [f["id"] for f in found if "_meta" in f["result"]] == [1, 3, 5, 6, 9]


async def test_a_handshake_that_the_front_answered_twice_is_not_answered_a_third_time(plane: LocalPlane) -> None:
    prompt = ask(3, "prompts/get", {"name": "clean_up_branches"})
    greetings = [hello(HANDSHAKES[-1]), ask("second", "initialize", GREETING), ask("second", "initialize", GREETING)]
    data = b"".join(json.dumps(m).encode() + b"\n" for m in (*greetings[:1], prompt, *greetings[1:]))
    found: list[bytes] = []
    with pipes() as p:
        _send(p, data)
        reader = threading.Thread(target=_read, args=(p.client_in, found))
        reader.start()
        async with open_app(plane_config(plane)) as app:
            with anyio.fail_after(30):
                await through_the_front(app, Handover(p.server_in, p.server_out, (), b"", frozenset(), closed=False))
        p.close(p.server_out)
        reader.join(5)
    assert sorted(str(json.loads(line)["id"]) for line in found) == ["3", "greeting", "second", "second"]
