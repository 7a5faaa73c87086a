"""Connections: opened with patience, bounded per branch, and kept only where nothing of a caller can remain in them.

A sleeping compute takes seconds to wake, and a restarting one refuses for a while: opening is tried again until the connect time-out,
since nothing was asked for yet. A connection is kept per login for reading alone: its last transaction was READ ONLY, is rolled back, and
`DISCARD ALL` has ended well before a statement of the next caller runs in it. psycopg_pool would do most of this, but it hides why a
login failed.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

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
ROLL_BACK, CLEAN = Statement("ROLLBACK"), Statement("DISCARD ALL")
LINGER = 0.005
"""Seconds until the cleaning of a session that nobody waits for is sent by itself: it keeps no answer waiting, and goes with the next
read's statements where that comes at once. Waking Postgres takes longer than a small read."""
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
    wire: Wire
    since: float
    cleaning: asyncio.TimerHandle


@dataclass
class _Slots:
    """A branch's sessions in use, and who waits for one to end."""

    taken: int = 0
    waiting: "deque[asyncio.Future[bool]]" = field(default_factory=deque)


@dataclass
class _Fresh:
    """A connection of one caller's own, while the block lasts."""

    sessions: "Sessions"
    branch_id: str
    login: dict[str, Any]
    conn: Connection | None = None

    async def __aenter__(self) -> Connection:
        await self.sessions.enter(self.branch_id)
        try:
            self.conn = await self.sessions.connect(self.login)
        except BaseException:
            self.sessions.leave(self.branch_id)
            raise
        return self.conn

    async def __aexit__(self, *_: object) -> None:
        assert self.conn is not None
        try:
            await self.sessions.close(self.conn)
        finally:
            self.sessions.leave(self.branch_id)


@dataclass
class _Reading:
    """A kept connection, lent while the block lasts. A class, not a generator: this is on the way of every read."""

    sessions: "Sessions"
    branch_id: str
    login: dict[str, Any]
    key: Key
    reuse: bool
    wire: Wire | None = None

    async def __aenter__(self) -> Wire:
        await self.sessions.enter(self.branch_id)
        try:
            self.wire = await self.sessions.lend(self.key, self.login, reuse=self.reuse)
        except BaseException:
            self.sessions.leave(self.branch_id)
            raise
        return self.wire

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self.wire is not None
        try:
            if kind is None or issubclass(kind, (psycopg.Error, NeonBranchError)):
                self.sessions.give_back(self.key, self.wire)
            else:
                # Cancelled, or a bug: nobody knows what is still on its way.
                await self.sessions.drop(self.key, self.wire)
        finally:
            self.sessions.leave(self.branch_id)


