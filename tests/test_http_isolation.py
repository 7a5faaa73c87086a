"""Many callers on one server: nobody sees another's data, whatever they do at the same time."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import anyio
import pytest

from neon_branch_mcp.config import Config
from neon_branch_mcp.local.plane import LocalPlane

from .conftest import PlaneApi
from .http_support import Running, key_gate, listening, rpc, running

pytestmark = pytest.mark.anyio

PROJECTS, KEYS_EACH, CALLS_EACH = 3, 4, 8


@dataclass(frozen=True)
class Team:
    """A project, the keys that reach it, and the mark in its database that is nobody else's."""

    project_id: str
    keys: tuple[str, ...]
    branch: str
    mark: str


@pytest.fixture(scope="module")
def teams(api: PlaneApi) -> list[Team]:
    made = []
    for number in range(PROJECTS):
        name = f"team-{number}"
        created = api("POST", "/projects", json={"project": {"name": name}})
        project_id, mark = created["project"]["id"], f"mark of {name}"
        made.append(Team(project_id, tuple(f"napi_{name}_{k}" for k in range(KEYS_EACH)), "work", mark))
    return made


@pytest.fixture
async def server(plane: LocalPlane, teams: list[Team]) -> AsyncIterator[Running]:
    """One server for all teams; each caller brings a key of its own."""
    reach = {key: frozenset({team.project_id}) for team in teams for key in team.keys}
    async with listening(key_gate(plane, reach)) as neon:
        config = Config.model_validate(
            {
                "neon": {"api_host": f"{neon}/api/v2"},
                "http": {"auth": "neon-api-key"},
                "audit": {"enabled": False},
            }
        )
        async with running(config) as started:
            yield started


async def prepare(server: Running, team: Team) -> None:
    """A branch of the team with its mark on it."""
    async with rpc(server, team.keys[0]) as client:
        if team.branch not in {b["name"] for b in (await client.call("list_branches"))["branches"]}:
            await client.call("create_branch", name=team.branch)
            await client.call("run_sql", branch=team.branch, sql="CREATE TABLE mark (value text)")
            await client.call("run_sql", branch=team.branch, sql=f"INSERT INTO mark VALUES ('{team.mark}')")


async def test_many_callers_at_once_each_see_their_own(server: Running, teams: list[Team]) -> None:
    for team in teams:
        await prepare(server, team)
    seen: list[str] = []

    async def work(team: Team, key: str) -> None:
        async with rpc(server, key, modern=key.endswith("1")) as client:
            for number in range(CALLS_EACH):
                assert [p["id"] for p in (await client.call("list_projects"))["projects"]] == [team.project_id]
                # The branches of all teams have the same names: only the caller tells them apart.
                found = await client.call("query", branch=team.branch, sql="SELECT value FROM mark")
                assert found["rows"] == [[team.mark]]
                other = teams[(teams.index(team) + 1 + number % (PROJECTS - 1)) % PROJECTS]
                refused = await client.error("query", project_id=other.project_id, branch="work", sql="SELECT 1")
                assert other.mark not in refused
                assert "[not_found]" in refused
                seen.append(key)

    async with anyio.create_task_group() as tasks:
        for team in teams:
            for key in team.keys:
                tasks.start_soon(work, team, key)
    assert len(seen) == PROJECTS * KEYS_EACH * CALLS_EACH
    assert server.app.stats().workspaces == PROJECTS * KEYS_EACH


async def test_what_one_session_leaves_behind_the_next_does_not_find(server: Running, teams: list[Team]) -> None:
    """Two keys of one project work on one branch: whatever a caller set in its session is gone with the call."""
    team = teams[0]
    await prepare(server, team)
    async with rpc(server, team.keys[0]) as first, rpc(server, team.keys[1]) as second:
        left = "SELECT set_config('my.secret', 'of the first', false); CREATE TEMP TABLE mine AS SELECT 1; PREPARE p AS SELECT 1"
        await first.call("run_sql", branch=team.branch, sql=left)
        look = "SELECT coalesce(current_setting('my.secret', true), ''), to_regclass('pg_temp.mine'), count(*) FROM pg_prepared_statements"
        for client in (first, second):
            for tool in ("query", "run_sql"):
                assert (await client.call(tool, branch=team.branch, sql=look))["rows"] == [["", None, 0]]


async def test_connections_are_not_shared_between_keys(server: Running, teams: list[Team]) -> None:
    team = teams[0]
    await prepare(server, team)
    backends: dict[str, set[int]] = {}
    for _ in range(3):
        for key in team.keys:
            async with rpc(server, key) as client:
                found = await client.call("query", branch=team.branch, sql="SELECT pg_backend_pid()")
                backends.setdefault(key, set()).add(found["rows"][0][0])
    assert sum(len(pids) for pids in backends.values()) == len(set().union(*backends.values()))


async def test_a_key_that_neon_does_not_take_opens_nothing(server: Running) -> None:
    for key in ("napi_unknown", "napi_team-0_0x", "x"):
        async with rpc(server, key) as client:
            assert (await client.send("tools/list")).status_code == 401
    assert server.app.stats().workspaces == 0


async def test_no_key_is_in_an_answer_or_in_the_metrics(server: Running, teams: list[Team]) -> None:
    key = teams[0].keys[0]
    async with rpc(server, key) as client:
        texts = [(await client.send("tools/list")).text, await client.error("query", sql="SELECT broken")]
        texts.append((await client.client.get(f"{server.base}/metrics")).text)
    assert all(key not in text and teams[0].project_id not in text for text in texts)
