"""More than a server over stdio does at once: it waits in bounded memory, and what is said about it is heard meanwhile."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import anyio
import anyio.to_thread
import psycopg
import pytest
from starlette.types import Receive, Scope, Send

from neon_branch_mcp import front, stdio_direct, stdio_pipe
from neon_branch_mcp.app import open_app
from neon_branch_mcp.config import Config
from neon_branch_mcp.front import Front, Handover
from neon_branch_mcp.local.plane import LocalPlane
from neon_branch_mcp.stdio_lanes import OVERHEAD, Lane
from neon_branch_mcp.stdio_pipe import Unreadable, lines_of, read_message

from .conftest import MadeBranch, plane_config
from .http_support import key_gate, listening
from .stdio_client import clean_env
from .test_front import HANDSHAKES, Pipes, hello, pipes
from .test_stdio_direct import INITIALIZED, SNAPSHOT, _write, answers, call, directly

pytestmark = pytest.mark.anyio

PING = {"jsonrpc": "2.0", "id": "ping", "method": "ping"}
PROMPT = {"name": "clean_up_branches"}


def ask(number: Any, method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def cancelled(number: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}}


class Client:
    """The other end of the pipes, for a thread."""

    def __init__(self, p: Pipes, lines: BinaryIO) -> None:
        self._p = p
        self._lines = lines
        self.send(hello(HANDSHAKES[-1]), INITIALIZED)
        assert self.answer()["id"] == "greeting"

    def send(self, *messages: dict[str, Any]) -> None:
        _write(self._p, *messages)

    def answer(self) -> Any:
        return json.loads(self._lines.readline())

    def rest(self) -> list[Any]:
        """Closes the client's end, and what the server says until it closes its own."""
        self._p.close(self._p.client_out)
        return [json.loads(line) for line in self._lines]


async def conversing(plane: LocalPlane, converse: Callable[[Client], None]) -> None:
    """Has a server hear what a thread says to it, until both have ended."""
    with pipes() as p:

        def speak() -> None:
            with os.fdopen(os.dup(p.client_in), "rb") as lines:
                converse(Client(p, lines))

        async with anyio.create_task_group() as tasks, open_app(plane_config(plane)) as app:
            tasks.start_soon(anyio.to_thread.run_sync, speak)
            try:
                with anyio.fail_after(30):
                    await directly(app, Handover(p.server_in, p.server_out, (), b"", frozenset(), closed=False))
            finally:
                p.close(p.server_out)  # else the thread would wait for an answer for ever


async def test_a_server_that_is_told_to_end_first_takes_away_the_branch_that_was_given_up(plane: LocalPlane) -> None:
    """Cancelled by its client, and once more by the end of the server, while the API still takes its time."""
    made, asked, removed = anyio.Event(), anyio.Event(), anyio.Event()
    neon = key_gate(plane, {"napi_x": frozenset({plane.project_id})})

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        removes = scope.get("method") == "DELETE"
        if removes:
            asked.set()
            await anyio.sleep(1)
        await neon(scope, receive, send)
        if removes:
            removed.set()
        elif scope.get("method") == "POST" and scope["path"].endswith("/branches"):
            made.set()

    async with listening(slow) as base:
        cloud = {"api_host": f"{base}/api/v2", "api_key": "napi_x", "project_id": plane.project_id}
        config = Config.model_validate({"neon": cloud, "audit": {"enabled": False}})
        with pipes() as p:
            async with open_app(config) as app, anyio.create_task_group() as tasks:
                tasks.start_soon(directly, app, Handover(p.server_in, p.server_out, (), b"", frozenset(), closed=False))
                for message in (hello(HANDSHAKES[-1]), INITIALIZED, call(1, "create_branch", {"name": "given-up"})):
                    os.write(p.client_out, json.dumps(message).encode() + b"\n")
                with anyio.fail_after(30):
                    await made.wait()
                    os.write(p.client_out, json.dumps(cancelled(1)).encode() + b"\n")
                    await asked.wait()
                tasks.cancel_scope.cancel()
            assert removed.is_set()


def sleeping(uri: str, marks: str) -> int:
    """How many statements with these marks run."""
    with psycopg.connect(uri) as conn:
        row = conn.execute(
            "select count(*) from pg_stat_activity where state = 'active' and query ~ %s and pid <> pg_backend_pid()",
            [f"pg_sleep\\(5[{marks}]\\)"],
        ).fetchone()
    assert row is not None
    return int(row[0])


def until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.02)


