"""What a migration needs before its first statement: two connections, and what is there. Both are got while the guard still thinks.

Only questions of our own are asked meanwhile, and they only read. Their answers count if no transaction has ended in the server between
the first of them and the moment the migration alone may run; else they are asked again.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Protocol

import anyio
import psycopg
from psycopg import AsyncConnection

from ..errors import TimedOut
from ..postgres.errors import translating
from ..postgres.target import Target
from ..postgres.wire import Wire
from .ledger import LedgerEntry, find
from .measure import Measured, ToCount, look_up, to_count
from .run import Request
from .schema_change import SchemaChange, read_before
from .watch import watching

ADVISORY_KEY = 0x6E626D  # "nbm": one migration at a time in a database
# Who looks never waits long for what another session holds, and never takes rows that a policy hides for rows that are not there.
LOOKING = """SELECT pg_catalog.set_config('lock_timeout', '200ms', false), pg_catalog.set_config('row_security', 'off', false),
pg_catalog.set_config('statement_timeout', '20s', false)"""
EARLY_BYTES = 16_000_000
"""What has to be read to count a script's possible losses is read early up to here: it may have been for nothing."""


class SessionFactory(Protocol):
    """Where the connections to a branch come from."""

    def session(self, target: Target, *, purpose: str) -> AbstractAsyncContextManager[AsyncConnection[Any]]:
        """Opens a fresh, direct, autocommit connection and closes it afterwards."""

    def looking(self, target: Target) -> AbstractAsyncContextManager[AsyncConnection[Any]]:
        """A direct, autocommit connection that only reads."""


@dataclass(frozen=True)
class Found:
    """What was there when the server's transactions were as the stamp of `change` says: the migration's own record, and what the script
    could destroy.
    """

    entry: LedgerEntry | None
    to_count: ToCount
    counted: Measured | None
    change: SchemaChange
    """The schema is being read on the watching connection: nothing else may use that before it is."""

    async def holds(self, stamp: str) -> bool:
        """Whether all of it is so still. What another session's lock kept from being read may be free by now."""
        missed = self.counted is not None and len(self.counted.tables) < len(self.to_count.tables)
        if stamp != self.change.stamp or missed or not self.to_count.whole:
            return False
        reading = self.change.reading
        return not reading.done() or ((before := await reading) is not None and not before.schema.locked)


@dataclass(frozen=True)
class Begun:
    """The migration may run, alone: its connection, the one that watches, what was there."""

    migrating: AsyncConnection[Any]
    watcher: AsyncConnection[Any]
    found: Found

    async def measured(self) -> Measured:
        """What the script could destroy, counted."""
        if self.found.counted is not None:
            return self.found.counted
        await self.found.change.watch_free()
        return await self.found.to_count.count(self.watcher)


class Beginning:
    """A context. The connections are on their way from the moment it is made, and closed at its end, whatever has become of them."""

    def __init__(self, sessions: SessionFactory, target: Target) -> None:
        self._stack = AsyncExitStack()
        self._changes: list[SchemaChange] = []
        self._migrating = asyncio.create_task(self._open(sessions.session(target, purpose="migration")))
        self._watching = asyncio.create_task(self._open(sessions.looking(target)))
        self._reading = asyncio.create_task(self._read())
        self._looking: asyncio.Task[Found] | None = None

    async def _open(self, session: AbstractAsyncContextManager[AsyncConnection[Any]]) -> AsyncConnection[Any]:
        conn = await self._stack.enter_async_context(session)
        with translating():
            await conn.execute(LOOKING)
        return conn

    async def _read(self) -> SchemaChange:
        """Have the schema read."""
        conn = await self._watching
        with translating():
            stamp = await _stamp(conn)
        change = SchemaChange(asyncio.create_task(read_before(conn)), conn, stamp)
        self._changes.append(change)
        return change

    def look(self, request: Request) -> None:
        """Begin to look at what the script could meet. To be called once, before `ready`."""
        self._looking = asyncio.create_task(self._look_early(request))

    async def _look_early(self, request: Request) -> Found:
        # Looked at by another connection than the one that reads the schema: both take their time, and the guard takes its own.
        conn, change = await self._migrating, await self._reading
        return await self._look(request, conn, change, most=EARLY_BYTES)

    async def _look(self, request: Request, conn: AsyncConnection[Any], change: SchemaChange, *, most: float) -> Found:
        with translating():
            entry = await find(conn, request.name)
            what = await to_count(conn, request.plan, await look_up(conn, request.plan))
            counted = await what.count(conn) if what.bytes <= most else None
        return Found(entry, what, counted, change)

    async def ready(self, request: Request) -> Begun:
        """Wait until no other migration of the database runs, and for what is there. Raises errors of our tree; then nothing was done."""
        assert self._looking is not None  # look was called
        migrating, watcher = await self._migrating, await self._watching
        found = await self._looking
        with translating():
            await _alone(migrating, watcher, found.change.watch_free, request)
            stamp = await _stamp(migrating)
        if not await found.holds(stamp):
            await found.change.watch_free()
            again = await self._look(request, watcher, found.change, most=math.inf)
            found = replace(again, change=await self._read())
        return Begun(migrating, watcher, found)

    async def __aenter__(self) -> "Beginning":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            tasks: list[asyncio.Task[Any]] = [self._reading, self._watching, self._migrating]
            tasks += [self._looking] if self._looking is not None else []
            tasks += [change.reading for change in self._changes]
            unfinished = [task for task in tasks if not task.done()]
            for task in unfinished:
                task.cancel()
            await asyncio.wait(tasks)
            for task in tasks:
                if not task.cancelled():
                    task.exception()  # seen; whoever waited for it has had it raised
            if unfinished:
                # Nobody knows what is still on its way in the connections: they are not kept.
                kind, exc, trace = asyncio.CancelledError, asyncio.CancelledError(), None
            await self._stack.__aexit__(kind, exc, trace)


async def _stamp(conn: AsyncConnection[Any]) -> str:
    """Which of the server's transactions have ended: two equal ones say that nothing was committed in between."""
    row = await (await conn.execute("SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text")).fetchone()
    assert row is not None
    return str(row[0])


async def _alone(
    conn: AsyncConnection[Any],
    watcher: AsyncConnection[Any],
    watch_free: Callable[[], Awaitable[object]],
    request: Request,
) -> None:
    """Two migrations of one database never run at once. The lock ends with the connection, which has the script's settings from here on."""
    settings = {
        "lock_timeout": f"{round(request.lock_timeout * 1000)}ms",
        "statement_timeout": f"{round(request.statement_timeout * 1000)}ms",
        "standard_conforming_strings": "on",
        "idle_in_transaction_session_timeout": "0",
    }
    calls = [f"pg_catalog.set_config('{name}', '{value}', false)" for name, value in settings.items()]
    tried = f"RESET row_security; SELECT pg_catalog.pg_try_advisory_lock({ADVISORY_KEY}), {', '.join(calls)}"
    if (await Wire(conn).ours(tried)).get_value(0, 0) == b"t":
        return
    await watch_free()
    async with watching(watcher, conn.info.backend_pid, label="waiting", progress=request.progress) as watch:
        try:
            await conn.execute("SELECT pg_catalog.pg_advisory_lock(%s)", [ADVISORY_KEY])
        except psycopg.errors.LockNotAvailable as exc:
            holder = watch.blockers[0] if watch.blockers else "another connection"
            raise TimedOut(
                f"Another migration of this database is running ({holder}); it did not end within {request.lock_timeout:g} s. "
                "Nothing was applied."
            ) from exc
