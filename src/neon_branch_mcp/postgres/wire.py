"""A connection at the level of libpq: which protocol a text goes through, and how much of an answer is taken in.

psycopg chooses between the simple protocol (any number of statements) and the extended one (exactly one) by itself; the guard needs
to choose. Waiting, cancelling and TLS stay psycopg's.
"""

import os
import select
import socket
import struct
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import pq
from psycopg.abc import PQGen
from psycopg.waiting import Ready, Wait

from ..errors import SqlError, SqlFields, TooMuchAtOnce

MAX_MESSAGE = 64 << 20
"""Bytes that one answer may bring before it is cut off; a single value of 1 GB must not end up in memory."""

NOT_CLEAN = "the session could not be cleaned"
_BAD = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE, pq.ExecStatus.NONFATAL_ERROR)
_COPY = (pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_BOTH)
_STATES = {int(state): state for state in pq.TransactionStatus}
_PARTIAL = (pq.ExecStatus.SINGLE_TUPLE, pq.ExecStatus.TUPLES_CHUNK)


@dataclass(frozen=True)
class Statement:
    """One statement of the extended protocol, with its parameters as text and their types."""

    sql: str
    params: Sequence[bytes | None] = ()
    types: Sequence[int] = ()


@dataclass(frozen=True)
class Batch:
    """What came of statements that were sent together: a result for each that ran, and the error of the one that ended it."""

    results: Sequence[pq.abc.PGresult]
    error: psycopg.Error | None

    def all(self) -> Sequence[pq.abc.PGresult]:
        """The results. Raises the error."""
        if self.error is not None:
            raise self.error
        return self.results

    def check_first(self, statements: int) -> None:
        """Raises the error where one of so many statements at the beginning failed."""
        if self.error is not None and len(self.results) < statements:
            raise self.error


@dataclass(frozen=True)
class Moment:
    """What one session's last read found: the catalogue's stamp, and what was visible with it: transactions, and the search_path.

    Where the same is visible again in that session, nothing was committed in between, and the catalogue is the same. `steady`: it was so
    from the read before to this one; where others write all the time, asking for it would be in vain. `judged`: texts whose plans were
    judged with this visible, and would show the same again, each with how many of its rows an answer had room for.
    """

    stamp: str
    visible: str
    steady: bool
    judged: dict[str, int] = field(default_factory=dict)


@dataclass
class Owed:
    """Answers to what had to come first: so many results that have to be good, and so many ends of groups."""

    results: int = 0
    groups: int = 0

    def __bool__(self) -> bool:
        return bool(self.results or self.groups)

    def take(self, result: pq.abc.PGresult | None) -> None:
        """One of them. Raises psycopg.OperationalError where it is not good."""
        if result is None:  # between two statements
            return
        if result.status == pq.ExecStatus.PIPELINE_SYNC:
            self.groups -= 1
        elif result.status in _BAD or result.status == pq.ExecStatus.PIPELINE_ABORTED:
            raise psycopg.OperationalError(NOT_CLEAN)
        else:
            self.results -= 1


