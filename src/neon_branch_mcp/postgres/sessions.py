"""Connections: opened with patience, bounded per branch, and kept only where nothing of a caller can remain in them.

A sleeping compute takes seconds to wake, and a restarting one refuses for a while: opening is tried again until the connect time-out,
since nothing was asked for yet. A connection is kept per login for reading alone: its last transaction was READ ONLY, is rolled back, and
`DISCARD ALL` has ended well before anybody gets it again. psycopg_pool would do most of this, but it hides why a login failed.
"""

import asyncio
import random
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import anyio
import psycopg
from psycopg import pq

from ..config import SqlConfig
from ..errors import LimitExceeded, NeonBranchError, Unreachable
from .errors import translate
from .wire import Statement, Wire

Key = tuple[str, tuple[tuple[str, Any], ...]]
"""Whose it is, and the login."""
Connection = psycopg.AsyncConnection[tuple[Any, ...]]

OPEN_PER_KEPT = 4
"""Sessions open at once on a branch, for each connection that may be kept idle."""
KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 15_000}
"""A peer that is gone without a word is noticed after some 15 s, not after the system's two hours."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.5
ROLL_BACK, CLEAN = [Statement("ROLLBACK")], [Statement("DISCARD ALL")]
SOON = 0.1
"""Seconds in which no kept connection came back to anybody, before who waits for one opens one more: opening costs more than most reads."""


@dataclass(frozen=True)
class Way:
    """How to reach a server by a shorter way than its connection string tells: changes to the login, and what to call at the end."""

    changes: Mapping[str, Any]
    closed: Callable[[], None]


FindWay = Callable[[Mapping[str, Any]], Awaitable[Way | None]]
"""Asked before each attempt to connect; None: as the login says. Raises errors of our tree."""


@dataclass(frozen=True)
class _Idle:
    conn: Connection
    since: float


class Sessions:
    """The connections of one server. For one event loop."""

    def __init__(self, config: SqlConfig, find_way: FindWay | None = None) -> None:
        self._config = config
        self._find_way = find_way
        self._ways: dict[Connection, Way] = {}
        self._idle: dict[Key, list[_Idle]] = {}
        self._lent: Counter[Key] = Counter()
        self._waiting: dict[Key, deque[asyncio.Future[Connection]]] = {}
        self._came_back: dict[Key, float] = {}
        self._slots: dict[str, anyio.CapacityLimiter] = {}
        self._cleaning: set[asyncio.Task[None]] = set()
        self._reaper: asyncio.Task[None] | None = None
        self.opened = 0
        """Connections opened so far."""

    @asynccontextmanager
    async def fresh(self, branch_id: str, login: dict[str, Any]) -> AsyncIterator[Connection]:
        """A new connection for one caller; closed afterwards. Raises errors of our tree while connecting."""
        async with self._slot(branch_id):
            conn = await self._connect(login)
            try:
                yield conn
            finally:
                await self._close(conn)

    @asynccontextmanager
    async def reading(
        self, branch_id: str, login: dict[str, Any], *, owner: str, reuse: bool
    ) -> AsyncIterator[Connection]:
        """A connection for one READ ONLY transaction that is rolled back: one kept for this owner if `reuse` and there is one.

        Whatever transaction the block leaves is rolled back. The connection is kept again unless the block was cancelled.
        """
        key = (owner, tuple(login.items()))
        async with self._slot(branch_id):
            conn = await self._kept(key) if reuse else None
            self._lent[key] += 1
            try:
                conn = conn or await self._connect(login)
            except BaseException:
                self._forget(key)
                raise
            try:
                yield conn
            except (psycopg.Error, NeonBranchError):
                self._give_back(key, conn)
                raise
            except BaseException:
                # Cancelled, or a bug: nobody knows what is still on its way.
                self._forget(key)
                await self._close(conn)
                raise
            self._give_back(key, conn)

    def open_now(self) -> int:
        """Connections that are kept idle or being cleaned."""
        return sum(map(len, self._idle.values())) + len(self._cleaning)

    async def aclose(self) -> None:
        """Closes what is kept."""
        for task in [*self._cleaning, *([self._reaper] if self._reaper else [])]:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._close_idle()

    async def _close_idle(self) -> None:
        kept = [idle.conn for group in self._idle.values() for idle in group]
        self._idle.clear()
        for conn in kept:
            await self._close(conn)

    @asynccontextmanager
    async def _slot(self, branch_id: str) -> AsyncIterator[None]:
        most = OPEN_PER_KEPT * self._config.pool_size
        slots = self._slots.setdefault(branch_id, anyio.CapacityLimiter(most))
        borrower = object()  # one task may hold several sessions
        try:
            slots.acquire_on_behalf_of_nowait(borrower)
        except anyio.WouldBlock:
            await self._wait_for(slots, borrower, branch_id)
        try:
            yield
        finally:
            slots.release_on_behalf_of(borrower)
            if not (slots.borrowed_tokens or slots.statistics().tasks_waiting):
                self._slots.pop(branch_id, None)

    async def _wait_for(self, slots: anyio.CapacityLimiter, borrower: object, branch_id: str) -> None:
        try:
            async with asyncio.timeout(self._config.connect_timeout):
                await slots.acquire_on_behalf_of(borrower)
        except TimeoutError:
            raise LimitExceeded(
                f"All {slots.total_tokens} connections to branch {branch_id} are in use; end other calls or try again "
                "(sql.pool_size allows more)."
            ) from None

    async def _connect(self, login: dict[str, Any]) -> Connection:
        """A new connection; tries again while the server is not there yet. A login that is refused is refused at once."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._config.connect_timeout
        pause = FIRST_PAUSE
        while True:
            left = until - loop.time()
            try:
                self.opened += 1
                return await self._open(KEEPALIVE | login | {"connect_timeout": max(2, round(left))})
            except psycopg.Error as exc:
                error = translate(exc)
                if not _may_come(error) or loop.time() + pause > until:
                    raise error from exc
                if isinstance(error, LimitExceeded):
                    await self._close_idle()  # the server is full, in part of what we keep
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _open(self, login: dict[str, Any]) -> Connection:
        way = await self._find_way(login) if self._find_way is not None else None
        if way is None:
            return await psycopg.AsyncConnection.connect(autocommit=True, **login)
        try:
            conn = await psycopg.AsyncConnection.connect(autocommit=True, **login | way.changes)
        except BaseException:
            way.closed()
            raise
        self._ways[conn] = way
        return conn

    async def _close(self, conn: Connection) -> None:
        try:
            await conn.close()
        finally:
            if (way := self._ways.pop(conn, None)) is not None:
                way.closed()

    def _take(self, key: Key) -> Connection | None:
        """The most recently used idle connection that is still alive, as far as can be seen without asking the server."""
        group = self._idle.get(key, [])
        while group:
            conn = group.pop().conn
            if not group:
                self._idle.pop(key, None)
            if _alive(conn):
                return conn
            self._later(self._close(conn))
        return None

    async def _kept(self, key: Key) -> Connection | None:
        """An idle connection; where as many as are kept are in use, one that comes back, as long as any do. None: open one."""
        conn = self._take(key)
        if conn is not None or self._lent[key] < self._config.pool_size:
            return conn
        loop = asyncio.get_running_loop()
        waiting, began = loop.create_future(), loop.time()
        self._waiting.setdefault(key, deque()).append(waiting)
        try:
            while not waiting.done() and (until := max(began, self._came_back.get(key, 0)) + SOON) > loop.time():
                await asyncio.wait([waiting], timeout=until - loop.time())
            return waiting.result() if waiting.done() else None
        except asyncio.CancelledError:
            if waiting.done() and not self._hand_on(key, waiting.result()):
                self._later(self._close(waiting.result()))
            raise
        finally:
            waiting.cancel()

    def _give_back(self, key: Key, conn: Connection) -> None:
        """Sends what ends its transaction and cleans the session at once; nobody waits for the answer but the next user."""
        wire = Wire(conn)
        try:
            if _ended(conn):
                raise psycopg.OperationalError("the connection ended, or is in the middle of something")
            wire.send(ROLL_BACK, CLEAN)
        except psycopg.Error:
            self._forget(key)
            self._later(self._close(conn))
        else:
            self._later(self._cleaned(key, conn, wire))

    async def _cleaned(self, key: Key, conn: Connection, wire: Wire) -> None:
        kept = False
        try:
            async with asyncio.timeout(5):
                (await wire.received(2)).all()
            kept = _alive(conn) and self._hand_on(key, conn)
        except (psycopg.Error, NeonBranchError, TimeoutError):
            pass  # it is closed below, and the next caller opens another
        finally:
            self._forget(key)
            if not kept:
                await self._close(conn)

    def _hand_on(self, key: Key, conn: Connection) -> bool:
        """Gives a clean connection to whoever waits for one, else keeps it if there is room."""
        self._came_back[key] = asyncio.get_running_loop().time()
        while queue := self._waiting.get(key):
            waiting = queue.popleft()
            if not queue:
                del self._waiting[key]
            if not waiting.done():
                waiting.set_result(conn)
                return True
        if len(self._idle.get(key, [])) >= self._config.pool_size or self._config.pool_idle <= 0:
            return False
        self._idle.setdefault(key, []).append(_Idle(conn, asyncio.get_running_loop().time()))
        self._reaper = self._reaper or asyncio.create_task(self._reap())
        return True

    def _forget(self, key: Key) -> None:
        """A connection is no longer lent."""
        self._lent[key] -= 1
        if not self._lent[key]:
            del self._lent[key]
            self._came_back.pop(key, None)

    async def _reap(self) -> None:
        """Closes connections that were idle for too long; ends when none is left."""
        try:
            while self._idle:
                await asyncio.sleep(min(5.0, self._config.pool_idle))
                oldest = asyncio.get_running_loop().time() - self._config.pool_idle
                for key, group in list(self._idle.items()):
                    expired = [idle for idle in group if idle.since <= oldest]
                    self._idle[key] = [idle for idle in group if idle.since > oldest]
                    if not self._idle[key]:
                        del self._idle[key]
                    for idle in expired:
                        await self._close(idle.conn)
        finally:
            self._reaper = None

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._cleaning.add(task)
        task.add_done_callback(self._cleaning.discard)


def _may_come(error: NeonBranchError) -> bool:
    """A server that is asleep, starting or full may be there a moment later."""
    return isinstance(error, Unreachable | LimitExceeded)


def _ended(conn: Connection) -> bool:
    """Nothing can be sent: a goodbye of the server has arrived, or an answer is still on its way."""
    if conn.closed:
        return True
    try:
        conn.pgconn.consume_input()
    except psycopg.Error:
        return True
    busy = conn.pgconn.transaction_status in (pq.TransactionStatus.ACTIVE, pq.TransactionStatus.UNKNOWN)
    return busy or conn.pgconn.status != pq.ConnStatus.OK


def _alive(conn: Connection) -> bool:
    """No goodbye of the server has arrived, and no transaction is open."""
    return not _ended(conn) and conn.pgconn.transaction_status == pq.TransactionStatus.IDLE
