"""A password that somebody reset at Neon: the next call logs in with the new one, and the agent sees nothing of it."""

from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client

from neon_branch_mcp.app import Caller, open_app
from neon_branch_mcp.config import Secret
from neon_branch_mcp.local.plane import LocalPlane
from neon_branch_mcp.server import build_server, session_caller
from tests.cloud import open_cloud
from tests.conftest import plane_config

pytestmark = pytest.mark.anyio


CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("query", {"sql": "SELECT 1"}),
    ("run_sql", {"sql": "CREATE TABLE t (a int)"}),
    ("explain_sql", {"sql": "SELECT 1"}),
    ("describe_schema", {"detail": "names"}),
    ("apply_migration", {"name": "add", "sql": "ALTER TABLE t ADD b int"}),
    ("compare_schema", {}),
    ("verify_migration", {"base": "main"}),
    ("describe_branch", {}),
)


async def test_every_tool_goes_on_after_the_password_was_reset(plane: LocalPlane, tmp_path: Path) -> None:
    config = plane_config(plane, audit={"path": tmp_path / "audit.jsonl"})
    async with (
        open_app(config) as app,
        Client(build_server(app, session_caller(Caller()))) as client,
        open_cloud(plane) as other,
    ):
        made = await client.call_tool("create_branch", {"name": "relogin"})
        assert not made.is_error
        branch = await other.branches.resolve(other.project_id, "relogin")
        try:
            for tool, arguments in CALLS:
                _, operations = await other.client.reset_role_password(branch.project_id, branch.id, "shop_owner")
                await other.client.wait(operations)
                result = await client.call_tool(tool, {"branch": "relogin", **arguments})
                assert not result.is_error, (tool, result.content)
        finally:
            await client.call_tool("delete_branch", {"branch": "relogin"})
    begun = (tmp_path / "audit.jsonl").read_text().count('"event":"begin"')
    assert begun == 4, "create, two writes, delete: logging in again is no second write"


async def test_sessions_that_are_refused_together_ask_for_the_password_once(plane: LocalPlane) -> None:
    async with open_cloud(plane) as cloud, open_cloud(plane) as other:
        made = await cloud.branches.create(cloud.project_id, name="relogin-once")
        database = made.databases[0]
        old = await cloud.branches.conninfo(made.branch, database)
        _, operations = await other.client.reset_role_password(cloud.project_id, made.branch.id, "shop_owner")
        await other.client.wait(operations)
        found: list[Secret] = []

        async def refused() -> None:
            found.append(await cloud.branches.renewed(made.branch, database, old))

        before = len(cloud.proxy.log)
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(refused)
        assert len(cloud.proxy.log) - before == 1
        assert len(set(found)) == 1
        assert old not in found
        await cloud.branches.delete(made.branch)
