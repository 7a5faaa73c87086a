"""Statements on their way together: taken one by one, none after one that failed, and the connection free again whatever happened."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from neon_branch_mcp.postgres.in_flight import InFlight

pytestmark = pytest.mark.anyio


@pytest.fixture
async def conn(shop_uri: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(shop_uri, autocommit=True) as conn:
        await conn.execute("CREATE TEMPORARY TABLE taken (n int)")
        await conn.execute("BEGIN")
        yield conn


async def results(conn: psycopg.AsyncConnection[Any], *texts: str, take: int) -> list[bytes | None]:
    """Send them all, take that many."""
    async with InFlight(conn) as flight:
        for text in texts:
            flight.add(text)
        flight.go()
        return [(await flight.next()).get_value(0, 0) for _ in range(take)]


async def taken(conn: psycopg.AsyncConnection[Any]) -> list[object]:
    await conn.execute("ROLLBACK TO s" if conn.info.transaction_status == TransactionStatus.INERROR else "SELECT")
    return [n for (n,) in await (await conn.execute("SELECT n FROM taken ORDER BY n")).fetchall()]


async def test_results_come_in_order_and_a_prepared_statement_has_one_of_its_own(
    conn: psycopg.AsyncConnection[Any],
) -> None:
    async with InFlight(conn) as flight:
        flight.add("SELECT 1")
        flight.prepare(b"again", "SELECT count(*) FROM taken")
        flight.add_prepared(b"again")
        flight.add("INSERT INTO taken VALUES (1)")
        flight.add_prepared(b"again")
        flight.go()
        found = [await flight.next() for _ in range(5)]
    assert [result.get_value(0, 0) for result in found if result.ntuples] == [b"1", b"0", b"1"]
    assert await taken(conn) == [1]


async def test_none_runs_after_one_that_failed(conn: psycopg.AsyncConnection[Any]) -> None:
    await conn.execute("SAVEPOINT s")
    with pytest.raises(psycopg.errors.DivisionByZero):
        await results(conn, "SELECT 1", "SELECT 1 / 0", "INSERT INTO taken VALUES (2)", take=2)
    assert conn.info.transaction_status == TransactionStatus.INERROR
    assert await taken(conn) == []


async def test_a_second_statement_in_a_text_is_refused(conn: psycopg.AsyncConnection[Any]) -> None:
    await conn.execute("SAVEPOINT s")
    with pytest.raises(psycopg.errors.SyntaxError, match="multiple commands"):
        await results(conn, "INSERT INTO taken VALUES (1); INSERT INTO taken VALUES (2)", take=1)
    assert await taken(conn) == []


async def test_results_that_nobody_takes_leave_the_connection_free(conn: psycopg.AsyncConnection[Any]) -> None:
    await results(conn, "INSERT INTO taken VALUES (1)", "INSERT INTO taken VALUES (2)", take=1)
    assert await taken(conn) == [1, 2]


async def test_what_runs_when_the_caller_is_cancelled_is_cancelled_too(conn: psycopg.AsyncConnection[Any]) -> None:
    await conn.execute("SAVEPOINT s")
    texts = "SELECT pg_sleep(600)", "INSERT INTO taken VALUES (3)"
    task = asyncio.create_task(results(conn, *texts, take=2))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert conn.info.transaction_status == TransactionStatus.INERROR
    assert await taken(conn) == []


async def test_a_lost_connection_is_told_as_that(conn: psycopg.AsyncConnection[Any]) -> None:
    with pytest.raises(psycopg.OperationalError):
        await results(conn, "SELECT pg_terminate_backend(pg_backend_pid())", "SELECT 1", take=2)
    assert conn.broken