async def test_calls_beyond_those_that_run_wait_and_can_be_given_up_and_pings_pass_them(
    plane: LocalPlane, branch: MadeBranch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdio_direct, "MOST_AT_ONCE", 2)
    with psycopg.connect(branch.uri, autocommit=True) as conn:
        conn.execute("create table written (n int)")

    def on_branch(number: int, sql: str) -> dict[str, Any]:
        return call(number, "run_sql", {"sql": sql, "branch": branch.name})

    def converse(client: Client) -> None:
        client.send(
            on_branch(1, "select pg_sleep(51)"),
            on_branch(2, "select pg_sleep(52)"),
            on_branch(3, "insert into written values (3)"),
            on_branch(4, "insert into written values (4)"),
            on_branch(5, "select pg_sleep(55)"),
            PING,
        )
        assert client.answer() == {"jsonrpc": "2.0", "id": "ping", "result": {}}
        until(lambda: sleeping(branch.uri, "12") == 2)
        assert sleeping(branch.uri, "5") == 0
        client.send(cancelled(3), cancelled(1))
        assert client.answer()["id"] == 4
        until(lambda: sleeping(branch.uri, "25") == 2)
        client.send(cancelled(2), cancelled(5))
        assert client.rest() == []

    await conversing(plane, converse)
    with psycopg.connect(branch.uri) as conn:
        assert conn.execute("select n from written").fetchall() == [(4,)]


async def test_calls_that_keep_the_server_busy_keep_no_prompt_from_being_answered(
    plane: LocalPlane, branch: MadeBranch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdio_direct, "MOST_AT_ONCE", 1)

    def converse(client: Client) -> None:
        client.send(call(1, "run_sql", {"sql": "select pg_sleep(50)", "branch": branch.name}))
        client.send(ask(2, "prompts/get", PROMPT), ask(3, "prompts/get", PROMPT), PING)
        assert [client.answer()["id"] for _ in range(3)] == ["ping", 2, 3]
        client.send(cancelled(1))
        assert client.rest() == []

    await conversing(plane, converse)


async def test_a_prompt_that_waits_is_given_up_and_the_next_one_is_answered(
    plane: LocalPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdio_direct, "MOST_AT_ONCE", 1)

    def converse(client: Client) -> None:
        asked = [ask(n, "prompts/get", PROMPT) for n in range(1, 6)]
        client.send(*asked, cancelled(2), cancelled(1), cancelled(4), cancelled(4), cancelled("no such"))
        assert [client.answer()["id"] for _ in range(2)] == [3, 5]
        assert client.rest() == []

    await conversing(plane, converse)


async def test_what_never_ran_is_answered_when_the_client_has_closed_its_end(
    plane: LocalPlane, branch: MadeBranch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdio_direct, "MOST_AT_ONCE", 1)
    monkeypatch.setattr(stdio_direct, "GRACE", 1.0)
    slow = call(1, "run_sql", {"sql": "select pg_sleep(60)", "branch": branch.name})
    found = await answers(
        plane_config(plane), directly, [hello(HANDSHAKES[-1]), INITIALIZED, slow, call(2, "query", {"sql": "select 1"})]
    )
    codes = [json.loads(found[number])["error"]["code"] for number in (1, 2)]
    assert codes == [stdio_direct.CONNECTION_CLOSED] * 2


async def test_who_waits_for_a_turn_when_the_client_has_closed_its_end_has_it(
    plane: LocalPlane, branch: MadeBranch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdio_direct, "MOST_AT_ONCE", 1)
    monkeypatch.setattr(stdio_direct, "GRACE", 1.5)
    asked = [call(n, "run_sql", {"sql": "select pg_sleep(0.7)", "branch": branch.name}) for n in range(4)]
    found = await answers(plane_config(plane), directly, [hello(HANDSHAKES[-1]), INITIALIZED, *asked])
    assert all(b'"result"' in found[number] for number in range(4)), found


async def test_the_pipe_is_not_read_while_too_much_waits(
    plane: LocalPlane, branch: MadeBranch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdio_direct, "MOST_AT_ONCE", 1)
    monkeypatch.setattr(stdio_direct, "MOST_WAITING", 2 * OVERHEAD)

    def converse(client: Client) -> None:
        client.send(call(1, "run_sql", {"sql": "select pg_sleep(1)", "branch": branch.name}))
        client.send(*(call(number, "query", {"sql": "select 1"}) for number in (2, 3)), PING)
        assert client.answer()["id"] == 1
        assert {answer["id"] for answer in client.rest()} == {2, 3, "ping"}

    await conversing(plane, converse)


