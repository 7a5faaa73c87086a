"""One side of a comparison: a session on one database, in one read-only snapshot, with one deadline."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg import errors as pg

from ..errors import Conflict, NeonBranchError, SqlError, TimedOut
from ..postgres.errors import translate

T = TypeVar("T")
U = TypeVar("U")
Connect = Callable[[], AbstractAsyncContextManager[AsyncConnection[Any]]]
BaseIs = Literal["as branched", "parent now", "as named"]

# Texts of values must not depend on a role's or database's own settings, or equal values would look different.
SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "row_security": "off",  # an honest error instead of the rows that a policy leaves
    "lock_timeout": "3s",  # a locked table is unproven; it does not keep the others from being looked at
    "jit": "off",  # compiling takes longer than hashing a table of any usual size
}
BATCH = 2_000


@dataclass(frozen=True)
class Side:
    """One database to compare. `connect` opens a fresh direct session in autocommit; it is closed afterwards."""

    name: str
    connect: Connect


class SideRun:
    """A side while it is compared. Everything it runs is inside one REPEATABLE READ, READ ONLY transaction that is rolled back."""

    def __init__(
        self, side: Side, role: Literal["base", "branch"], conn: AsyncConnection[Any], deadline: float
    ) -> None:
        self.name = side.name
        self.role = role
        self._conn = conn
        self._deadline = deadline
        self._cursors = 0

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of one SELECT. Parallel plans are possible: no cursor is declared.

        Raises TimedOut at the deadline, after the query was stopped in the server; Conflict where another session holds a lock; else what
        Postgres says, translated.
        """
        return await self.limited(self._rows(query))

    async def _rows(self, query: str) -> list[tuple[Any, ...]]:
        async with self._conn.cursor(binary=True) as cur:  # binary: the extended protocol, one statement only
            await cur.execute(query.encode())
            return await cur.fetchall()

    async def one(self, query: str) -> tuple[Any, ...]:
        """The only row of one SELECT."""
        return (await self.rows(query))[0]

    async def attempt(self, query: str) -> Any | None:
        """The first value of one SELECT, or None where the server refuses it."""
        try:
            async with self._conn.transaction():
                found = await self.rows(query)
        except NeonBranchError:
            return None
        return found[0][0] if found else None

    def stream(self, query: str) -> "RowStream":
        """The rows of one SELECT in batches, so that memory stays small whatever its size."""
        self._cursors += 1
        return RowStream(self, f"verify_{self._cursors}", query)

    async def describe(self, query: str) -> Sequence["Field"]:
        """The columns of a SELECT, which is planned but not run. The server's grammar has then taken the text as one query."""
        return await self.limited(self._describe(query))

    async def _describe(self, query: str) -> Sequence["Field"]:
        self._cursors += 1
        async with self._conn.cursor(f"verify_{self._cursors}", binary=True) as cur:
            await cur.execute(query.encode())
            result = cur.pgresult
            assert result is not None
            return [
                Field(
                    (result.fname(i) or b"").decode(),
                    result.ftype(i),
                    result.fmod(i),
                    result.ftable(i),
                    result.ftablecol(i),
                )
                for i in range(result.nfields)
            ]

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What fails inside leaves the snapshot as it was."""
        async with self._conn.transaction():
            yield

    async def limited(self, work: Coroutine[Any, Any, T]) -> T:
        """Await work on the connection until the deadline. Raises what `rows` does."""
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._stopped_by_us(work)
        except TimeoutError as exc:
            raise TimedOut(f"The time given for verification ended while {self.role} {self.name!r} was read.") from exc
        except pg.QueryCanceled as exc:
            raise TimedOut(f"Reading {self.role} {self.name!r} was stopped: {exc.diag.message_primary}.") from exc
        except pg.LockNotAvailable as exc:
            # No time-out of the whole: only what needs this table cannot be had.
            told = f"another session holds a lock on it ({exc.diag.message_primary})"
            raise Conflict(f"on {self.role} {self.name!r}: {told}") from exc
        except psycopg.Error as exc:
            raise self._placed(translate(exc)) from exc

    async def _stopped_by_us(self, work: Coroutine[Any, Any, T]) -> T:
        """Await work; when cancelled, ask the server to stop it and wait for its end.

        psycopg would do so too, but it closes the connection when the statement fails by itself at that moment, as it does where both
        sides refuse the same table: the snapshot, and all tables after this one, would be gone.
        """
        task = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                await self._conn.cancel_safe(timeout=5)
                await asyncio.wait([task], timeout=5)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise

    def _placed(self, exc: NeonBranchError) -> NeonBranchError:
        message = f"on {self.role} {self.name!r}: {exc.message}"
        return SqlError(message, exc.fields) if isinstance(exc, SqlError) else exc


class RowStream:
    """A server-side cursor of one side, read batch by batch; `start` runs the query up to its first batch."""

    def __init__(self, side: SideRun, name: str, query: str) -> None:
        self._side = side
        self._cursor = side._conn.cursor(name, binary=True)
        self._query = query
        self._batch: list[tuple[Any, ...]] = []
        self._at = 0

    async def start(self) -> None:
        """Runs the query."""
        self._batch = await self._side.limited(self._first())

    async def _first(self) -> list[tuple[Any, ...]]:
        await self._cursor.execute(self._query.encode())
        return await self._cursor.fetchmany(BATCH)

    async def next(self) -> tuple[Any, ...] | None:
        """The next row, None after the last."""
        if self._at == len(self._batch):
            if len(self._batch) < BATCH:
                return None
            self._batch, self._at = await self._side.limited(self._cursor.fetchmany(BATCH)), 0
            if not self._batch:
                return None
        self._at += 1
        return self._batch[self._at - 1]

    async def close(self) -> None:
        """Frees the cursor; needed before another statement only to save memory there."""
        await self._side.limited(self._cursor.close())


@dataclass(frozen=True)
class Field:
    """A column of a result. `table` and `column` say where a plain column reference comes from; 0 for anything computed."""

    name: str
    type: int
    typmod: int
    table: int
    column: int


@asynccontextmanager
async def opened(side: Side, role: Literal["base", "branch"], deadline: float) -> AsyncIterator[SideRun]:
    """`side` in its snapshot, until the block ends; then rolled back and closed."""
    left = max(1, math.ceil((deadline - asyncio.get_running_loop().time()) * 1000))
    async with side.connect() as conn:
        try:
            await conn.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            settings = SETTINGS | {"statement_timeout": str(left), "idle_in_transaction_session_timeout": "0"}
            for name, value in settings.items():
                await conn.execute("SELECT pg_catalog.set_config(%s, %s, true)", (name, value))
            run = SideRun(side, role, conn, deadline)
        except psycopg.Error as exc:
            raise translate(exc) from exc
        try:
            yield run
        finally:
            with suppress(psycopg.Error):
                await conn.rollback()


async def both(base: Awaitable[T], branch: Awaitable[U]) -> tuple[T, U]:
    """Both at once. When one fails or the caller is cancelled, the other is stopped too, and its query with it."""
    tasks = asyncio.ensure_future(base), asyncio.ensure_future(branch)
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            # Cancelled once: a second time would cut off the request that cancels the query.
            if not task.done() and not task.cancelling():
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
