"""How a process of ours runs: its event loop, its log, and how it ends when it is told to."""

import gc
import importlib.util
import logging
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from ..front import YOUNG


def event_loop() -> dict[str, bool]:
    """The faster event loop, where it is installed."""
    return {"use_uvloop": importlib.util.find_spec("uvloop") is not None}


def settle() -> None:
    """What is loaded by now stays: the garbage collector, a twentieth of the time that a busy server takes, passes it over from here on."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)


def log_to_stderr() -> None:
    """Nothing but protocol goes to stdout."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")


@asynccontextmanager
async def until_told_to_end() -> AsyncIterator[None]:
    """What runs inside is cancelled by SIGTERM and SIGHUP, and the process then ends as by the signal: a client that goes sends one
    two seconds after it closed its end, and what it had running must neither go on in Postgres nor be without an end in the audit.
    A second signal ends the process at once.
    """
    told: list[signal.Signals] = []

    async def listen(*wanted: signal.Signals) -> None:
        with anyio.open_signal_receiver(*wanted) as signals:
            async for received in signals:
                told.append(received)
                break
        within.cancel_scope.cancel()

    async with anyio.create_task_group() as within:
        # What is ignored (nohup) stays ignored.
        if wanted := [s for s in _ENDING if signal.getsignal(s) == signal.SIG_DFL]:
            within.start_soon(listen, *wanted)
        yield
        within.cancel_scope.cancel()
    if told:
        signal.raise_signal(told[0])


_ENDING = () if sys.platform == "win32" else (signal.SIGTERM, signal.SIGHUP)
