"""Two replicas behind a balancer: any of them answers any request, and one may go at any moment."""

import itertools
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from anyio.abc import Process, SocketStream

from neon_branch_mcp.local.plane import LocalPlane

from .http_support import HEADERS

pytestmark = pytest.mark.anyio

CALLERS = 6
QUERY = {"name": "query", "arguments": {"sql": "SELECT count(*) FROM users"}}


@dataclass(frozen=True)
class Replica:
    """A server in a process of its own."""

    process: Process
    port: int


@asynccontextmanager
async def replica(plane: LocalPlane) -> AsyncIterator[Replica]:
    """A server over the session's plane, ended by SIGKILL if it still runs."""
    command = [sys.executable, "-m", "neon_branch_mcp", "serve", "--http", "127.0.0.1:0", "--local"]
    env = {**os.environ, "NEON_BRANCH_MCP_AUDIT_ENABLED": "false"}
    async with await anyio.open_process([*command, "--data-dir", str(plane.data_dir)], env=env) as process:
        try:
            assert process.stderr is not None
            said = b""
            with anyio.fail_after(60):
                while b"/mcp" not in said:
                    said += await process.stderr.receive()
            url = next(word for word in said.decode().split() if word.startswith("http://"))
            port = urlsplit(url).port
            assert port is not None
            yield Replica(process, port)
        finally:
            if process.returncode is None:
                process.kill()


@dataclass
class Balancer:
    """Takes connections in turn to the replicas, and past those that refuse: what is under way is lost with its replica."""

    ports: Sequence[int]
    turn: Iterator[int] = field(default_factory=itertools.count)

    async def serve(self, client: SocketStream) -> None:
        """One connection of a client."""
        async with client:
            upstream = await self._connect()
            async with upstream, anyio.create_task_group() as tasks:
                tasks.start_soon(_pump, client, upstream)
                await _pump(upstream, client)
                tasks.cancel_scope.cancel()

    async def _connect(self) -> SocketStream:
        first = next(self.turn)
        for number in range(len(self.ports)):
            try:
                return await anyio.connect_tcp("127.0.0.1", self.ports[(first + number) % len(self.ports)])
            except OSError:
                continue
        raise AssertionError("no replica is left")


async def _pump(source: SocketStream, sink: SocketStream) -> None:
    try:
        async for chunk in source:
            await sink.send(chunk)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        return


@dataclass
class Outcome:
    """What came of the calls, and how many were under way at each moment."""

    good: int = 0
    failed: int = 0
    open: int = 0


@asynccontextmanager
async def load(plane: LocalPlane, count: int = 2) -> AsyncIterator[tuple[list[Replica], Outcome]]:
    """Callers that call on and on through a balancer, each call over a connection of its own."""
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(replica(plane)) for _ in range(count)]
        listener = await stack.enter_async_context(await anyio.create_tcp_listener(local_host="127.0.0.1"))
        balancer = Balancer([r.port for r in replicas])
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        found = Outcome()

        async def caller() -> None:
            while True:
                found.open += 1
                is_good = await _call(f"http://127.0.0.1:{port}/mcp?projectId={plane.project_id}")
                found.open -= 1
                found.good += is_good
                found.failed += not is_good

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, balancer.serve)
            for _ in range(CALLERS):
                tasks.start_soon(caller)
            with anyio.fail_after(60):
                while found.good < 4 * CALLERS:  # noqa: ASYNC110 - a count, not an event
                    await anyio.sleep(0.05)
            yield replicas, found
            tasks.cancel_scope.cancel()


async def _call(url: str) -> bool:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": QUERY}
    try:
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.post(url, content=json.dumps(body), headers=HEADERS)
    except httpx.TransportError:
        return False
    return answer.status_code == 200 and answer.json()["result"]["isError"] is False


async def _more(found: Outcome, calls: int) -> None:
    until = found.good + calls
    with anyio.fail_after(60):
        while found.good < until:  # noqa: ASYNC110 - a count, not an event
            await anyio.sleep(0.05)


async def test_one_of_two_replicas_is_killed_in_the_middle_of_the_load(plane: LocalPlane) -> None:
    async with load(plane) as (replicas, found):
        assert found.failed == 0
        under_way = found.open
        replicas[0].process.send_signal(signal.SIGKILL)
        await replicas[0].process.wait()
        await _more(found, 5 * CALLERS)
        assert found.failed <= under_way
        lost = found.failed
        await _more(found, 5 * CALLERS)
        assert found.failed == lost, "calls failed long after the replica was gone"


async def test_a_replica_that_is_stopped_ends_what_it_began(plane: LocalPlane) -> None:
    async with load(plane) as (replicas, found):
        replicas[0].process.send_signal(signal.SIGTERM)
        with anyio.fail_after(40):
            assert await replicas[0].process.wait() == 0
        await _more(found, 5 * CALLERS)
        assert found.failed == 0


async def test_what_is_asked_over_a_connection_that_was_there_before_the_stop_is_answered(plane: LocalPlane) -> None:
    async with replica(plane) as stopped, await anyio.connect_tcp("127.0.0.1", stopped.port) as early:
        stopped.process.send_signal(signal.SIGTERM)
        with anyio.fail_after(20):
            while await _takes_connections(stopped):  # noqa: ASYNC110 - another process, no event
                await anyio.sleep(0.01)
        await early.send(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        with anyio.fail_after(20):
            answer = b"".join([chunk async for chunk in early])
            assert await stopped.process.wait() == 0
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer


async def _takes_connections(server: Replica) -> bool:
    try:
        await (await anyio.connect_tcp("127.0.0.1", server.port)).aclose()
    except OSError:
        return False
    return True
