"""Cancelling work that itself has to wait while it is cancelled: the request that stops a statement in Postgres takes a round trip."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


async def uninterrupted(work: Coroutine[Any, Any, T], seconds: float | None = None) -> T:
    """Await `work` in a task of its own, so that cancelling the caller reaches it once, as one CancelledError.

    Inside anyio's cancel scopes every further await is cancelled again, and the request that cancels the statement in Postgres would
    itself be cut off. Raises TimeoutError when the work had to be cancelled after `seconds`, if any are given.
    """
    loop = asyncio.get_running_loop()
    task, ended = loop.create_task(work), loop.create_future()
    late = False

    def give_up() -> None:
        nonlocal late
        late = True
        task.cancel()

    def end(_: object) -> None:
        if not ended.done():
            ended.set_result(None)

    timer = loop.call_later(seconds, give_up) if seconds is not None else None
    task.add_done_callback(end)
    try:
        await ended
    except asyncio.CancelledError:
        task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen here; the caller hears that it was cancelled
        raise
    finally:
        if timer is not None:
            timer.cancel()
    if late and task.cancelled():
        raise TimeoutError
    return task.result()
