"""Runs what the guard let through, over a connection of its own, and nothing else.

Reading: `BEGIN READ ONLY`, time-outs of the transaction's own, the catalogue's stamp compared, EXPLAIN (VERBOSE) judged (`opening`: where
nothing was committed since, both may stand), then the caller's own text through `DECLARE … CURSOR FOR` (or, for SHOW and EXPLAIN, the
extended protocol), which the server refuses when it holds two statements; always rolled back. Its connection may be kept, and is cleaned.
Writing: what Postgres allows; one statement commits by itself, a script as the simple protocol does it, over a connection of its own.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import Any, Generic, TypeVar

import anyio
import anyio.to_thread
import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from ..config import Secret, SqlConfig
from ..errors import (
    AuthError,
    ConfigError,
    NotFound,
    Refused,
    SqlError,
    TimedOut,
    TooMuchAtOnce,
    UnknownOutcome,
    Unreachable,
)
from ..guard.functions import FunctionCatalogue
from ..guard.policy import VettedSql
from ..models import Access
from ..tracing import span
from .beyond import connections, reached
from .call import Call, Try, roll_back
from .catalogue import read_catalogue, read_stamp
from .errors import translating
from .opening import has_read, judge, open_known, raise_refused, read_again
from .rows import RowSet, RowSink
from .sessions import Connection, FindWay, Sessions
from .target import Target
from .waiting import uninterrupted
from .wire import Statement, Wire

T = TypeVar("T")
A = TypeVar("A", bound=Try)
C = TypeVar("C")
CATALOGUES = 64
LOGINS = 256
GRACE = 5.0
CANCELLING = 12.0
"""Seconds that psycopg may take to cancel a statement in a server that does not answer."""
UNKNOWN = (
    "The write was sent once and its answer was lost: it may or may not have taken effect. Look before you repeat it."
)
PINNED = {
    "standard_conforming_strings": "on",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}


class Executor:
    """One per server. Safe for concurrent calls: each has its own connection."""

    def __init__(self, config: SqlConfig, find_way: FindWay | None = None) -> None:
        self._config = config
        self.sessions = Sessions(config, find_way)
        self._catalogues: OrderedDict[tuple[str, str, str], FunctionCatalogue] = OrderedDict()
        self._unsure: set[tuple[str, str, str]] = set()
        self._logins: dict[tuple[Secret, Access, str, bool], dict[str, Any]] = {}
        seconds = config.read_timeout
        self._limits = _ms(seconds), _ms(min(seconds, config.lock_timeout)), _ms(seconds + 5)
        """Milliseconds of a read's transaction: for a statement, for a lock, for idling."""

    async def run(
        self,
        target: Target,
        vetted: VettedSql,
        *,
        params: Sequence[Any] | None,
        max_rows: int,
        max_bytes: int,
        max_cell: int | None = None,
    ) -> RowSet:
        """Run it; at most `max_rows` rows and `max_bytes` bytes of answer, cells cut at `max_cell` (else the setting). Cancelling the
        coroutine cancels the statement in Postgres.

        Raises Refused when the database itself shows a reason that the text did not, SqlError, TimedOut, Unreachable, ….
        """
        cell = max_cell or self._config.max_cell

        def attempt(*, careful: bool = False) -> Call:
            sink = RowSink(max_rows=max_rows, max_bytes=max_bytes, max_cell=cell)
            return Call(vetted, params, sink, careful=careful)

        facts = {
            "db.system.name": "postgresql",
            "db.operation.name": vetted.intent,
            "db.namespace": target.database,
            "neon.branch.id": target.branch_id,
            "neon.branch.access": vetted.access,
        }
        with span(f"postgres {vetted.intent}", facts):
            try:
                return await self._twice(attempt, lambda call: self._run(target, call))
            except TooMuchAtOnce:
                if vetted.access == "read-write" or vetted.channel != "cursor":
                    raise
            # Rows that are larger than they looked: they are read again, a row at a time at first.
            return await self._twice(partial(attempt, careful=True), lambda call: self._run(target, call))

    async def catalogue(self, target: Target, *, fresh: bool = False) -> FunctionCatalogue:
        """What the database says of its functions: remembered, unless `fresh`. `run` compares it again before it reads."""
        known = self._catalogues.get(_key(target))
        if known is not None and not fresh and _key(target) not in self._unsure:
            return known
        return await self._twice(Try, lambda attempt: self._load(target, attempt))

    @asynccontextmanager
    async def session(self, target: Target, *, purpose: str) -> AsyncIterator[psycopg.AsyncConnection[tuple[Any, ...]]]:
        """A direct autocommit connection of the caller's own, with time-outs and pinned settings; closed afterwards.

        psycopg's errors leave it as ours. On a read-only target every transaction is READ ONLY by default.
        """
        read_only = target.access == "read-only"

        with translating():
            async with self._logged_in(target, lambda there: self._fresh(there, purpose, read_only=read_only)) as conn:
                yield conn

    @asynccontextmanager
    async def looking(self, target: Target) -> AsyncIterator[psycopg.AsyncConnection[tuple[Any, ...]]]:
        """As `session`, for questions of our own alone, never a caller's text: it only reads, so a connection that is kept for reading
        serves, and is kept again. One of these already knows the catalogue, which takes a new one longer than most questions.
        """
        with translating():
            async with AsyncExitStack() as stack:
                wire = await stack.enter_async_context(self._kept(target, reuse=True))
                if not await _answers(wire):
                    await stack.aclose()
                    wire = await stack.enter_async_context(self._kept(target, reuse=False))
                # The cleaning of the session ends what psycopg would think is still prepared.
                wire.conn.prepare_threshold = None
                yield wire.conn

    async def self_test(self, target: Target, probe: VettedSql) -> None:
        """Send two statements the way a vetted read goes. Raises ConfigError when the server takes them: then nothing may be served."""
        try:
            await self.run(target, probe, params=None, max_rows=1, max_bytes=1_000)
        except SqlError as exc:
            if exc.fields.sqlstate == "42601":
                return
            raise
        raise ConfigError(
            "Self-test failed: this Postgres accepted two statements where one was sent. The guard's third layer does not hold here."
        )

    def forget(self, target: Target) -> None:
        """Something may have changed the target's database: what is remembered of it is compared before it is used again."""
        if _key(target) in self._catalogues:
            self._unsure.add(_key(target))

    async def aclose(self) -> None:
        """Closes idle connections."""
        self._catalogues.clear()
        self._unsure.clear()
        await self.sessions.aclose()

    async def _load(self, target: Target, attempt: Try) -> FunctionCatalogue:
        with translating():
            async with self._logged_in(target, lambda there: self._reading(there, reuse=attempt.reuse)) as wire:
                attempt.connected = True
                await wire.ours(self._begin(read_only=True))
                try:
                    _, stamp = await read_stamp(wire)
                    known = self._catalogues.get(_key(target))
                    if known is None or known.stamp != stamp:
                        known = await read_catalogue(wire, stamp)
                    return self._remember(target, known)
                finally:
                    await roll_back(wire)

    def _remember(self, target: Target, catalogue: FunctionCatalogue) -> FunctionCatalogue:
        self._catalogues[_key(target)] = catalogue
        self._unsure.discard(_key(target))
        while len(self._catalogues) > CATALOGUES:
            self._unsure.discard(self._catalogues.popitem(last=False)[0])
        return catalogue

    async def _twice(self, make: Callable[[], A], work: Callable[[A], Coroutine[Any, Any, T]]) -> T:
        """`work`, and once more when its connection was lost and nothing that lasts was sent. Ends in time, whatever the network does."""
        attempt = make()
        try:
            return await self._in_time(attempt, work(attempt))
        except Unreachable as exc:
            _raise_unless_repeatable(attempt, exc)
        second = make()
        second.reuse = False
        try:
            return await self._in_time(second, work(second))
        except Unreachable as exc:
            if second.sent:
                raise UnknownOutcome(f"{exc.message} {UNKNOWN}") from exc
            raise

    async def _in_time(self, attempt: Try, work: Coroutine[Any, Any, T]) -> T:
        """Ends `work` where neither Postgres nor the network ends it, and before the caller's deadline can cut off the reason."""
        remaining = anyio.current_effective_deadline() - asyncio.get_running_loop().time()
        seconds = min(self._limit(attempt), max(remaining - CANCELLING, remaining / 2))
        try:
            return await uninterrupted(work, seconds)
        except TimeoutError:
            left = UNKNOWN if attempt.sent else "Nothing took effect."
            text = f"Postgres did not answer within {seconds:.0f} s, and the call was given up. {left}"
            raise TimedOut(text) from None

    def _limit(self, attempt: Try) -> float:
        """Seconds after which a server that enforces its own time-outs would have answered."""
        config = self._config
        if attempt.reading:
            return config.connect_timeout + 2 * config.read_timeout + GRACE
        return config.connect_timeout + config.statement_timeout * attempt.statements + GRACE

    async def _run(self, target: Target, call: Call) -> RowSet:
        """A kept connection only for what is READ ONLY and rolled back."""
        vetted = call.vetted
        with translating(sql=vetted.text, prefix=len(vetted.prefix)):
            if call.reading and vetted.layers.transaction:
                async with self._logged_in(target, lambda there: self._reading(there, reuse=call.reuse)) as wire:
                    return await self._heard(wire, target, call)
            async with self._logged_in(
                target, lambda there: self._fresh(there, vetted.intent, read_only=False)
            ) as conn:
                return await self._heard(Wire(conn), target, call)

    async def _heard(self, wire: Wire, target: Target, call: Call) -> RowSet:
        call.connected = True

        def hear(diagnostic: psycopg.errors.Diagnostic) -> None:
            if not wire.owes:  # else it is of the cleaning after whoever was here before
                call.hear(diagnostic)

        wire.conn.add_notice_handler(hear)
        try:
            return await self._converse(wire, target, call)
        finally:
            wire.conn.remove_notice_handler(hear)

    def _fresh(self, target: Target, purpose: str, *, read_only: bool) -> AbstractAsyncContextManager[Connection]:
        return self.sessions.fresh(target.branch_id, self._login(target, purpose=purpose, read_only=read_only))

    def _reading(self, target: Target, *, reuse: bool) -> AbstractAsyncContextManager[Wire]:
        login = self._login(target, purpose="read", read_only=True)
        return self.sessions.reading(target.branch_id, login, owner=target.owner, reuse=reuse)

    def _kept(self, target: Target, *, reuse: bool) -> AbstractAsyncContextManager[Wire]:
        return self._logged_in(target, lambda there: self._reading(there, reuse=reuse))

    def _logged_in(
        self, target: Target, opened: Callable[[Target], AbstractAsyncContextManager[C]]
    ) -> AbstractAsyncContextManager[C]:
        return _LoggedIn(target, opened, self._reader(target))

    async def _converse(self, wire: Wire, target: Target, call: Call) -> RowSet:
        await call.choose_types(wire)
        if call.reading:
            return await self._read(wire, target, call)
        call.warn_of_lockout(wire.user)
        try:
            return await self._write(wire, call)
        finally:
            if call.vetted.changes_schema:
                self.forget(target)

    async def _read(self, wire: Wire, target: Target, call: Call) -> RowSet:
        """In a READ ONLY transaction, which the connection's owner rolls back as soon as it is given back, whatever happens."""
        known = self._firm(target, call)
        rows = None if known is None else await read_again(wire, call, known, self._limits)
        if rows is None:
            if known is None or not await open_known(wire, call, known, self._limits):
                await self._open_unknown(wire, target, call)
            rows = await call.rows(wire)
        has_read(wire, call, rows)
        if wire.status != pq.TransactionStatus.INTRANS:
            raise Refused(
                f"The transaction ended early ({wire.status.name}); its answer is withheld.", rule="transaction"
            )
        if not call.vetted.layers.transaction:
            await wire.ours("COMMIT")
        return rows

    def _firm(self, target: Target, call: Call) -> FunctionCatalogue | None:
        """The catalogue that is known, where the call's transaction compares it again and it lets the call pass."""
        layers = call.vetted.layers
        if not (layers.transaction and (layers.functions or layers.plan)):
            return None
        known = self._catalogues.get(_key(target)) or call.vetted.catalogue
        if known is None or known is call.vetted.catalogue:  # by which the guard let it pass
            return known
        return known if call.vetted.judge_again(known) is None else None

    async def _open_unknown(self, wire: Wire, target: Target, call: Call) -> None:
        """Begin, and ask the database step by step. Raises Refused."""
        layers = call.vetted.layers
        await wire.ours(self._begin(read_only=layers.transaction))
        read_only, stamp = await read_stamp(wire)
        if layers.transaction and not read_only:
            raise Refused("Postgres did not open a READ ONLY transaction. Nothing was executed.", rule="transaction")
        if not (layers.functions or layers.plan):
            return
        catalogue = self._catalogues.get(_key(target)) or call.vetted.catalogue
        if catalogue is None or catalogue.stamp != stamp:
            catalogue = self._remember(target, await read_catalogue(wire, stamp))
        raise_refused(call.vetted.judge_again(catalogue))
        plan, _ = await call.open(wire, ())
        await judge(call, plan, catalogue)

    async def _write(self, wire: Wire, call: Call) -> RowSet:
        vetted = call.vetted
        if not vetted.rollback and not vetted.watched and vetted.channel != "cursor":
            call.sent = True
            return await call.stream(wire)
        if vetted.watched:
            return await self._watched(wire, call)
        await wire.ours("BEGIN")
        try:
            rows = await call.rows(wire)
            if not vetted.rollback:
                call.sent = True
                await wire.ours("COMMIT")
            return rows
        finally:
            await roll_back(wire)

    async def _watched(self, wire: Wire, call: Call) -> RowSet:
        """In a transaction that is committed only if it stayed on this server."""
        try:
            before = await connections(wire, Statement("BEGIN"))
            rows = await call.rows(wire)
            call.sent = not call.vetted.rollback
            await wire.ours(f"{before.stayed()}; {'ROLLBACK' if call.vetted.rollback else 'COMMIT'}")
            return rows
        except psycopg.Error as exc:
            if how := reached(exc):
                raise call.vetted.reached_beyond(how).error() from exc
            raise
        finally:
            await roll_back(wire)

    def _begin(self, *, read_only: bool) -> str:
        statement, lock, idle = self._limits
        return (
            f"BEGIN{' READ ONLY' if read_only else ''}; SET LOCAL statement_timeout = {statement}; "
            f"SET LOCAL lock_timeout = {lock}; SET LOCAL idle_in_transaction_session_timeout = {idle}"
        )

    def _reader(self, target: Target) -> tuple[str, Secret] | None:
        """The login for read-only work, where one is configured."""
        role, password = self._config.reader_role, self._config.reader_password
        return (role, password) if target.access == "read-only" and role and password else None

    def _login(self, target: Target, *, purpose: str, read_only: bool) -> dict[str, Any]:
        """What a session is opened with; not to be changed. Putting it together costs a tenth of a small read."""
        asked = (target.conninfo, target.access, purpose, read_only)
        if asked not in self._logins:
            if len(self._logins) >= LOGINS:
                self._logins.clear()
            self._logins[asked] = self._made_login(target, purpose=purpose, read_only=read_only)
        return self._logins[asked]

    def _made_login(self, target: Target, *, purpose: str, read_only: bool) -> dict[str, Any]:
        known = conninfo_to_dict(target.conninfo.reveal())
        reading = target.access == "read-only"
        settings = PINNED | {
            "statement_timeout": _ms(self._config.read_timeout if reading else self._config.statement_timeout),
            "lock_timeout": _ms(self._config.lock_timeout),
            "default_transaction_read_only": "on" if read_only else "off",
        }
        reader = self._reader(target)
        if reader is not None:
            # A table whose rows are hidden from the reader gives an error, not an answer that lacks them.
            settings["row_security"] = "off"
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        changes: dict[str, Any] = {
            "options": f"{known.get('options') or ''} {options}".strip(),
            "application_name": f"neon-branch-mcp {purpose}",
            "client_encoding": "UTF8",
        }
        if reader is not None:
            changes |= {"user": reader[0], "password": reader[1].reveal()}
        return known | changes


