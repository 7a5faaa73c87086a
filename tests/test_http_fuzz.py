"""A thousand random bad requests: each gets an answer that blames the client, and the server is as before."""

import gc
import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from neon_branch_mcp.http.tokens import hashed
from neon_branch_mcp.local.plane import LocalPlane

from .conftest import plane_config
from .http_support import HEADERS, rpc, running

pytestmark = pytest.mark.anyio

REQUESTS = 1000
TOKEN = "fuzz-token"
WORDS = ["tools/call", "tools/list", "initialize", "ping", "resources/read", "prompts/get", "x", "", "\u0000", "é" * 40]
JUNK: list[Any] = [
    None,
    True,
    -1,
    2**63,
    1e308,
    "",
    "x" * 3000,
    [],
    {},
    [[]],
    {"a": {"b": [None] * 50}},
    "\ud83d\ude00",
]
VERSIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", "1999-01-01", "", "x" * 200]
TOOLS = ["query", "run_sql", "create_branch", "delete_branch", "get_connection_string", "no_such_tool"]


class Maker:
    """Requests that are wrong in one way or several; the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def request(self, url: str) -> dict[str, Any]:
        """Arguments for httpx."""
        chance = self._random.random
        choice = self._random.choice
        headers: dict[str, Any] = {**HEADERS, "authorization": f"Bearer {TOKEN}"}
        if chance() < 0.5:
            headers["mcp-protocol-version"] = choice(VERSIONS)
        for name in self._random.sample([*headers, "mcp-session-id", "mcp-method", "last-event-id", "origin"], 2):
            if chance() < 0.3:
                headers[name] = choice(["", "x", "*/*", "application/json", "text/plain", "Bearer x", "%", "a" * 500])
        query = choice(
            ["", "", "", "?readonly=x", "?projectId=%00", "?category=", "?x", "?" + "a=b&" * 50, "?readonly=true"]
        )
        return {
            "method": choice(["POST"] * 12 + ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]),
            "url": url + choice(["/mcp"] * 10 + ["/", "/mcp/x", "/metrics", "/%2e%2e/", "/.well-known/x"]) + query,
            "headers": headers,
            "content": self._body(),
        }

    def _body(self) -> bytes:
        chance, choice = self._random.random, self._random.choice
        if chance() < 0.15:
            return self._random.randbytes(self._random.randrange(200))
        message: Any = {
            "jsonrpc": "2.0",
            "id": self._random.randrange(99),
            "method": choice(WORDS),
            "params": self._params(),
        }
        for name in ("jsonrpc", "id", "method", "params"):
            if chance() < 0.2:
                message[name] = choice(JUNK)
            elif chance() < 0.1:
                del message[name]
        if chance() < 0.05:
            message = [message] * 3
        text = json.dumps(message, ensure_ascii=chance() < 0.5).encode(errors="surrogatepass")
        return text[: self._random.randrange(len(text))] if chance() < 0.1 else text

    def _params(self) -> Any:
        chance, choice = self._random.random, self._random.choice
        if chance() < 0.2:
            return choice(JUNK)
        arguments = {choice(["sql", "branch", "name", "max_rows", "params", "zzz"]): choice(JUNK) for _ in range(3)}
        params: dict[str, Any] = {"name": choice(TOOLS), "arguments": choice([arguments, arguments, *JUNK])}
        if chance() < 0.3:
            params["_meta"] = choice([*JUNK, {"progressToken": choice(JUNK)}])
        return params


def memory() -> int:
    """Resident bytes of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_bad_requests_do_no_harm(plane: LocalPlane) -> None:
    # Read-only, so that a request that happens to be good changes nothing for other tests.
    tokens = [{"name": "fuzz", "hash": hashed(TOKEN), "read_only": True}]
    config = plane_config(plane, http={"auth": "tokens", "tokens": tokens, "calls_per_minute": 0})
    statuses: Counter[int] = Counter()

    async def send(client: httpx.AsyncClient, request: dict[str, Any]) -> None:
        try:
            answer = await client.request(**request)
        except (httpx.LocalProtocolError, UnicodeEncodeError):
            return  # httpx itself does not send such a thing
        statuses[answer.status_code] += 1
        assert answer.status_code < 500, (request, answer.status_code, answer.text[:500])
        assert "Traceback" not in answer.text
        assert str(Path(__file__).parent.parent) not in answer.text

    async def round_of(base: str, seeds: range) -> None:
        limiter = anyio.CapacityLimiter(20)

        async def one(client: httpx.AsyncClient, seed: int) -> None:
            async with limiter:
                await send(client, Maker(seed).request(base))

        async with httpx.AsyncClient(timeout=60) as client, anyio.create_task_group() as tasks:
            for seed in seeds:
                tasks.start_soon(one, client, seed)

    async with running(config) as server:
        await round_of(server.base, range(REQUESTS // 2))
        before, open_files = memory(), len(os.listdir("/proc/self/fd"))
        await round_of(server.base, range(REQUESTS // 2, REQUESTS))
        assert memory() - before < 20_000_000
        # Some connections to Postgres may be kept, and some be closing; the clients' are gone.
        assert len(os.listdir("/proc/self/fd")) <= open_files + 20
        async with rpc(server, TOKEN) as good:
            assert (await good.call("query", sql="SELECT 1"))["rows"] == [[1]]
            counted = (await good.client.get(f"{server.base}/metrics")).text
        assert "neon_branch_mcp_http_requests_open 1.0" in counted
        assert "neon_branch_mcp_tool_calls_running 0.0" in counted
    assert {400, 401, 404, 405, 406, 415} <= set(statuses), statuses
