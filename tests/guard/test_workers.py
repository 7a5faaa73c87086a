"""The processes that read SQL text: started once, used by whoever comes meanwhile, and ended with the server."""

import asyncio

import psutil
import pytest

from neon_branch_mcp.guard.statements_pool import StatementPool
from neon_branch_mcp.guard.statements_process import spawn

pytestmark = pytest.mark.anyio


def workers() -> list[int]:
    """Processes of this one that read SQL."""
    found = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child.pid for child in found if any(part.endswith("statements_worker") for part in child.cmdline())]


async def test_a_statement_that_comes_while_the_first_worker_starts_waits_for_that_one() -> None:
    before = set(workers())
    pool = StatementPool()
    warming = asyncio.create_task(pool.warm())
    await asyncio.sleep(0)
    report = await pool.report("SELECT 1", "read")
    assert report.kind != "bad"
    await warming
    assert len(set(workers()) - before) == 1
    await pool.aclose()
    assert set(workers()) <= before


async def test_a_process_that_was_started_before_is_the_first_worker() -> None:
    spawned = spawn()
    pool = StatementPool(spawned=spawned)
    before = set(workers())
    assert spawned.process.pid in before
    assert (await pool.report("SELECT 1", "read")).kind != "bad"
    assert set(workers()) == before
    await pool.aclose()
    assert spawned.process.returncode is not None


async def test_a_process_that_nobody_asked_is_ended_with_the_pool() -> None:
    spawned = spawn()
    await StatementPool(spawned=spawned).aclose()
    assert spawned.process.returncode is not None


async def test_a_process_ends_when_its_pipe_is_closed() -> None:
    spawned = spawn()
    spawned.pipe.close()
    assert await asyncio.to_thread(spawned.process.wait, 20) == 0
