"""Helpers for tests of `neon/` over the local control plane."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from neon_branch_mcp.config import Config, NeonContext
from neon_branch_mcp.errors import NeonBranchError
from neon_branch_mcp.local.plane import LocalPlane
from neon_branch_mcp.neon.branches import Branches
from neon_branch_mcp.neon.client import NeonClient
from tests.faulty_api import FAULTS, FaultyTransport

BASE_URL = "http://local.invalid/api/v2"
Choose = Callable[[int, httpx.Request], str | None]


def no_fault(_number: int, _request: httpx.Request) -> str | None:
    return None


@dataclass(frozen=True)
class Cloud:
    """A key's view of the plane, through a proxy that can spoil calls."""

    client: NeonClient
    branches: Branches
    proxy: FaultyTransport
    project_id: str


@asynccontextmanager
async def open_cloud(
    plane: LocalPlane, choose: Choose = no_fault, *, session: str = "s1", **sections: Any
) -> AsyncIterator[Cloud]:
    """Short pauses and time-outs, so that a round of faults takes seconds."""
    async with FaultyTransport(httpx.ASGITransport(app=plane.app), choose) as proxy:
        client = NeonClient(
            base_url=BASE_URL, api_key=plane.api_key, transport=proxy, timeout=2.5, retry_budget=20, pace=0.2
        )
        try:
            # Other tests make projects of their own on the same plane; `.neon` would name this one.
            context = NeonContext(plane.project_id, None, None)
            config = Config.model_validate(sections).model_copy(update={"context": context})
            branches = Branches(client, config, session=session)
            yield Cloud(client, branches, proxy, plane.project_id)
        finally:
            await client.aclose()


async def journey(cloud: Cloud, name: str) -> None:
    """Everything an agent makes the API do for one branch."""
    branches = cloud.branches
    project_id = await branches.project_id(None)
    made = await branches.create(project_id, name=name, client_name="test", purpose="a round of faults")
    assert made.own_credentials
    found = await branches.resolve(project_id, name, fresh=True)
    database = await branches.database(found, None)
    assert found.id in (made.branch.id,)
    assert await branches.conninfo(found, database)
    await branches.reset(found)
    await branches.delete(found)


CHANGES = (("POST", "/branches"), ("POST", "/reset_password"), ("POST", "/restore"), ("DELETE", ""))
"""The changes of a journey: method and end of the path."""
LOSES_NOTHING = tuple(name for name in FAULTS if name != "no such route")


def one_fault_per_change(number: int) -> Choose:
    """Spoils the first try of each change; 16 numbers pair every change with every fault."""
    open_changes = dict(enumerate(CHANGES))

    def choose(_number: int, request: httpx.Request) -> str | None:
        for index, (method, end) in open_changes.items():
            if request.method == method and request.url.path.endswith(end):
                del open_changes[index]
                return LOSES_NOTHING[(number * 3 + index * 5) % len(LOSES_NOTHING)]
        return None

    return choose


@dataclass(frozen=True)
class Round:
    """What one round of faults came to."""

    hits: tuple[str, ...]
    """The calls that were spoiled, and how."""
    error: NeonBranchError | None
    left: tuple[str, ...]
    """Branches that are there afterwards and were not before."""

    @property
    def lost(self) -> tuple[str, ...]:
        """Branches left behind that the error does not name."""
        told = self.error.render() if self.error else ""
        return tuple(name for name in self.left if name not in told)


async def play(plane: LocalPlane, name: str, choose: Choose) -> Round:
    """One journey with faults, and what is left of it; cleans up."""
    async with open_cloud(plane) as clean:
        before = {b.id for b in await clean.branches.list(clean.project_id, fresh=True)}
        error: NeonBranchError | None = None
        async with open_cloud(plane, choose) as cloud:
            try:
                await journey(cloud, name)
            except NeonBranchError as exc:
                error = exc
        hits = tuple(f"{method} {path}: {fault}" for method, path, fault in cloud.proxy.log if fault is not None)
        left = [b for b in await clean.branches.list(clean.project_id, fresh=True) if b.id not in before]
        for branch in left:
            await clean.branches.delete(branch)
        return Round(hits, error, tuple(b.name for b in left))
