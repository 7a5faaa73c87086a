"""Kept connections: who waits for one, who opens another, and that nobody's statement runs in one that was not cleaned."""

import asyncio
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from neon_branch_mcp.config import SqlConfig
from neon_branch_mcp.errors import NotFound
from neon_branch_mcp.postgres import sessions as module
from neon_branch_mcp.postgres.sessions import Sessions, Way
from neon_branch_mcp.postgres.wire import Statement, Wire

pytestmark = pytest.mark.anyio


async def pid(wire: Wire) -> int:
    """Whose session it is, asked as a read asks: together, after what was sent ahead."""
    batch = await wire.together(Statement("SELECT pg_catalog.pg_backend_pid()"))
    return int(batch.all()[0].get_value(0, 0) or b"0")


async def test_who_waits_gets_the_connection_that_comes_back_and_none_is_opened(database_uri: str) -> None:
    login: dict[str, Any] = conninfo_to_dict(database_uri)
    sessions = Sessions(SqlConfig(pool_size=1))
    seen: list[int] = []

    async def read() -> None:
        async with sessions.reading("br", login, owner="", reuse=True) as wire:
            seen.append(await pid(wire))
            await asyncio.sleep(module.SOON / 10)

    await read()
    await asyncio.gather(*(read() for _ in range(20)))  # one after the other, more than SOON together
    assert len(set(seen)) == 1
    assert sessions.opened == 1
    await sessions.aclose()


async def test_where_none_comes_back_soon_who_waits_opens_another(database_uri: str) -> None:
    login: dict[str, Any] = conninfo_to_dict(database_uri)
    sessions = Sessions(SqlConfig(pool_size=1))
    async with (
        sessions.reading("br", login, owner="", reuse=True) as first,
        sessions.reading("br", login, owner="", reuse=True) as second,
    ):
        assert await pid(first) != await pid(second)
    assert sessions.opened == 2
    await sessions.aclose()


async def test_who_gives_up_waiting_takes_no_connection_along(database_uri: str) -> None:
    login: dict[str, Any] = conninfo_to_dict(database_uri)
    sessions = Sessions(SqlConfig(pool_size=1))

    async def read() -> int:
        async with sessions.reading("br", login, owner="", reuse=True) as wire:
            return await pid(wire)

    async with sessions.reading("br", login, owner="", reuse=True) as wire:
        held = await pid(wire)
        tired = asyncio.create_task(read())
        await asyncio.sleep(0)
    tired.cancel()  # it was handed the connection just now
    with pytest.raises(asyncio.CancelledError):
        await tired
    assert await read() == held
    assert sessions.opened == 1
    await sessions.aclose()


