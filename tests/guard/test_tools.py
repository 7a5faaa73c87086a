"""Attacks the way an agent sends them: through every tool and parameter that takes text, on a branch that is read-only."""

from collections.abc import AsyncIterator, Iterator

import pytest
from mcp import Client

from neon_branch_mcp.app import Caller, open_app
from neon_branch_mcp.local.plane import LocalPlane
from neon_branch_mcp.server import build_server, session_caller

from ..conftest import PlaneApi, Scratch, plane_config
from .attacks import attacks
from .world import Probe, rest, world

pytestmark = pytest.mark.anyio
EVERY = 37
"""One attack in so many; all of them are played by `tools/attack` against the guard itself."""
DATABASE = "trapped_tools"
# What has to be executed to do harm, and what reads in one tool may be explained in another.
NO_ATTACK = {"Z10", "I21", "indirect-46", "indirect-47"}


@pytest.fixture
def traps(api: PlaneApi, scratch: Scratch) -> Iterator[Probe]:
    """A database of traps that the API knows, on a branch that a pattern makes read-only."""
    databases = f"{api.project}/branches/{scratch.branch_id}/databases"
    api("POST", databases, json={"database": {"name": DATABASE, "owner_name": "shop_owner"}})
    with world(scratch.uri.replace("/shop?", f"/{DATABASE}?"), scratch.superuser_uri(DATABASE)) as probe:
        yield probe
    api("DELETE", f"{databases}/{DATABASE}")


@pytest.fixture
async def tools(plane: LocalPlane, traps: Probe) -> AsyncIterator[Client]:
    settings = {"policy": {"read_only": ["scratch"]}, "sql": {"read_timeout": 4, "lock_timeout": 1}}
    config = plane_config(plane, **settings)
    async with open_app(config) as app, Client(build_server(app, session_caller(Caller()))) as client:
        yield client


async def test_no_attack_through_any_tool_leaves_anything_or_gets_an_answer(tools: Client, traps: Probe) -> None:
    place = {"branch": "scratch", "database": DATABASE}
    before = traps.state()
    answered = set()
    waiting = [attack for attack in attacks() if attack.kind != "parser" and attack.id not in NO_ATTACK][::EVERY]
    for attack in waiting:
        text = attack.calls[-1].replace("{pid}", str(traps.bystander.info.backend_pid))
        for tool, more in (
            ("run_sql", {}),
            ("query", {"params": ["1"]}),
            ("query", {}),
            ("explain_sql", {"analyze": True}),
        ):
            if not (await tools.call_tool(tool, {"sql": text, **place, **more})).is_error:
                answered.add((tool, attack.id))
    await rest()
    assert traps.state().changed_since(before) == set()
    assert answered == set()


OTHER_WAYS: tuple[tuple[str, dict[str, object]], ...] = (
    ("apply_migration", {"name": "evil", "sql": "DROP TABLE canary"}),
    ("apply_migration", {"name": "evil", "sql": "DROP TABLE canary", "dry_run": True}),
    ("apply_migration", {"name": "evil'; DROP TABLE canary; --", "sql": "SELECT 1"}),
    ("get_connection_string", {}),
    ("reset_branch", {}),
    ("delete_branch", {}),
    ("explain_sql", {"sql": "ANALYZE DELETE FROM canary"}),
    ("explain_sql", {"sql": "DELETE FROM canary; SELECT 1"}),
    ("explain_sql", {"sql": "SELECT trap(1)"}),
    ("explain_sql", {"sql": "INSERT INTO canary (v) SELECT trap(4970)", "analyze": True}),
    ("run_sql", {"sql": "SELECT $1::trapped", "params": [5]}),
    ("run_sql", {"sql": "SELECT takes_trapped($1)", "params": ["5"]}),
    ("run_sql", {"sql": "SELECT * FROM holds_pairs WHERE p = $1", "params": ["(5,1)"]}),
    ("describe_schema", {"objects": ["canary'; DROP TABLE canary; --"]}),
    ("describe_schema", {"schemas": ["public'); DROP TABLE canary; --"]}),
)


async def test_no_other_parameter_is_a_way_in(tools: Client, traps: Probe) -> None:
    before = traps.state()
    for tool, arguments in OTHER_WAYS:
        database = {} if tool in ("reset_branch", "delete_branch") else {"database": DATABASE}
        result = await tools.call_tool(tool, {"branch": "scratch", **database, **arguments})
        assert result.is_error or tool == "describe_schema", (tool, arguments)
    await rest()
    assert traps.state().changed_since(before) == set()
