"""Worker processes that read SQL text, each killed when one text keeps it too long.

A crash or a time-out is a Report of kind `bad`, never an exception, and the next call finds a fresh worker.
"""

import asyncio
import json
from collections import OrderedDict
from contextlib import nullcontext
from typing import Final

import anyio

from .statements import HEADER, Mode, Report, too_long
from .statements_process import Spawned, spawn

PARSE_TIMEOUT: Final = 2.0
START_TIMEOUT: Final = 20.0  # importing the parser on a busy machine
WORKERS: Final = 3
LONG: Final = 10_000
"""Characters from which on a text may keep a worker for a second or two; one worker is never given to such a text."""
CHUNK: Final = 1 << 16
REMEMBERED: Final = 512
REMEMBERED_LENGTH: Final = 4_000


class StatementPool:
    """Reports on SQL text. Starts its first worker on first need, and more only while all are busy.

    However many long texts there are, a short one waits for none of them.
    """

    def __init__(
        self, *, timeout: float = PARSE_TIMEOUT, workers: int = WORKERS, spawned: Spawned | None = None
    ) -> None:
        self._timeout = timeout
        self._spawned = spawned
        self._warming: asyncio.Event | None = None
        self._idle: list[_Worker] = []
        self._places = asyncio.Semaphore(workers)
        self._places_of_long = asyncio.Semaphore(max(1, workers - 1))
        self._known: OrderedDict[tuple[str, Mode], Report] = OrderedDict()
        self._refill: set[asyncio.Task[None]] = set()
        self._closed = False

    async def report(self, sql: str, mode: Mode) -> Report:
        """What `sql` shows."""
        if (bad := too_long(sql, mode)) is not None:
            return bad
        key = (sql, mode)
        if (known := self._known.get(key)) is not None:
            self._known.move_to_end(key)
            return known
        async with self._places_of_long if len(sql) > LONG else nullcontext(), self._places:
            report, certain = await self._ask(sql, mode)
        if certain and len(sql) <= REMEMBERED_LENGTH:
            self._known[key] = report
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return report

    async def warm(self) -> None:
        """Have one worker ready."""
        async with self._places:
            if self._idle:
                return
            warming = self._warming = asyncio.Event()
            try:
                # A process that is half started belongs to nobody: a server that ends just now waits for it, and ends it.
                with anyio.CancelScope(shield=True):
                    worker = await self._start()
                if self._closed:
                    await worker.kill()
                else:
                    self._idle.append(worker)
            finally:
                self._warming = None
                warming.set()

    async def _start(self) -> "_Worker":
        spawned, self._spawned = self._spawned, None
        return await _Worker.start(spawned)

    async def _take(self) -> "_Worker":
        """An idle worker; the one that is just being made ready, which is there sooner than another; else a new one."""
        if not self._idle and self._warming is not None:
            await self._warming.wait()
        return self._idle.pop() if self._idle else await self._start()

    async def aclose(self) -> None:
        """End every worker."""
        self._closed = True
        for task in list(self._refill):
            task.cancel()
        await asyncio.gather(*self._refill, return_exceptions=True)
        while self._idle:
            await self._idle.pop().kill()
        if self._spawned is not None:  # nobody ever asked it
            await (await self._start()).kill()

    async def _ask(self, sql: str, mode: Mode) -> tuple[Report, bool]:
        """The report, and whether asking again would give the same."""
        worker: _Worker | None = None
        returned = False
        try:
            worker = await self._take()
            async with asyncio.timeout(self._timeout):
                report = await worker.ask({"sql": sql, "mode": mode})
            returned = True
            return report, True
        except TimeoutError:
            # Not the text's fault for certain: a machine that stands still for a moment must not make an honest read unreadable for good.
            return Report("bad", "parse", f"reading it took longer than {self._timeout:g} seconds"), False
        except (OSError, EOFError):
            return Report("bad", "parse", "the process that reads statements ended over it"), False
        finally:
            # A cancelled call leaves a worker in the middle of a frame: it must not answer the next one.
            if worker is not None:
                if returned and not self._closed:
                    self._idle.append(worker)
                else:
                    await asyncio.shield(worker.kill())
                    self._start_another()

    def _start_another(self) -> None:
        """A killed worker's successor, so that the next caller need not wait for it."""
        if self._closed or self._idle or self._refill:
            return
        task = asyncio.create_task(self.warm())
        self._refill.add(task)
        task.add_done_callback(self._refilled)

    def _refilled(self, task: asyncio.Task[None]) -> None:
        self._refill.discard(task)
        if not task.cancelled():
            task.exception()  # the next call starts a worker itself and reports what fails then


class _Worker:
    """One process and our end of its pipe, which is read and written without asyncio's streams: they take as long as a small text."""

    def __init__(self, spawned: Spawned) -> None:
        self._process = spawned.process
        self._pipe = spawned.pipe
        self._pipe.setblocking(False)

    @classmethod
    async def start(cls, spawned: Spawned | None = None) -> "_Worker":
        """A worker that has answered once: that of a process which was started before, else of a new one."""
        worker = cls(spawned or spawn())
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await worker.ask({"sql": "SELECT 1", "mode": "read"})
        except BaseException:
            await asyncio.shield(worker.kill())
            raise
        return worker

    async def ask(self, request: dict[str, object]) -> Report:
        """Send one frame, read one. Raises OSError or EOFError when the process is gone."""
        data = json.dumps(request).encode()
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._pipe, HEADER.pack(len(data)) + data)
        parts, size, whole = [], 0, HEADER.size
        while size < whole:
            if not (part := await loop.sock_recv(self._pipe, CHUNK)):
                raise EOFError
            parts.append(part)
            size += len(part)
            if whole == HEADER.size and size >= whole:
                whole += HEADER.unpack(b"".join(parts)[: HEADER.size])[0]
        return Report.from_json(json.loads(b"".join(parts)[HEADER.size :]))

    async def kill(self) -> None:
        """End the process and reap it."""
        self._process.kill()
        self._pipe.close()
        await asyncio.to_thread(self._process.wait)
