"""Honest reads run: at most one in a hundred is refused. What the guard takes for them is in tools/bench."""

from functools import partial

import pytest

from neon_branch_mcp.errors import NeonBranchError, Refused
from neon_branch_mcp.guard.policy import access_of
from neon_branch_mcp.local.plane import LocalPlane

from ..conftest import PlaneApi
from .conftest import MAIN, Client, MakeClient
from .corpus import queries

HAND_WRITTEN = 410
pytestmark = pytest.mark.anyio


@pytest.fixture
def shop_uri(api: PlaneApi, plane: LocalPlane) -> str:
    """The sample shop on the default branch; only read here."""
    found = next(b for b in api("GET", f"{api.project}/branches")["branches"] if b["default"])
    return api.uri(found["id"])


async def vet(client: Client, text: str) -> None:
    """The guard alone, without running it."""
    await client.guard.vet(
        text,
        branch=MAIN,
        access=access_of(MAIN, client.policy, True),
        intent="run_sql",
        catalogue=partial(client.executor.catalogue, client.target(MAIN)),
    )


async def test_honest_reads_run(shop_uri: str, make_client: MakeClient) -> None:
    client = await make_client(shop_uri)
    texts = queries()
    assert len(texts) >= 500
    refused: list[str] = []
    failed: list[str] = []
    for i, text in enumerate(texts):
        try:
            # Families are executed here and there only: they differ little.
            if i < HAND_WRITTEN or i % 5 == 0:
                await client(text)
            else:
                await vet(client, text)
        except Refused as exc:
            refused.append(f"{text}: {exc.message}")
        except NeonBranchError as exc:
            failed.append(f"{text}: {exc.render()}")
    assert len(refused) <= len(texts) // 100, refused
    assert failed == []