class Wire:
    """Sends texts over one psycopg connection that nothing else uses meanwhile."""

    def __init__(self, conn: psycopg.AsyncConnection[tuple[Any, ...]]) -> None:
        self.conn = conn
        self._pgconn = conn.pgconn
        self._first: Sequence[Statement] = ()
        self._owed = Owed()
        self.moment: Moment | None = None
        """What the last read found of the catalogue."""

    @property
    def status(self) -> pq.TransactionStatus:
        """The transaction's state, as the server last said."""
        return _STATES[self._pgconn.transaction_status]

    @property
    def user(self) -> str:
        """The role that is logged in."""
        return self._pgconn.user.decode()

    @property
    def owes(self) -> bool:
        """What had to come first is not answered yet: what arrives belongs to that."""
        return bool(self._owed)

    async def extended(
        self, sql: str, params: Sequence[bytes | None] = (), types: Sequence[int] = ()
    ) -> pq.abc.PGresult:
        """One statement through the extended protocol; the server refuses a second. Raises psycopg.Error."""
        await self._settled()
        self._pgconn.send_query_params(sql.encode(), list(params), list(types) or None)
        return await self._one()

    async def together(self, *statements: Statement) -> Batch:
        """Several statements, each through the extended protocol, in one round trip: none runs after one that failed."""
        self.send(statements)
        return await self.received()

    def send(self, *groups: Sequence[Statement]) -> None:
        """Put statements on their way without waiting; `received` must follow. A group runs although an earlier one failed; one whose
        connection must first be cleaned does not unless that went well.
        """
        self._pgconn.enter_pipeline_mode()
        if self._first:
            groups = ([*self._first, *groups[0]], *groups[1:])
            self._owed.results += len(self._first)
            self._first = ()
        for group in groups:
            for one in group:
                self._pgconn.send_query_params(one.sql.encode(), list(one.params), list(one.types) or None)
            self._pgconn.pipeline_sync()
        self._pgconn.flush()

    async def received(self, groups: int = 1) -> Batch:
        """What came of the groups that were sent. Raises psycopg.Error when what had to come ahead of them failed."""
        batch = await self.conn.wait(_batch(self._pgconn, groups, self._owed))
        self._leave_pipeline()
        return batch

    def first(self, *statements: Statement) -> None:
        """These are sent ahead of whatever is sent next, or by `send_first`; all of them have to end well before anything else runs."""
        self._first = (*self._first, *statements)

    def send_first(self) -> None:
        """Put what has to come first on its way by itself. Its answers are taken in before that of the next."""
        if self._first:
            self.send(())
            self._owed.groups += 1

    async def _settled(self) -> None:
        """Nothing that had to come first is unsent or unanswered. Raises psycopg.Error when it failed."""
        self.send_first()
        if self._owed:
            (await self.conn.wait(_batch(self._pgconn, 0, self._owed))).all()
        self._leave_pipeline()

    def usable(self) -> bool:
        """No goodbye of the server has arrived, what had to come first has not failed, and no transaction is open that this will not end,
        as far as can be seen without waiting.
        """
        if self.conn.closed:
            return False
        try:
            self._take_in_owed()
        except psycopg.Error:
            return False
        if self._owed:
            return self._pgconn.status == pq.ConnStatus.OK
        self._leave_pipeline()
        return not self.is_in_the_middle() and (bool(self._first) or self.status == pq.TransactionStatus.IDLE)

    def _take_in_owed(self) -> None:
        """Takes in what has arrived of what is owed. Raises psycopg.Error where it failed.

        libpq reads one record of TLS at a time, and the server sends at least one for each group and each notice.
        """
        arrived = select.poll()
        arrived.register(self._pgconn.socket, select.POLLIN)
        self._pgconn.consume_input()
        while self._owed:
            if self._pgconn.is_busy():
                if not arrived.poll(0):
                    return
                self._pgconn.consume_input()
                continue
            self._owed.take(self._pgconn.get_result())

    def is_in_the_middle(self) -> bool:
        """Nothing can be sent: a goodbye of the server has arrived, or an answer is still on its way."""
        if self.conn.closed:
            return True
        try:
            self._pgconn.consume_input()
        except psycopg.Error:
            return True
        busy = self.status in (pq.TransactionStatus.ACTIVE, pq.TransactionStatus.UNKNOWN)
        return busy or self._pgconn.status != pq.ConnStatus.OK

    def _leave_pipeline(self) -> None:
        if self._pgconn.status == pq.ConnStatus.OK:
            self._pgconn.exit_pipeline_mode()

    async def parse(self, sql: str, types: Sequence[int]) -> None:
        """Have the server parse one statement, without running it. Raises psycopg.Error."""
        await self._settled()
        self._pgconn.send_prepare(b"", sql.encode(), list(types) or None)
        await self._one()

    async def ours(self, sql: str) -> pq.abc.PGresult:
        """Several statements of our own through the simple protocol; the last result. Never a caller's text."""
        await self._settled()
        self._pgconn.send_query(sql.encode())
        return await self._one()

    async def stream(
        self, sql: str, params: Sequence[bytes | None] | None, types: Sequence[int], *, chunk: int
    ) -> AsyncIterator[pq.abc.PGresult]:
        """Results as they come, rows in chunks. Without parameters any number of statements (simple protocol), else one.

        Raises psycopg.Error for the statement that fails; what came before has been yielded.
        """
        await self._settled()
        if params is None:
            self._pgconn.send_query(sql.encode())
        else:
            self._pgconn.send_query_params(sql.encode(), list(params), list(types) or None)
        self._set_chunked(chunk)
        error: Exception | None = None
        while (result := await self.conn.wait(_answer(self._pgconn))) is not None:
            if result.status in _COPY:
                error = error or self._end_copy(result)
                continue
            if result.status in _BAD:
                error = error or psycopg.errors.error_from_result(result)
            elif error is None:
                yield result
        if error is not None:
            raise error

    def _set_chunked(self, chunk: int) -> None:
        try:
            self._pgconn.set_chunked_rows_mode(chunk)
        except psycopg.NotSupportedError:  # libpq before 17
            self._pgconn.set_single_row_mode()

    def _end_copy(self, result: pq.abc.PGresult) -> SqlError:
        """COPY has no stream to read from or write to here: it fails in the server, and with it what it was part of."""
        if result.status == pq.ExecStatus.COPY_IN:
            self._pgconn.put_copy_end(COPY_REFUSED.encode())
            return SqlError(f"{COPY_REFUSED}. {NOT_DONE}", SqlFields())
        self._pgconn.finish()
        raise SqlError(f"{COPY_REFUSED}. {NOT_DONE}", SqlFields())

    async def _one(self) -> pq.abc.PGresult:
        """All of an answer; its last result, or the first error."""
        last: pq.abc.PGresult | None = None
        error: Exception | None = None
        while (result := await self.conn.wait(_answer(self._pgconn))) is not None:
            if result.status in _COPY:
                error = error or self._end_copy(result)
            elif result.status in _BAD:
                error = error or psycopg.errors.error_from_result(result)
            else:
                last = result
        if error is not None:
            raise error
        if last is None:
            raise psycopg.OperationalError("the server gave no answer")
        return last


