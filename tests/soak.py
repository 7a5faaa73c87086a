"""Many callers at once over HTTP for a while, for `tools/soak`: errors, memory over time, sessions left in Postgres.

Prints a JSON summary; exits 1 for an error of ours, growing memory, or a session that stays.
"""

import argparse
import json
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import anyio
import httpx
import psutil
import psycopg

from tests.conftest import data_folder
from tests.stdio_client import clean_env

HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
IDLE = 3
CALLS: tuple[tuple[int, str, dict[str, Any]], ...] = (
    (5, "query", {"sql": "SELECT count(*) FROM orders WHERE user_id < 100"}),
    (3, "query", {"sql": "SELECT id, email FROM users ORDER BY id LIMIT 20", "branch": "soak"}),
    (3, "run_sql", {"sql": "INSERT INTO soak_marks VALUES (1)", "branch": "soak"}),
    (1, "run_sql", {"sql": "DROP TABLE users"}),
    (1, "list_branches", {}),
    (1, "describe_schema", {"branch": "soak"}),
)


class Caller:
    """One of many, with its own connection."""

    def __init__(self, url: str) -> None:
        self.http = httpx.AsyncClient(headers=HEADERS, timeout=120)
        self._url = url

    async def call(self, tool: str, arguments: dict[str, Any]) -> tuple[bool, str, Any]:
        """Whether it is an error, its text, and its structured content."""
        params = {"name": tool, "arguments": arguments}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        answer = (await self.http.post(self._url, json=body)).json()
        if "result" not in answer:
            return True, f"[protocol] {answer}", None
        result = answer["result"]
        return bool(result.get("isError")), result["content"][0]["text"], result.get("structuredContent")


async def load(url: str, callers: int, seconds: float, process: psutil.Process) -> dict[str, Any]:
    done: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    memory: list[int] = []
    until = time.monotonic() + seconds
    weights = [weight for weight, _, _ in CALLS]

    async def one() -> None:
        caller = Caller(url)
        async with caller.http:
            while time.monotonic() < until:
                _, tool, arguments = random.choices(CALLS, weights)[0]
                failed, text, _ = await caller.call(tool, arguments)
                expected = arguments.get("sql", "").startswith("DROP")
                if failed != expected or (expected and not text.startswith("[refused]")):
                    failures[f"{tool}: {text[:160]}"] += 1
                done[tool] += 1

    async def watch() -> None:
        while time.monotonic() < until:
            await anyio.sleep(seconds / 12)
            memory.append(process.memory_info().rss >> 20)

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        for _ in range(callers):
            group.start_soon(one)
    return {"calls": done, "per_second": round(done.total() / seconds), "failures": failures, "memory_mb": memory}


def sessions(uri: str) -> list[str]:
    """Application names of our sessions on that branch, but the asker's."""
    with psycopg.connect(uri, application_name="soak") as conn:
        sql = "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'neon-branch-mcp%'"
        return [row[0] for row in conn.execute(sql).fetchall()]


async def soak(port: int, callers: int, seconds: float, process: psutil.Process) -> bool:
    url = f"http://127.0.0.1:{port}/mcp"
    setup = Caller(url)
    async with setup.http:
        for _ in range(600):
            try:
                await setup.http.get(f"http://127.0.0.1:{port}/healthz")
                break
            except httpx.TransportError:
                await anyio.sleep(0.1)
        await setup.call("create_branch", {"name": "soak"})
        await setup.call("run_sql", {"sql": "CREATE TABLE soak_marks (mark int)", "branch": "soak"})
        found = await load(url, callers, seconds, process)
        _, _, given = await setup.call("get_connection_string", {"branch": "soak"})
        await anyio.sleep(IDLE * 3)
        left = sessions(given["uri"])
        with psycopg.connect(given["uri"]) as conn:
            marks = conn.execute("SELECT count(*) FROM soak_marks").fetchone()
    found |= {"callers": callers, "seconds": seconds, "sessions_left": left, "marks": (marks or (0,))[0]}
    sys.stdout.write(json.dumps(found) + "\n")
    # The first samples hold the warming up; after that memory stays where it is, give or take.
    settled = found["memory_mb"][3:]
    return not (found["failures"] or left or (settled and settled[-1] > settled[0] * 1.15 + 8))


def main() -> None:
    parser = argparse.ArgumentParser(prog="tools/soak", description=__doc__)
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    asked = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with data_folder() as folder:
        env = clean_env(NEON_BRANCH_MCP_SQL_POOL_IDLE=str(IDLE), NEON_BRANCH_MCP_AUDIT_PATH=f"{folder}/audit.jsonl")
        line = [sys.executable, "-m", "neon_branch_mcp", "serve", "--http", f"127.0.0.1:{port}", "--local"]
        server = subprocess.Popen([*line, "--data-dir", f"{folder}/data"], env=env, stderr=subprocess.PIPE)
        try:
            good = anyio.run(soak, port, asked.callers, asked.seconds, psutil.Process(server.pid))
        finally:
            server.terminate()
            _, told = server.communicate(timeout=60)
            sys.stdout.write(told.decode()[-2000:])
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
