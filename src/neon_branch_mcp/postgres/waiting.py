"""Cancelling work that itself has to wait while it is cancelled: the request that stops a statement in Postgres takes a round trip."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import anyio

T = TypeVar("T")


async def uninterrupted(work: Awaitable[T]) -> T:
    """Await `work` in a task of its own, so that cancelling the caller reaches it once, as one CancelledError.

    Inside anyio's cancel scopes every further await is cancelled again, and the request that cancels the statement in Postgres would
    itself be cut off.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen here; the caller hears that it was cancelled
        raise
