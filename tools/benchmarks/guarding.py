"""What the guard takes for a statement: text checks, the parser in its worker, functions, policy."""

import statistics
import time

import anyio

from neon_branch_mcp.config import PolicyConfig
from neon_branch_mcp.errors import Refused
from neon_branch_mcp.guard.functions import FunctionCatalogue
from neon_branch_mcp.guard.guard import Guard
from neon_branch_mcp.guard.policy import access_of
from neon_branch_mcp.models import Branch

from .measure import Figure

MAIN = Branch("br-a-b-c", "p-1", "main", True, False, "ready", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z")


def guard_time(texts: list[str], catalogue: FunctionCatalogue, rounds: int) -> list[Figure]:
    """Median and 99th percentile of the guard's time for the statements of a corpus, with a warm worker."""
    spent = sorted(anyio.run(_spent, texts, catalogue, rounds))
    p99 = spent[int(len(spent) * 0.99)]
    return [
        Figure("guard, a statement", "median", statistics.median(spent) * 1000, spent[0] * 1000, "ms"),
        Figure("guard, a statement", "99th percentile", p99 * 1000, p99 * 1000, "ms"),
    ]


async def _spent(texts: list[str], catalogue: FunctionCatalogue, rounds: int) -> list[float]:
    policy = PolicyConfig()
    guard = Guard(policy)
    access = access_of(MAIN, policy, created_by_us=False)

    async def facts(*, fresh: bool = False) -> FunctionCatalogue:
        return catalogue

    spent: list[float] = []
    try:
        await guard.warm()
        for text in texts * rounds:
            begin = time.perf_counter()
            try:
                await guard.vet(text, branch=MAIN, access=access, intent="query", catalogue=facts)
            except Refused:
                continue
            spent.append(time.perf_counter() - begin)
    finally:
        await guard.aclose()
    return spent
