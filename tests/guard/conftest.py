"""The guard and the executor over a database full of traps."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from neon_branch_mcp.config import PolicyConfig, Secret, SqlConfig
from neon_branch_mcp.guard.guard import Guard
from neon_branch_mcp.guard.policy import ALL_LAYERS, Intent, Layers, access_of
from neon_branch_mcp.models import Branch
from neon_branch_mcp.postgres.executor import Executor
from neon_branch_mcp.postgres.rows import RowSet
from neon_branch_mcp.postgres.target import Target

from ..conftest import Scratch
from .world import Probe, world


def branch_named(
    name: str, *, default: bool = False, protected: bool = False, parent: str | None = "br-main"
) -> Branch:
    return Branch(
        id=f"br-{name}",
        project_id="p",
        name=name,
        default=default,
        protected=protected,
        current_state="ready",
        created_at="2026-01-01T00:00:00Z",
        updated_at="2026-01-01T00:00:00Z",
        parent_id=None if default else parent,
    )


MAIN = branch_named("main", default=True)
DEV = branch_named("dev")


@dataclass
class Client:
    """Runs a text as a tool would: vetted, then executed."""

    guard: Guard
    executor: Executor
    uri: str
    policy: PolicyConfig

    def target(self, branch: Branch) -> Target:
        access = access_of(branch, self.policy, True)
        return Target("p", branch.id, branch.name, "scratch", access.access, Secret(self.uri))

    async def __call__(
        self,
        sql: str,
        *,
        branch: Branch = MAIN,
        intent: Intent = "run_sql",
        params: list[Any] | None = None,
        max_rows: int = 100,
        max_bytes: int = 32_000,
    ) -> RowSet:
        target = self.target(branch)
        vetted = await self.guard.vet(
            sql,
            branch=branch,
            access=access_of(branch, self.policy, True),
            intent=intent,
            catalogue=partial(self.executor.catalogue, target),
        )
        return await self.executor.run(target, vetted, params=params, max_rows=max_rows, max_bytes=max_bytes)


MakeClient = Callable[..., Awaitable[Client]]


@pytest.fixture
async def make_client(anyio_backend: str) -> AsyncIterator[MakeClient]:
    """`await make_client(uri, policy=…, sql=…, layers=…)`."""
    made: list[Client] = []

    async def make(
        uri: str, *, policy: PolicyConfig | None = None, sql: SqlConfig | None = None, layers: Layers = ALL_LAYERS
    ) -> Client:
        policy = policy or PolicyConfig()
        made.append(Client(Guard(policy, layers=layers), Executor(sql or SqlConfig()), uri, policy))
        return made[-1]

    yield make
    for client in made:
        await client.guard.aclose()
        await client.executor.aclose()


@pytest.fixture
def probe(database_uri: str, superuser_uri: str) -> Iterator[Probe]:
    """A fresh database of traps; `database_uri` logs in as its owner."""
    with world(database_uri, superuser_uri) as made:
        yield made


@pytest.fixture
async def client(database_uri: str, probe: Probe, make_client: MakeClient) -> Client:
    """The guard with all of its layers, over the database of traps, as its owner."""
    return await make_client(database_uri)


@pytest.fixture
async def parser_client(scratch: Scratch, make_client: MakeClient) -> Client:
    """The guard over a database that nobody changes."""
    return await make_client(scratch.uri)
