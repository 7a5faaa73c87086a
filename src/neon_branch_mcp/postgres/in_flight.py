"""Statements sent together whose results are taken one by one, as they arrive: one round trip, and still the time that each one took."""

import asyncio
from types import TracebackType
from typing import Any

import psycopg
from psycopg import pq
from psycopg.abc import PQGen
from psycopg.waiting import Wait

_BAD = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE, pq.ExecStatus.NONFATAL_ERROR)
DRAIN = 2.0
"""Seconds after which what still runs at the end is cancelled: its results are of no use to anybody."""


class InFlight:
    """A context: `add` in it what is to be sent, `go`, then `next` for each result in order.

    Each statement goes through the extended protocol, where the server refuses a second one in the text. None runs after one that failed.
    Nothing else may use the connection meanwhile; at the end of the block it is free again, whatever happened.
    """

    def __init__(self, conn: psycopg.AsyncConnection[Any]) -> None:
        self._conn = conn
        self._pgconn = conn.pgconn

    async def __aenter__(self) -> "InFlight":
        self._pgconn.enter_pipeline_mode()
        return self

    def add(self, sql: str) -> None:
        """One statement."""
        self._pgconn.send_query_params(sql.encode(self._conn.info.encoding), None)
        self._pgconn.send_flush_request()  # else its result would wait in the server for those of the others

    def add_unhurried(self, sql: str) -> None:
        """One statement, whose result may come with that of the next."""
        self._pgconn.send_query_params(sql.encode(self._conn.info.encoding), None)

    def prepare(self, name: bytes, sql: str) -> None:
        """Have a statement prepared; this has a result of its own."""
        self._pgconn.send_prepare(name, sql.encode(self._conn.info.encoding))

    def add_prepared(self, name: bytes) -> None:
        """A statement that was prepared."""
        self._pgconn.send_query_prepared(name, None)
        self._pgconn.send_flush_request()

    def go(self) -> None:
        """Send it all."""
        self._pgconn.pipeline_sync()

    async def next(self) -> pq.abc.PGresult:
        """The next result, when it is there. Raises psycopg.Error where its statement failed; then there is no other."""
        return await self._conn.wait(_next(self._pgconn))

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._pgconn.status == pq.ConnStatus.OK:
            try:
                async with asyncio.timeout(DRAIN):
                    await self._conn.wait(_drained(self._pgconn))
                self._pgconn.exit_pipeline_mode()
                return
            except TimeoutError:
                continue  # the server was asked to cancel what runs
            except psycopg.Error:
                return  # the connection is lost, and with it whatever was open


def _next(pgconn: pq.abc.PGconn) -> "PQGen[pq.abc.PGresult]":
    while True:
        yield from _ready(pgconn)
        result = pgconn.get_result()
        if result is None:  # between two statements
            continue
        if result.status in _BAD:
            raise psycopg.errors.error_from_result(result)
        return result


def _drained(pgconn: pq.abc.PGconn) -> "PQGen[None]":
    while True:
        yield from _ready(pgconn)
        result = pgconn.get_result()
        if result is not None and result.status == pq.ExecStatus.PIPELINE_SYNC:
            return


def _ready(pgconn: pq.abc.PGconn) -> "PQGen[None]":
    """Returns once a result can be taken without waiting; sends what waits to be sent, for the server may wait for it."""
    while pgconn.flush():
        if (yield Wait.RW) & Wait.R:
            pgconn.consume_input()
    while pgconn.is_busy():
        if (yield Wait.R):
            pgconn.consume_input()
