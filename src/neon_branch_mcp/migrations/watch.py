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
    conn: AsyncConnection[Any],
    pid: int,
    *,
    label: str,
    progress: Progress | None,
    sample: Sample | None = None,
    free: Callable[[], bool] = lambda: True,
) -> AsyncIterator[Watch]:
    """Watch backend `pid` through `conn` until the block ends; a statement that ends at once is never asked about.

    `sample` is called every 25 ms, from the beginning. Nothing is asked while `conn` is not `free`.
    """
    watch = Watch()
    look = _Look(conn, pid, watch, label, progress, sample, free)
    # A timer and not a task: nearly every statement has ended before there is anything to look at.
    timer = asyncio.get_running_loop().call_later(look.every, look.begin)
    try:
        yield watch
    finally:
        timer.cancel()
        if look.task is not None:
            # The watch ends by itself; cancelling it would leave its connection in the middle of a question.
            with anyio.CancelScope(shield=True):
                await look.end(look.task)


@dataclass
class _Look:
    conn: AsyncConnection[Any]
    pid: int
    watch: Watch
    label: str
    progress: Progress | None
    sample: Sample | None
    free: Callable[[], bool]
    over: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    @property
    def every(self) -> float:
        return SAMPLE_EVERY if self.sample else BLOCKED_AFTER

    def begin(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self._run())

    async def end(self, task: "asyncio.Task[None]") -> None:
        self.over.set()
        await task

    async def _run(self) -> None:
        began = told = time.monotonic() - self.every
        asked = 0.0
        # The watch is only there to say more: where it fails, the statement itself tells what went wrong.
        with contextlib.suppress(psycopg.Error):
            while not self.over.is_set():
                now = time.monotonic()
                if self.sample is not None:
                    await self.sample()
                if now - asked >= BLOCKED_AFTER and self.free():
                    asked = now
                    self.watch.blockers = await _blockers(self.conn, self.pid) or self.watch.blockers
                if self.progress is not None and now - told >= 1:
                    told = now
                    waiting = f", waiting for {self.watch.blockers[0]}" if self.watch.blockers else ""
                    await self.progress(f"{self.label}: {now - began:.0f} s{waiting}")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.over.wait(), self.every)


async def _blockers(conn: AsyncConnection[Any], pid: int) -> list[str]:
    asked = await conn.execute(query("blockers"), {"pid": pid})
    return [
        f"pid {blocker} ({user}{f', {name}' if name else ''}, {state}: {text})"
        for blocker, user, name, state, text in await asked.fetchall()
    ]
