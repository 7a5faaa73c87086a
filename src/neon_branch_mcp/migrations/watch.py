"""A second connection that looks at the migrating one while a statement runs: who blocks it, and which locks it holds."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import psycopg
from psycopg import AsyncConnection

from .queries import query

Progress = Callable[[str], Awaitable[None]]

BLOCKED_AFTER = 0.2
"""Seconds a statement runs before the watch asks who blocks it: most statements end sooner and cost nothing extra."""


@dataclass
class Watch:
    """What was seen while a statement ran. `blockers` is the last answer to who held the lock that it waited for."""

    blockers: list[str] = field(default_factory=list)


@contextlib.asynccontextmanager
async def watching(
    conn: AsyncConnection[Any], pid: int, *, label: str, progress: Progress | None
) -> AsyncIterator[Watch]:
    """Watch backend `pid` through `conn` until the block ends; a statement that ends at once is never asked about."""
    watch, over = Watch(), asyncio.Event()
    task = asyncio.create_task(_look(conn, pid, watch, over, label, progress))
    try:
        yield watch
    finally:
        over.set()
        # The watch ends by itself; cancelling it would leave its connection in the middle of a question.
        with anyio.CancelScope(shield=True):
            await task


async def _look(
    conn: AsyncConnection[Any], pid: int, watch: Watch, over: asyncio.Event, label: str, progress: Progress | None
) -> None:
    waited = 0.0
    while not over.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), BLOCKED_AFTER)
            return
        waited += BLOCKED_AFTER
        try:
            watch.blockers = await _blockers(conn, pid) or watch.blockers
        except psycopg.Error:
            return  # The watch is only there to say more; the statement itself tells what went wrong.
        if progress is not None and waited >= 1 and waited % 1 < BLOCKED_AFTER:
            await progress(
                f"{label}: {waited:.0f} s" + (f", waiting for {watch.blockers[0]}" if watch.blockers else "")
            )


async def _blockers(conn: AsyncConnection[Any], pid: int) -> list[str]:
    asked = await conn.execute(query("blockers"), {"pid": pid})
    return [
        f"pid {blocker} ({user}{f', {name}' if name else ''}, {state}: {text})"
        for blocker, user, name, state, text in await asked.fetchall()
    ]