def test_ten_thousand_calls_at_once_take_no_more_memory_than_a_few(tmp_path: Path) -> None:
    nowhere = {"NEON_API_KEY": "napi_x", "NEON_API_HOST": "http://127.0.0.1:9/api/v2"}
    env = clean_env(**nowhere, NEON_BRANCH_MCP_NEON_RETRY_BUDGET="600", NEON_BRANCH_MCP_AUDIT_ENABLED="false")
    pipe = subprocess.PIPE
    serve = [sys.executable, "-m", "neon_branch_mcp", "serve"]
    with subprocess.Popen(serve, stdin=pipe, stdout=pipe, cwd=tmp_path, env=env) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def memory(calls: int) -> int:
            """KiB in use with so many calls more, which take their time."""
            assert process.stdin is not None
            assert process.stdout is not None
            asked = [call(n, "list_projects", {}) for n in range(calls)]
            process.stdin.write(b"".join(json.dumps(m).encode() + b"\n" for m in (*asked, PING)))
            process.stdin.flush()
            while json.loads(process.stdout.readline())["id"] != "ping":
                pass
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
            return int(status.split("VmRSS:")[1].split()[0])

        deadline = threading.Timer(60, process.kill)
        deadline.start()
        begin = (hello(HANDSHAKES[-1]), call("wrong", "query", {}))  # the second is answered when the front is through
        process.stdin.write(b"".join(json.dumps(m).encode() + b"\n" for m in begin))
        process.stdin.flush()
        assert [json.loads(process.stdout.readline())["id"] for _ in begin] == ["greeting", "wrong"]
        few = memory(100)
        many = memory(10_000)
        process.kill()
        deadline.cancel()
    assert many - few < 40_000, (few, many)


def test_no_more_than_so_many_run_and_the_others_follow_in_their_order() -> None:
    begun: list[int] = []
    lane = Lane(2)
    for number in range(6):
        lane.enter(number % 5, 10, lambda n=number: begun.append(n))  # type: ignore[misc]  # mypy reads no default of a lambda
    assert (begun, len(lane), lane.size) == ([0, 1], 6, 4 * (10 + OVERHEAD))
    assert lane.give_up(3)
    assert not lane.give_up(3)
    assert not lane.give_up(1), "it runs"
    lane.leave()
    assert (begun, lane.size) == ([0, 1, 2], 2 * (10 + OVERHEAD))
    assert lane.clear() == [4, 0]
    lane.leave()
    lane.leave()
    assert (begun, len(lane), lane.size) == ([0, 1, 2], 0, 0)


@pytest.mark.parametrize(
    ("message", "number"),
    [
        (b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"x":"%s"}}', 7),
        (b'{"method":"tools/call","params":{"x":"%s"},"jsonrpc":"2.0","id":"a"}', "a"),
        (b'{"jsonrpc":"2.0","method":"tools/call","params":{"x":"%s"},"id":7}', 7),
        (b'{"method":"tools/call","params":{"x":"%s"},"id":-7,"jsonrpc":"2.0"}', -7),
        (b'{"jsonrpc":"2.0","method":"tools/call","params":{"x":"%s","id":7}}', None),
        (b'{"jsonrpc":"2.0","params":{"x":"%s"},"\\"id":7}', None),
        (b'{"jsonrpc":"2.0","params":{"x":"%s"},"id":true}', None),
    ],
)
async def test_a_message_that_is_too_long_is_answered_to_its_id_and_not_kept(
    message: bytes, number: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdio_pipe, "MOST_LINE", 100_000)
    with pipes() as p:
        data = message % (b"x" * 1_000_000) + b'\n{"next":1}\n'
        writer = threading.Thread(target=_write_all, args=(p, data))
        writer.start()
        lines = [
            line async for line in lines_of(Handover(p.server_in, p.server_out, (), b"", frozenset(), closed=False))
        ]
        writer.join(5)
    assert len(lines[0]) < 100_000 + stdio_pipe.CHUNK + 2 * stdio_pipe.END
    assert lines[1] == b'{"next":1}'
    found = read_message(lines[0])
    assert isinstance(found, Unreadable)
    assert (found.code, found.id) == (stdio_pipe.INVALID_REQUEST, number)
    assert "more than 100,000 bytes" in found.message


def _write_all(p: Pipes, data: bytes) -> None:
    while data:
        data = data[os.write(p.client_out, data) :]
    p.close(p.client_out)


@pytest.mark.parametrize("line", [b"x" * 3_000_000, b'{"jsonrpc":"2.0","method":"m"}\n' * 100_000], ids=["one", "many"])
def test_the_front_reads_no_more_than_it_will_keep(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "MOST_KEPT", 1_000_000)
    assert SNAPSHOT is not None
    with pipes() as p:
        writer = threading.Thread(target=_write_all, args=(p, line))
        writer.start()
        ready, tell = os.pipe()

        def begin() -> None:
            threading.Timer(0.5, os.close, [tell]).start()

        left = Front(SNAPSHOT, p.server_in, p.server_out).run(ready, begin)
        os.close(ready)
        assert not left.closed
        assert 1_000_000 < sum(map(len, left.lines)) + len(left.rest) < 1_000_000 + 2 * (1 << 16)
        _drain(p)
        writer.join(5)


def _drain(p: Pipes) -> None:
    while os.read(p.server_in, 1 << 20):
        pass
