"""Postgres that sleeps, restarts, goes silent or is cut off: reads are asked once more, writes never, and every call ends."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
import psycopg
import pytest

from neon_branch_mcp.config import PolicyConfig, Secret, SqlConfig
from neon_branch_mcp.errors import (
    AuthError,
    ConfigError,
    LimitExceeded,
    SqlError,
    TimedOut,
    UnknownOutcome,
    Unreachable,
)
from neon_branch_mcp.guard.guard import Guard
from neon_branch_mcp.guard.policy import BranchAccess, Intent
from neon_branch_mcp.models import Branch
from neon_branch_mcp.postgres.executor import Executor
from neon_branch_mcp.postgres.rows import RowSet
from neon_branch_mcp.postgres.target import Target
from tests.conftest import MadeBranch, PlaneApi
from tests.faulty_tcp import FaultyProxy, Plan, Way, faulty_proxy

pytestmark = pytest.mark.anyio

BRANCH = Branch("br-1", "p", "dev", default=False, protected=False, current_state="ready", created_at="", updated_at="")


@dataclass
class Bench:
    """An executor in front of a proxy in front of a fresh database."""

    executor: Executor
    guard: Guard
    proxy: FaultyProxy
    uri: str
    direct: str

    def target(self, owner: str = "") -> Target:
        return Target("p", "br-1", "dev", "d", "read-write", Secret(self.uri), owner)

    async def run(self, sql: str, *, intent: Intent = "run_sql", owner: str = "") -> RowSet:
        target = self.target(owner)

        async def catalogue(*, fresh: bool = False) -> Any:
            return await self.executor.catalogue(target, fresh=fresh)

        access = BranchAccess("read-write", "made for this test")
        vetted = await self.guard.vet(sql, branch=BRANCH, access=access, intent=intent, catalogue=catalogue)
        return await self.executor.run(target, vetted, params=None, max_rows=100, max_bytes=32_000)

    async def read(self, sql: str) -> list[list[Any]]:
        return (await self.run(sql, intent="query")).rows

    async def seen(self, sql: str) -> list[tuple[Any, ...]]:
        """What another session sees, past the proxy."""
        async with await psycopg.AsyncConnection.connect(self.direct, autocommit=True) as conn:
            found = await conn.execute(sql.encode())
            return await found.fetchall() if found.description else []

    async def running(self, fragment: str, count: int = 1) -> None:
        """Returns once so many sessions are busy with a statement like that."""
        sql = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'"
            f" AND pid <> pg_backend_pid() AND query LIKE '%{fragment}%'"
        )
        for _ in range(500):
            if (await self.seen(sql))[0][0] >= count:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"nothing like {fragment} was seen running")


ChangeCompute = Callable[[str], Awaitable[None]]


@pytest.fixture
def change_compute(branch: MadeBranch, api: PlaneApi) -> ChangeCompute:
    """Suspends or restarts the compute of this test's branch, as its owner would at Neon."""
    computes = api("GET", f"{api.project}/branches/{branch.id}/endpoints")["endpoints"]

    async def change(what: str) -> None:
        await anyio.to_thread.run_sync(api, "POST", f"{api.project}/endpoints/{computes[0]['id']}/{what}")

    return change


@asynccontextmanager
async def bench(uri: str, **settings: Any) -> AsyncIterator[Bench]:
    config = SqlConfig(**{"connect_timeout": 4, "read_timeout": 2, "statement_timeout": 3, **settings})
    executor, guard = Executor(config), Guard(PolicyConfig())
    async with faulty_proxy(uri) as proxy:
        try:
            yield Bench(executor, guard, proxy, proxy.uri(uri), uri)
        finally:
            await executor.aclose()
            await guard.aclose()


async def settle(found: Bench) -> None:
    """Lets connections be cleaned and kept."""
    for _ in range(200):
        await asyncio.sleep(0.01)
        if not found.executor.sessions._closing:
            return


