"""How many calls of Neon's API a tool costs: the official server makes three for each statement."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from mcp import Client

from neon_branch_mcp.app import Caller, open_app
from neon_branch_mcp.local.plane import LocalPlane
from neon_branch_mcp.neon import branches
from neon_branch_mcp.server import build_server, session_caller
from tests.conftest import MadeBranch, PlaneApi, plane_config

pytestmark = pytest.mark.anyio

Call = Callable[[str, str], Awaitable[tuple[str, int]]]


@asynccontextmanager
async def served(plane: LocalPlane, branch: MadeBranch) -> AsyncIterator[Call]:
    """Calls a tool with SQL on `branch`: the answer's text, and how many calls of the API it took."""
    async with open_app(plane_config(plane)) as app, Client(build_server(app, session_caller(Caller()))) as client:

        async def call(tool: str, sql: str) -> tuple[str, int]:
            before = sum(app.stats().api_requests.values())
            result = await client.call_tool(tool, {"sql": sql, "branch": branch.name})
            return result.content[0].text, sum(app.stats().api_requests.values()) - before  # type: ignore[union-attr]

        yield call


async def test_a_warm_read_costs_none_and_a_write_one(plane: LocalPlane, branch: MadeBranch) -> None:
    async with served(plane, branch) as call:
        await call("query", "SELECT 1")
        assert (await call("query", "SELECT 1"))[1] == 0
        assert (await call("run_sql", "CREATE TABLE t (a int)"))[1] == 1


async def test_a_write_costs_one_however_old_what_is_known_may_be(
    plane: LocalPlane, branch: MadeBranch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(branches, "FACTS_TTL", 0.0)
    async with served(plane, branch) as call:
        await call("run_sql", "CREATE TABLE t (a int)")
        assert (await call("run_sql", "INSERT INTO t VALUES (1)"))[1] == 1


async def test_the_computes_are_asked_for_only_by_a_text_that_holds_the_id_of_one(
    plane: LocalPlane, branch: MadeBranch, api: PlaneApi
) -> None:
    computes = api("GET", f"{api.project}/endpoints")["endpoints"]
    other = next(e["id"] for e in computes if e["branch_id"] != branch.id)
    async with served(plane, branch) as call:
        assert (await call("run_sql", "SELECT 1"))[0].startswith("{")
        text, cost = await call("run_sql", f"SELECT '{other.upper()}'")
        assert "an endpoint of another branch" in text
        assert cost == 2
