"""A password that somebody reset at Neon: the next call logs in with the new one, and the agent sees nothing of it."""

from pathlib import Path

import pytest
from mcp import Client

from neon_branch_mcp.app import Caller, open_app
from neon_branch_mcp.local.plane import LocalPlane
from neon_branch_mcp.server import build_server, session_caller
from tests.cloud import open_cloud
from tests.conftest import plane_config

pytestmark = pytest.mark.anyio


async def test_reads_and_writes_go_on_after_the_password_was_reset(plane: LocalPlane, tmp_path: Path) -> None:
    config = plane_config(plane, audit={"path": tmp_path / "audit.jsonl"})
    calls = (("query", "SELECT 1"), ("run_sql", "CREATE TABLE t (a int)"), ("query", "SELECT 1"))
    async with (
        open_app(config) as app,
        Client(build_server(app, session_caller(Caller()))) as client,
        open_cloud(plane) as other,
    ):
        made = await client.call_tool("create_branch", {"name": "relogin"})
        assert not made.is_error
        branch = await other.branches.resolve(other.project_id, "relogin")
        try:
            for tool, sql in calls:
                _, operations = await other.client.reset_role_password(branch.project_id, branch.id, "shop_owner")
                await other.client.wait(operations)
                result = await client.call_tool(tool, {"sql": sql, "branch": "relogin"})
                assert not result.is_error, result.content
        finally:
            await client.call_tool("delete_branch", {"branch": "relogin"})
    begun = (tmp_path / "audit.jsonl").read_text().count('"event":"begin"')
    assert begun == 3, "create, one write, delete: logging in again is no second write"
