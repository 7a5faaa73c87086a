"""The processes that read SQL text: one that crashes or hangs costs its own statement alone, and all end with the server."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import psutil
import pytest

from neon_branch_mcp.guard.statements_pool import LONG, StatementPool
from neon_branch_mcp.guard.statements_process import spawn

pytestmark = pytest.mark.anyio
SLOW = "SELECT " + " + ".join(f"a.c{n} * {n}" for n in range(4_000)) + " FROM a"
"""An honest statement that keeps the parser for a good part of a second."""


@pytest.fixture
async def pool() -> AsyncIterator[StatementPool]:
    made = StatementPool(timeout=10)
    yield made
    await made.aclose()


_others: set[int] = set()


@pytest.fixture(autouse=True)
def others() -> None:
    """Whatever other tests of this process left or keep is not ours to count."""
    _others.clear()
    _others.update(child.pid for child in psutil.Process().children())


def workers() -> list[psutil.Process]:
    """The workers that the test has made."""
    children = [child for child in psutil.Process().children() if child.pid not in _others]
    running = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in running if "neon_branch_mcp.guard.statements_worker" in child.cmdline()]


@pytest.mark.parametrize("end", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
async def test_a_worker_that_crashes_is_a_refusal_and_the_next_statement_is_read(
    end: signal.Signals, pool: StatementPool
) -> None:
    await pool.warm()
    (worker,) = workers()
    waiting = asyncio.create_task(pool.report(SLOW, "read"))
    await asyncio.sleep(0.05)
    os.kill(worker.pid, end)
    report = await waiting
    assert (report.kind, report.rule) == ("bad", "parse")
    assert "ended over it" in report.reason
    assert (await pool.report("SELECT 1", "read")).kind == "read"


async def test_a_worker_that_hangs_is_ended_at_its_time_and_others_are_served_meanwhile() -> None:
    pool = StatementPool(timeout=1)
    try:
        await pool.warm()
        (worker,) = workers()
        os.kill(worker.pid, signal.SIGSTOP)
        hanging = asyncio.create_task(pool.report("SELECT 1", "read"))
        await asyncio.sleep(0)
        assert (await pool.report("SELECT 2", "read")).kind == "read"
        report = await hanging
        assert (report.kind, report.rule) == ("bad", "parse")
        assert "longer than 1 seconds" in report.reason
        assert not worker.is_running()
        assert (await pool.report("SELECT 1", "read")).kind == "read"
    finally:
        await pool.aclose()
    assert workers() == []


async def test_a_caller_who_leaves_takes_the_worker_along(pool: StatementPool) -> None:
    await pool.warm()
    (worker,) = workers()
    leaving = asyncio.create_task(pool.report(SLOW, "read"))
    await asyncio.sleep(0.05)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert not worker.is_running()
    report = await pool.report("DELETE FROM a", "read")
    assert report.reason == "this is a DELETE"


async def test_a_short_text_waits_for_no_long_one() -> None:
    pool = StatementPool(timeout=6, workers=2)
    try:
        await pool.warm()
        longs = [asyncio.create_task(pool.report(f"SELECT {n} --{'x' * LONG}", "read")) for n in range(4)]
        for _ in range(50):  # whatever worker a long text has or is given stands still
            for worker in workers():
                os.kill(worker.pid, signal.SIGSTOP)
            await asyncio.sleep(0.02)
        report = await pool.report("SELECT 1", "read")
        assert report.kind == "read", report.reason
        assert not any(task.done() for task in longs)
        for task in longs:
            task.cancel()
        await asyncio.gather(*longs, return_exceptions=True)
    finally:
        await pool.aclose()


async def test_a_statement_that_comes_while_the_first_worker_starts_waits_for_that_one() -> None:
    pool = StatementPool()
    warming = asyncio.create_task(pool.warm())
    await asyncio.sleep(0)
    report = await pool.report("SELECT 1", "read")
    assert report.kind != "bad"
    await warming
    assert len(workers()) == 1
    await pool.aclose()
    assert workers() == []


async def test_a_process_that_was_started_before_is_the_first_worker() -> None:
    spawned = spawn()
    pool = StatementPool(spawned=spawned)
    assert (await pool.report("SELECT 1", "read")).kind != "bad"
    assert [worker.pid for worker in workers()] == [spawned.process.pid]
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