@pytest.mark.parametrize("way", ["cut", "reset"])
async def test_a_read_over_a_connection_that_died_while_idle_gets_another(database_uri: str, way: Way) -> None:
    async with bench(database_uri) as found:
        assert await found.read("SELECT 1") == [[1]]
        await settle(found)
        found.proxy.hit(way)
        assert await found.read("SELECT 2") == [[2]]


async def test_warm_reads_share_one_connection_and_writes_have_their_own(database_uri: str) -> None:
    async with bench(database_uri) as found:
        for _ in range(5):
            await found.read("SELECT 1")
            await settle(found)
        assert found.proxy.accepted == 1, "that of the catalogue serves the reads too"
        await found.run("CREATE TABLE t (a int)")
        await found.run("INSERT INTO t VALUES (1)")
        assert found.proxy.accepted == 3


async def test_no_connection_passes_from_one_credential_to_another(database_uri: str) -> None:
    async with bench(database_uri) as found:
        sql = "SELECT pg_backend_pid()"
        first = (await found.run(sql, intent="query", owner="alice")).rows
        await settle(found)
        second = (await found.run(sql, intent="query", owner="bob")).rows
        await settle(found)
        assert first != second
        assert (await found.run(sql, intent="query", owner="alice")).rows == first


async def test_idle_connections_are_closed_after_their_time(database_uri: str) -> None:
    async with bench(database_uri, pool_idle=0.2) as found:
        await found.read("SELECT 1")
        await settle(found)
        assert found.executor.sessions.open_now() > 0
        await asyncio.sleep(0.8)
        assert found.executor.sessions.open_now() == 0
        sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        assert await found.seen(sql) == [(0,)]


async def test_a_read_that_is_cut_off_in_the_middle_is_asked_once_more(database_uri: str) -> None:
    async with bench(database_uri, read_timeout=20) as found:
        await found.read("SELECT 1")
        await settle(found)

        async def cut() -> None:
            await found.running("FETCH")
            found.proxy.hit("reset")

        async with anyio.create_task_group() as group:
            group.start_soon(cut)
            rows = await found.read("SELECT g FROM generate_series(1, 300000) g ORDER BY md5(g::text) LIMIT 1")
        assert len(rows) == 1


async def test_a_server_that_ends_every_connection_is_an_error_after_one_more_try(database_uri: str) -> None:
    async with bench(database_uri) as found:
        await found.read("SELECT 1")
        await settle(found)
        accepted = found.proxy.accepted
        found.proxy.plan = lambda _: Plan("cut", "client", after=3_000)
        found.proxy.hit("cut")
        with pytest.raises(Unreachable):
            await found.read("SELECT 2")
        assert found.proxy.accepted - accepted <= 12


async def test_a_sleeping_compute_is_waited_for(database_uri: str) -> None:
    async with bench(database_uri) as found:
        found.proxy.plan = lambda number: Plan("refuse") if number < 4 else Plan()
        assert await found.read("SELECT 1") == [[1]]
        assert found.proxy.accepted > 4


async def test_a_compute_that_wakes_while_the_connection_waits_is_waited_for(database_uri: str) -> None:
    asleep = float(os.environ.get("COLD_START", "1"))
    async with bench(database_uri, connect_timeout=asleep + 5) as found:
        await found.run("CREATE TABLE t (a int)")
        found.proxy.hit("cut")
        found.proxy.plan = lambda _: Plan(asleep=asleep)
        assert (await found.run("INSERT INTO t VALUES (1)")).command == "INSERT 0 1"
        assert await found.read("SELECT count(*) FROM t") == [[1]]


async def test_after_a_suspend_reads_and_writes_find_the_compute_awake(
    branch: MadeBranch, change_compute: ChangeCompute
) -> None:
    async with bench(branch.uri, connect_timeout=20, read_timeout=20) as found:
        await found.run("CREATE TABLE t (a int)")
        await found.read("SELECT 1")
        await settle(found)
        await change_compute("suspend")
        assert await found.read("SELECT count(*) FROM t") == [[0]]
        await settle(found)
        await change_compute("suspend")
        await found.run("INSERT INTO t VALUES (1)")
        assert await found.seen("SELECT count(*) FROM t") == [(1,)]