@dataclass
class _LoggedIn(Generic[C]):
    """What `opened` opens. A login that was refused has run nothing: it is tried once more with the one that holds now.

    A `reader`'s login that fails is the operator's to mend.
    """

    target: Target
    opened: Callable[[Target], AbstractAsyncContextManager[C]]
    reader: tuple[str, Secret] | None
    entered: AbstractAsyncContextManager[C] | None = None

    async def __aenter__(self) -> C:
        target = self.target
        try:
            return await self._enter(target)
        except (AuthError, NotFound) as exc:  # a database may have been renamed, or dropped
            if self.reader is not None and isinstance(exc, AuthError):
                raise ConfigError(
                    f'The reader login {self.reader[0]} cannot log in on "{target.branch_name}": `neon-branch-mcp setup-reader` makes '
                    "it or renews its password; a branch made before it needs a run of its own (--branch)."
                ) from exc
            if target.renew is None or self.reader is not None:
                raise
            now = await target.renew(target.conninfo)
            if now == target.conninfo:
                raise
        return await self._enter(replace(target, conninfo=now))

    async def _enter(self, target: Target) -> C:
        self.entered = self.opened(target)
        return await self.entered.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self.entered is not None
        return await self.entered.__aexit__(kind, exc, trace)


async def _answers(wire: Wire) -> bool:
    """Whether a connection that was kept is still there."""
    try:
        await wire.ours("SELECT 1")
    except psycopg.Error:
        return False
    return True


def _raise_unless_repeatable(attempt: Try, exc: Unreachable) -> None:
    """Only a read whose connection had been there is asked for again."""
    if attempt.sent:
        raise UnknownOutcome(f"{exc.message} {UNKNOWN}") from exc
    if not (attempt.connected and attempt.reading):
        raise exc


def _key(target: Target) -> tuple[str, str, str]:
    return target.branch_id, target.database, target.owner


def _ms(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))