async def test_a_session_that_could_not_be_cleaned_answers_nobody(
    database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    login: dict[str, Any] = conninfo_to_dict(database_uri)
    sessions = Sessions(SqlConfig(pool_size=1))
    monkeypatch.setattr(module, "CLEAN", Statement("SELECT 1/0"))
    async with sessions.reading("br", login, owner="", reuse=True) as wire:
        assert await pid(wire)
    kept = wire
    await asyncio.sleep(0.2)  # what came of the cleaning is here by now, and seen
    async with sessions.reading("br", login, owner="", reuse=True) as wire:
        assert wire is not kept
    async with sessions.reading("br", login, owner="", reuse=False) as wire:
        wire.first(module.CLEAN)
        wire.send_first()  # not here yet: seen before the answer
        with pytest.raises(psycopg.OperationalError, match="could not be cleaned"):
            await pid(wire)
        assert wire.conn.closed
    await sessions.aclose()


async def test_who_waits_finds_the_session_clean_and_its_last_transaction_ended(database_uri: str) -> None:
    login: dict[str, Any] = conninfo_to_dict(database_uri)
    sessions = Sessions(SqlConfig(pool_size=1))
    held = asyncio.Event()

    async def dirty() -> None:
        async with sessions.reading("br", login, owner="", reuse=True) as wire:
            held.set()
            await asyncio.sleep(module.SOON / 10)
            await wire.ours(
                "SET extra_float_digits = 3; SELECT pg_advisory_lock(7); BEGIN READ ONLY; SET LOCAL lock_timeout = 77"
            )

    async def clean() -> Sequence[str]:
        await held.wait()
        async with sessions.reading("br", login, owner="", reuse=True) as wire:
            asked = ("extra_float_digits", "lock_timeout", "transaction_read_only")
            told = (await wire.together(*(Statement(f"SHOW {name}") for name in asked), Statement(LOCKS))).all()
            return [(result.get_value(0, 0) or b"").decode() for result in told]

    _, found = await asyncio.gather(dirty(), clean())
    assert found == ["1", "0", "off", "0"]
    assert sessions.opened == 1
    await sessions.aclose()


LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"


async def test_who_reads_on_at_once_finds_the_session_clean_too(database_uri: str) -> None:
    login: dict[str, Any] = conninfo_to_dict(database_uri)
    sessions = Sessions(SqlConfig(pool_size=1))
    for ending in ("BEGIN READ ONLY; SET LOCAL lock_timeout = 77", "SET lock_timeout = 77"):
        async with sessions.reading("br", login, owner="", reuse=True) as wire:
            await wire.ours(ending)
        async with sessions.reading("br", login, owner="", reuse=True) as wire:
            told = (await wire.together(Statement("SHOW lock_timeout"), Statement("SHOW transaction_read_only"))).all()
            assert [result.get_value(0, 0) for result in told] == [b"0", b"off"]
    assert sessions.opened == 1
    await sessions.aclose()


async def test_nothing_of_who_waits_runs_in_a_session_that_could_not_be_cleaned(
    database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    login: dict[str, Any] = conninfo_to_dict(database_uri)
    sessions = Sessions(SqlConfig(pool_size=1))
    monkeypatch.setattr(module, "CLEAN", Statement("SELECT 1/0"))
    held = asyncio.Event()

    async def first() -> None:
        async with sessions.reading("br", login, owner="", reuse=True):
            held.set()
            await asyncio.sleep(module.SOON / 10)

    async def second() -> Wire:
        await held.wait()
        async with sessions.reading("br", login, owner="", reuse=True) as wire:
            with pytest.raises(psycopg.OperationalError, match="could not be cleaned"):
                await wire.together(Statement("CREATE TABLE theirs ()"))
            return wire

    _, wire = await asyncio.gather(first(), second())
    assert wire.conn.closed
    async with await psycopg.AsyncConnection.connect(database_uri) as other:
        assert await (await other.execute("SELECT to_regclass('theirs')")).fetchone() == (None,)
    await sessions.aclose()


async def test_a_transaction_soon_ends_where_nobody_reads_on(database_uri: str) -> None:
    login: dict[str, Any] = conninfo_to_dict(database_uri)
    sessions = Sessions(SqlConfig(pool_size=1))
    async with sessions.reading("br", login, owner="", reuse=True) as wire:
        await wire.ours("BEGIN READ ONLY")
        session = await pid(wire)
    async with await psycopg.AsyncConnection.connect(database_uri, autocommit=True) as other:
        async with asyncio.timeout(10):
            asked = "SELECT state FROM pg_stat_activity WHERE pid = %s"
            while await (await other.execute(asked, [session])).fetchone() != ("idle",):  # noqa: ASYNC110 - Postgres sends no event
                await asyncio.sleep(0.01)
    await sessions.aclose()


async def test_who_opens_a_session_to_write_meets_no_lock_of_a_read_that_has_ended(
    database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINGER", 60)
    login: dict[str, Any] = conninfo_to_dict(database_uri)
    sessions = Sessions(SqlConfig(pool_size=1))
    async with sessions.fresh("br", login) as conn:
        await conn.execute("CREATE TABLE wanted ()")
    async with sessions.reading("br", login, owner="", reuse=True) as wire:
        await wire.ours("BEGIN READ ONLY; TABLE wanted")
    async with sessions.fresh("br", login) as conn:
        await conn.execute("SET lock_timeout = '10s'; DROP TABLE wanted")
    await sessions.aclose()


async def test_a_shorter_way_is_told_when_its_session_has_ended(database_uri: str) -> None:
    login: dict[str, Any] = conninfo_to_dict(database_uri)
    open_ones: list[int] = []

    async def way(asked: Any) -> Way:
        open_ones.append(int(asked["port"]))
        return Way({"application_name": "short"}, lambda: open_ones.clear())

    sessions = Sessions(SqlConfig(), way)
    async with sessions.fresh("br", login) as conn:
        row = await (await conn.execute("SELECT current_setting('application_name')")).fetchone()
        assert row == ("short",)
        assert open_ones
    assert not open_ones
    refused = Sessions(SqlConfig(connect_timeout=1), way)
    with pytest.raises(NotFound):
        async with refused.fresh("br", {**login, "dbname": "no_such_database"}):
            pass
    assert not open_ones