async def test_a_restart_in_the_middle_repeats_the_read_and_not_the_write(
    branch: MadeBranch, change_compute: ChangeCompute
) -> None:
    async with bench(branch.uri, connect_timeout=30, read_timeout=30, statement_timeout=30) as found:
        await found.run("CREATE TABLE t (a int)")

        async def restart(fragment: str) -> None:
            await found.running(fragment)
            await change_compute("restart")

        async with anyio.create_task_group() as group:
            group.start_soon(restart, "FETCH")
            slow = "SELECT max(md5(g::text)) IS NOT NULL FROM generate_series(1, 1000000) g"
            assert await found.read(slow) == [[True]]
        async with anyio.create_task_group() as group:
            group.start_soon(restart, "INSERT")
            with pytest.raises(UnknownOutcome):
                await found.run("INSERT INTO t SELECT 1 FROM pg_sleep(20)")
        assert await found.seen("SELECT count(*) FROM t") == [(0,)]


async def test_a_server_without_the_encryption_that_is_asked_for_is_told_at_once(database_uri: str) -> None:
    accepted = 0

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        await reader.read(8)  # SSLRequest
        writer.write(b"N")
        await writer.drain()
        writer.close()

    async with bench(database_uri) as found, await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        found.uri = (
            f"postgresql://u:p@127.0.0.1:{server.sockets[0].getsockname()[1]}/d?sslmode=require&gssencmode=disable"
        )
        with pytest.raises(ConfigError, match="do not agree on encryption"):
            await found.run("SELECT 1")
    assert accepted == 1


async def test_a_refused_login_is_not_tried_again(database_uri: str) -> None:
    async with bench(database_uri) as found:
        found.uri = found.uri.replace(":", ":wrong", 2).replace("postgresql:wrong", "postgresql:")
        with pytest.raises(AuthError):
            await found.run("SELECT 1")
        assert found.proxy.accepted == 1


@pytest.mark.parametrize("way", ["cut", "reset"])
async def test_a_write_whose_answer_is_lost_is_sent_once_and_its_outcome_said_to_be_unknown(
    database_uri: str, way: Way
) -> None:
    async with bench(database_uri) as found:
        await found.run("CREATE TABLE t (a int)")

        async def cut() -> None:
            await found.running("INSERT")
            found.proxy.hit(way)

        async with anyio.create_task_group() as group:
            group.start_soon(cut)
            with pytest.raises(UnknownOutcome, match="may or may not have taken effect"):
                await found.run("INSERT INTO t SELECT 1 FROM pg_sleep(1)")
        await asyncio.sleep(1.2)
        assert (await found.seen("SELECT count(*) FROM t"))[0][0] in (0, 1)


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("CREATE TABLE slept AS SELECT pg_sleep(2)::text", UnknownOutcome),
        ("DO $$ BEGIN PERFORM pg_sleep(2); END $$", Unreachable),  # in a transaction of ours, not yet committed
    ],
)
async def test_a_terminated_session_under_a_write_is_an_unknown_outcome_unless_the_transaction_was_ours(
    database_uri: str, superuser_uri: str, sql: str, error: type[Exception]
) -> None:
    async with bench(database_uri) as found:

        async def terminate() -> None:
            await found.running("pg_sleep")
            async with await psycopg.AsyncConnection.connect(superuser_uri, autocommit=True) as conn:
                await conn.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )

        async with anyio.create_task_group() as group:
            group.start_soon(terminate)
            with pytest.raises(error):
                await found.run(sql)


async def test_a_silent_server_is_left_in_time(database_uri: str) -> None:
    async with bench(database_uri, connect_timeout=2, read_timeout=0.5, statement_timeout=1) as found:
        await found.read("SELECT 1")
        await settle(found)
        found.proxy.plan = lambda _: Plan("stall", after=6_000)
        found.proxy.stalled.set()
        with anyio.fail_after(25):
            with pytest.raises((TimedOut, Unreachable)):
                await found.run("SELECT 1")


