"""Resources, completions, progress and cancellation, through the MCP client, on a real branch."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import psycopg
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import ResourceTemplateReference, TextResourceContents

from neon_branch_mcp.app import Caller, open_app
from neon_branch_mcp.local.plane import LocalPlane
from neon_branch_mcp.server import build_server, session_caller

from .conftest import MadeBranch, plane_config

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def served(plane: LocalPlane) -> AsyncIterator[Client]:
    async with open_app(plane_config(plane)) as app, Client(build_server(app, session_caller(Caller()))) as client:
        yield client


async def read(client: Client, uri: str) -> str:
    contents = (await client.read_resource(uri)).contents[0]
    assert isinstance(contents, TextResourceContents)
    return contents.text


async def test_resources_say_what_the_tools_say_and_branch_names_complete(
    plane: LocalPlane, branch: MadeBranch
) -> None:
    reference = ResourceTemplateReference(type="ref/resource", uri="neon://branches/{branch}/schema")
    async with served(plane) as client:
        branches = json.loads(await read(client, "neon://branches"))
        schema = await read(client, f"neon://branches/{branch.name}/schema")
        told = await client.call_tool("describe_schema", {"branch": branch.name})
        completed = await client.complete(reference, {"name": "branch", "value": branch.name[:-1]})
        with pytest.raises(MCPError, match=r"\[not_found\].*nowhere.*main"):
            await read(client, "neon://branches/nowhere/schema")
    assert {"main", branch.name} <= {b["name"] for b in branches}
    assert told.structured_content is not None
    assert schema == told.structured_content["schema"]
    assert branch.name in completed.completion.values


async def test_a_cancelled_call_stops_its_statement_in_postgres(plane: LocalPlane, branch: MadeBranch) -> None:
    async with served(plane) as client, await psycopg.AsyncConnection.connect(branch.uri, autocommit=True) as other:

        async def sleeping() -> int:
            found = await other.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(97)%' AND state = 'active' AND pid <> pg_backend_pid()"
            )
            row = await found.fetchone()
            assert row is not None
            return int(row[0])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "run_sql", {"branch": branch.name, "sql": "SELECT pg_sleep(97)"})
            await until(sleeping, 1)
            tasks.cancel_scope.cancel()
        await until(sleeping, 0)


async def until(count: Callable[[], Awaitable[int]], wanted: int) -> None:
    with anyio.fail_after(20):
        while await count() != wanted:  # noqa: ASYNC110 - Postgres sends no event
            await anyio.sleep(0.05)


async def test_what_takes_its_time_reports_progress(plane: LocalPlane) -> None:
    told: list[str | None] = []

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)

    async with served(plane) as client:
        made = await client.call_tool("create_branch", {"name": "progress"}, progress_callback=progress)
        await client.call_tool("delete_branch", {"branch": "progress"})
    assert not made.is_error
    assert told
    assert all(told)
