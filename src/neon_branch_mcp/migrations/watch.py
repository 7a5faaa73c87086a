"""A second connection that looks at the migrating one while a statement runs: who blocks it, and which locks it holds."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import psycopg
from psycopg import AsyncConnection

from .queries import query

Progress = Callable[[str], Awaitable[None]]
Sample = Callable[[], Awaitable[None]]

SAMPLE_EVERY = 0.025
BLOCKED_AFTER = 0.2
"""Seconds a statement runs before the watch asks who blocks it: most statements end sooner and cost nothing extra."""


@dataclass
class Watch:
    """What was seen while a statement ran. `blockers` is the last answer to who held the lock that it waited for."""

    blockers: list[str] = field(default_factory=list)


@contextlib.asynccontextmanager
async def watching(
    conn: AsyncConnection[Any], pid: int, *, label: str, progress: Progress | None, sample: Sample | None = None
) -> AsyncIterator[Watch]:
    """Watch backend `pid` through `conn` until the block ends; a statement that ends at once is never asked about.

    `sample` is called every 25 ms, from the beginning.
    """
    watch, over = Watch(), asyncio.Event()
    task = asyncio.create_task(_Look(conn, pid, watch, over, label, progress, sample).run())
    try:
        yield watch
    finally:
        over.set()
        # The watch ends by itself; cancelling it would leave its connection in the middle of a question.
        with anyio.CancelScope(shield=True):
            await task


@dataclass
class _Look:
    conn: AsyncConnection[Any]
    pid: int
    watch: Watch
    over: asyncio.Event
    label: str
    progress: Progress | None
    sample: Sample | None

    async def run(self) -> None:
        every = SAMPLE_EVERY if self.sample else BLOCKED_AFTER
        began = asked = told = time.monotonic()
        # The watch is only there to say more: where it fails, the statement itself tells what went wrong.
        with contextlib.suppress(psycopg.Error):
            while not await self._ended(every):
                now = time.monotonic()
                if self.sample is not None:
                    await self.sample()
                if now - asked >= BLOCKED_AFTER:
                    asked = now
                    self.watch.blockers = await _blockers(self.conn, self.pid) or self.watch.blockers
                if self.progress is not None and now - told >= 1:
                    told = now
                    waiting = f", waiting for {self.watch.blockers[0]}" if self.watch.blockers else ""
                    await self.progress(f"{self.label}: {now - began:.0f} s{waiting}")

    async def _ended(self, within: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), within)
        return self.over.is_set()


async def _blockers(conn: AsyncConnection[Any], pid: int) -> list[str]:
    asked = await conn.execute(query("blockers"), {"pid": pid})
    return [
        f"pid {blocker} ({user}{f', {name}' if name else ''}, {state}: {text})"
        for blocker, user, name, state, text in await asked.fetchall()
    ]