async def test_the_callers_deadline_ends_a_call_with_a_reason_before_it_is_cut_off(database_uri: str) -> None:
    async with bench(database_uri, statement_timeout=60) as found:
        await found.run("CREATE TABLE t (a int)")
        with anyio.fail_after(3):
            with pytest.raises(TimedOut, match="may or may not"):
                await found.run("INSERT INTO t SELECT 1 FROM pg_sleep(30)")
        assert await found.seen("SELECT count(*) FROM t") == [(0,)]


async def test_the_number_of_sessions_on_a_branch_is_bounded_and_the_others_wait(database_uri: str) -> None:
    async with bench(database_uri, pool_size=1, connect_timeout=20) as found:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'"
        most = 0

        async def call() -> None:
            nonlocal most
            counted = await found.run(f"SELECT pg_sleep(0.2); {sql}")
            most = max(most, int(counted.rows[0][0]))

        async with anyio.create_task_group() as group:
            for _ in range(12):
                group.start_soon(call)
        assert most <= 4


async def test_a_branch_with_no_free_session_says_so(database_uri: str) -> None:
    async with bench(database_uri, pool_size=1, connect_timeout=1) as found, AsyncExitStack() as held:
        for _ in range(4):
            await held.enter_async_context(found.executor.session(found.target(), purpose="test"))
        with pytest.raises(LimitExceeded, match="are in use"):
            await found.run("SELECT 1")
        await held.aclose()
        assert (await found.run("SELECT 1")).rows == [[1]]


@pytest.mark.parametrize("leaves", [True, False])
async def test_a_full_server_is_waited_for_and_then_told(database_uri: str, leaves: bool) -> None:
    async with bench(database_uri, connect_timeout=3) as found, AsyncExitStack() as held:
        holder = await psycopg.AsyncConnection.connect(found.direct, autocommit=True)
        await holder.execute(f"ALTER DATABASE {holder.info.dbname} CONNECTION LIMIT 1")  # counted when others come
        held.push_async_callback(holder.close)

        async def leave() -> None:
            await asyncio.sleep(1)
            await holder.close()

        async with anyio.create_task_group() as group:
            if leaves:
                group.start_soon(leave)
                assert (await found.run("SELECT 1")).rows == [[1]]
            else:
                with pytest.raises(LimitExceeded, match="too many connections"):
                    await found.run("SELECT 1")


async def test_an_sql_error_keeps_the_connection_and_its_session_is_clean(database_uri: str) -> None:
    async with bench(database_uri) as found:
        await found.read("SELECT 1")  # may have opened a second one while the catalogue's was being cleaned
        await settle(found)
        pid = await found.read("SELECT pg_backend_pid()")
        await settle(found)
        with pytest.raises(SqlError):
            await found.read("SELECT 1 / 0")
        await settle(found)
        assert await found.read("SELECT pg_backend_pid()") == pid


@pytest.mark.parametrize(("way", "after"), [("cut", n) for n in (0, 2_000, 5_000, 6_000)] + [("stall", 5_000)])
async def test_a_connection_that_fails_after_any_byte_repeats_no_write_and_spoils_no_read(
    database_uri: str, way: Way, after: int
) -> None:
    async with bench(database_uri, connect_timeout=2, read_timeout=0.5, statement_timeout=1) as found:
        await found.run("CREATE TABLE t (a int)")
        first = found.proxy.accepted
        found.proxy.plan = lambda n: Plan(way, after=after, lose_last=True) if n == first else Plan()
        with anyio.fail_after(25):
            written = await outcome(found.run("INSERT INTO t VALUES (1)"))
        assert (await found.seen("SELECT count(*) FROM t"))[0][0] in ((0, 1) if written is None else (1,))
        last = found.proxy.accepted
        found.proxy.plan = lambda n: Plan(way, after=after, lose_last=True) if n == last else Plan()
        with anyio.fail_after(40):
            read = await outcome(found.run("SELECT 41 + 1", intent="query"))
        assert read is None or read.rows == [[42]]


async def outcome(work: Awaitable[RowSet]) -> RowSet | None:
    """The rows, or None for an error that a lost connection may end in."""
    try:
        return await work
    except (Unreachable, TimedOut):
        return None
