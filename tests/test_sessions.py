"""Kept connections: who waits for one, who opens another, and that nobody's statement runs in one that was not cleaned."""

import asyncio
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
    monkeypatch.setattr(module, "CLEAN", [Statement("SELECT 1/0")])
    async with sessions.reading("br", login, owner="", reuse=True) as wire:
        assert await pid(wire)
    kept = wire
    await asyncio.sleep(0.2)  # what came of the cleaning is here by now, and seen
    async with sessions.reading("br", login, owner="", reuse=True) as wire:
        assert wire is not kept
    async with sessions.reading("br", login, owner="", reuse=False) as wire:
        wire.send_ahead(module.CLEAN)  # not here yet: seen before the answer
        with pytest.raises(psycopg.OperationalError, match="could not be cleaned"):
            await pid(wire)
        assert wire.conn.closed
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