class Sessions:
    """The connections of one server. For one event loop."""

    def __init__(self, config: SqlConfig, find_way: FindWay | None = None) -> None:
        self._config = config
        self._find_way = find_way
        self._ways: dict[Connection, Way] = {}
        self._idle: dict[Key, list[_Idle]] = {}
        self._lent: dict[Key, int] = {}
        self._waiting: dict[Key, deque[asyncio.Future[Wire | None]]] = {}
        self._came_back: dict[Key, float] = {}
        self._slots: dict[str, _Slots] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._reaper: asyncio.Task[None] | None = None
        self.opened = 0
        """Connections opened so far."""

    def fresh(self, branch_id: str, login: dict[str, Any]) -> "_Fresh":
        """A new connection for one caller; closed afterwards. Raises errors of our tree while connecting."""
        return _Fresh(self, branch_id, login)

    def reading(self, branch_id: str, login: dict[str, Any], *, owner: str, reuse: bool) -> "_Reading":
        """A connection for one READ ONLY transaction that is rolled back: one kept for this owner if `reuse` and there is one.

        Whatever transaction the block leaves is rolled back. The connection is kept again unless the block was cancelled.
        """
        return _Reading(self, branch_id, login, (owner, tuple(login.items())), reuse)

    def open_now(self) -> int:
        """Connections that are kept idle or being closed."""
        return sum(map(len, self._idle.values())) + len(self._closing)

    async def aclose(self) -> None:
        """Closes what is kept."""
        if self._reaper is not None:
            self._reaper.cancel()
            with suppress(asyncio.CancelledError):
                await self._reaper
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self._close_idle()

    async def _close_idle(self) -> None:
        kept = [idle for group in self._idle.values() for idle in group]
        self._idle.clear()
        for idle in kept:
            idle.cleaning.cancel()
            await self.close(idle.wire.conn)

    async def enter(self, branch_id: str) -> None:
        """Take one of the branch's places. Every return needs one `leave`."""
        slots = self._slots.get(branch_id) or self._slots.setdefault(branch_id, _Slots())
        most = OPEN_PER_KEPT * self._config.pool_size
        if slots.taken < most and not slots.waiting:
            slots.taken += 1
            return
        place = asyncio.get_running_loop().create_future()
        timer = asyncio.get_running_loop().call_later(self._config.connect_timeout, _resolve, place, False)
        slots.waiting.append(place)
        try:
            got = await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.result():
                self.leave(branch_id)
            raise
        finally:
            timer.cancel()
        if not got:
            raise LimitExceeded(
                f"All {most} connections to branch {branch_id} are in use; end other calls or try again "
                "(sql.pool_size allows more)."
            )

    def leave(self, branch_id: str) -> None:
        """Free the place, for whoever has waited longest."""
        slots = self._slots[branch_id]
        while slots.waiting:
            if _resolve(slots.waiting.popleft(), True):
                return
        slots.taken -= 1
        if not slots.taken:
            del self._slots[branch_id]

    async def lend(self, key: Key, login: dict[str, Any], *, reuse: bool) -> Wire:
        """A kept connection, or a new one; every return needs one `give_back` or `drop`."""
        wire = await self._kept(key) if reuse else None
        if wire is None:
            self._note_lent(key)
            try:
                wire = Wire(await self.connect(login))
            except BaseException:
                self._forget(key)
                raise
        return wire

    async def drop(self, key: Key, wire: Wire) -> None:
        """Nobody knows what is still on its way: the connection is closed."""
        self._forget(key)
        await self.close(wire.conn)

    async def connect(self, login: dict[str, Any]) -> Connection:
        """A new connection; tries again while the server is not there yet. A login that is refused is refused at once."""
        for group in self._idle.values():  # a migration must not meet the locks of a read that has ended
            for idle in group:
                self._clean(idle.wire)
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
            conn = await psycopg.AsyncConnection.connect(autocommit=True, **{**login, **way.changes})
        except BaseException:
            way.closed()
            raise
        self._ways[conn] = way
        return conn

    async def close(self, conn: Connection) -> None:
        try:
            await conn.close()
        finally:
            if (way := self._ways.pop(conn, None)) is not None:
                way.closed()

    def _take(self, key: Key) -> Wire | None:
        """The most recently used idle connection that is still alive, as far as can be seen without asking the server."""
        group = self._idle.get(key, [])
        while group:
            idle = group.pop()
            wire = idle.wire
            idle.cleaning.cancel()
            if not group:
                self._idle.pop(key, None)
            if wire.usable():
                self._note_lent(key)
                return wire
            self._later(self.close(wire.conn))
        return None

    async def _kept(self, key: Key) -> Wire | None:
        """An idle connection; where as many as are kept are in use, one that comes back, as long as any do. None: open one."""
        wire = self._take(key)
        if wire is not None or self._lent.get(key, 0) < self._config.pool_size:
            return wire
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[Wire | None] = loop.create_future()
        began = loop.time()

        timer: asyncio.TimerHandle

        def look() -> None:
            nonlocal timer
            until = max(began, self._came_back.get(key, 0)) + SOON
            if until > loop.time():
                timer = loop.call_at(until, look)
            else:
                _resolve(waiting, None)

        timer = loop.call_at(began + SOON, look)
        self._waiting.setdefault(key, deque()).append(waiting)
        try:
            return await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled() and (handed := waiting.result()) is not None:
                self._pass_on(key, handed)
            raise
        finally:
            timer.cancel()

    def give_back(self, key: Key, wire: Wire) -> None:
        """What ends its transaction and cleans the session is sent with what whoever gets it next sends, or soon by itself. Nothing of
        theirs runs unless that ended well.
        """
        if wire.is_in_the_middle():
            self._forget(key)
            self._later(self.close(wire.conn))
            return
        if wire.status != pq.TransactionStatus.IDLE:
            wire.first(ROLL_BACK)
        wire.first(CLEAN)
        self._pass_on(key, wire)

    def _pass_on(self, key: Key, wire: Wire) -> None:
        """Gives a connection to whoever waits for one, else keeps it if there is room."""
        self._came_back[key] = asyncio.get_running_loop().time()
        while queue := self._waiting.get(key):
            waiting = queue.popleft()
            if not queue:
                del self._waiting[key]
            if _resolve(waiting, wire):
                return  # it stays lent
        self._forget(key)
        if len(self._idle.get(key, [])) >= self._config.pool_size or self._config.pool_idle <= 0:
            self._later(self.close(wire.conn))
            return
        loop = asyncio.get_running_loop()
        cleaning = loop.call_later(LINGER, self._clean, wire)
        self._idle.setdefault(key, []).append(_Idle(wire, loop.time(), cleaning))
        self._reaper = self._reaper or asyncio.create_task(self._reap())

    def _clean(self, wire: Wire) -> None:
        with suppress(psycopg.Error):  # whoever takes it finds that it cannot be used
            wire.send_first()

    def _note_lent(self, key: Key) -> None:
        self._lent[key] = self._lent.get(key, 0) + 1

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
                expired: list[_Idle] = []
                for key, group in list(self._idle.items()):  # nothing comes or goes meanwhile
                    expired += [idle for idle in group if idle.since <= oldest]
                    self._idle[key] = [idle for idle in group if idle.since > oldest]
                    if not self._idle[key]:
                        del self._idle[key]
                for idle in expired:
                    idle.cleaning.cancel()
                    await self.close(idle.wire.conn)
        finally:
            self._reaper = None

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _may_come(error: NeonBranchError) -> bool:
    """A server that is asleep, starting or full may be there a moment later."""
    return isinstance(error, Unreachable | LimitExceeded)


def _resolve(future: "asyncio.Future[Any]", value: Any) -> bool:
    """False for one that nobody waits for any more."""
    if future.done():
        return False
    future.set_result(value)
    return True