COPY_REFUSED = "COPY needs a stream of data, which a tool call does not have; use INSERT, or psql with the branch's connection string"
NOT_DONE = "Nothing of this text that was not committed took effect."


def is_partial(result: pq.abc.PGresult) -> bool:
    """Rows of a result that goes on."""
    return result.status in _PARTIAL


def _answer(pgconn: pq.abc.PGconn) -> "PQGen[pq.abc.PGresult | None]":
    """Send what waits to be sent, then take in one result, counting its bytes."""
    yield from _sent(pgconn)
    yield from _arrived(pgconn)
    return pgconn.get_result()


def _batch(pgconn: pq.abc.PGconn, groups: int, owed: Owed) -> "PQGen[Batch]":
    """Send what waits to be sent, then take in the results of that many groups, after what is `owed`.

    An error in what is owed ends the connection: it is not what it should be.
    """
    yield from _sent(pgconn)
    results: list[pq.abc.PGresult] = []
    error: psycopg.Error | None = None
    owes = bool(owed)
    while (owes or groups) and pgconn.status == pq.ConnStatus.OK:
        if pgconn.is_busy():
            try:
                yield from _arrived(pgconn)
            except psycopg.OperationalError as exc:  # why the server ended the connection may have come before its end
                return Batch(results, error or exc)
        result = pgconn.get_result()
        if result is None:  # between two statements
            continue
        if owes:
            try:
                owed.take(result)
            except psycopg.OperationalError:
                pgconn.finish()
                raise
            owes = bool(owed)
            continue
        status = result.status
        if status == pq.ExecStatus.PIPELINE_SYNC:
            groups -= 1
        elif status in _BAD:
            error = error or psycopg.errors.error_from_result(result)
        elif status != pq.ExecStatus.PIPELINE_ABORTED:
            results.append(result)
    return Batch(results, error)


def _sent(pgconn: pq.abc.PGconn) -> "PQGen[None]":
    while pgconn.flush():
        ready = yield Wait.RW
        if ready & Ready.R:
            pgconn.consume_input()


def _arrived(pgconn: pq.abc.PGconn) -> "PQGen[None]":
    """Returns once a result can be taken without waiting. What the first reading brings is not counted: it is a buffer's worth."""
    if not pgconn.is_busy():
        return
    yield from _readable(pgconn)
    if not pgconn.is_busy():
        return
    with socket.socket(fileno=os.dup(pgconn.socket)) as wire:
        before = _received(wire)
        while pgconn.is_busy():
            yield from _readable(pgconn)
            if _received(wire) - before > MAX_MESSAGE:
                pgconn.finish()
                raise TooMuchAtOnce(
                    f"The answer is larger than {MAX_MESSAGE >> 20} MB, and the connection was closed. "
                    "Select fewer or smaller values: left(), substring(), length() or an aggregate."
                )


def _readable(pgconn: pq.abc.PGconn) -> "PQGen[None]":
    while not (yield Wait.R):
        continue
    pgconn.consume_input()


_BYTES_RECEIVED = 128  # offset of tcpi_bytes_received in Linux' struct tcp_info, a u64


def _received(wire: socket.socket) -> int:
    """Bytes that have come over this TCP connection; 0 where the system does not say (libpq itself does not)."""
    if sys.platform != "linux" or wire.family not in (socket.AF_INET, socket.AF_INET6):
        return 0
    info = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RECEIVED + 8)
    return int(struct.unpack_from("=Q", info, _BYTES_RECEIVED)[0]) if len(info) >= _BYTES_RECEIVED + 8 else 0
