"""What is got ready while the guard still thinks: nothing runs before its word, and what has changed until then is looked at again."""

import asyncio
import time
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import AsyncConnection

from neon_branch_mcp.errors import Conflict, Refused
from neon_branch_mcp.migrations.ahead import Sent, expected, reaches
from neon_branch_mcp.migrations.measure import Measured, look_up
from neon_branch_mcp.migrations.plan import Plan, plan
from neon_branch_mcp.postgres.introspect import introspect
from neon_branch_mcp.postgres.schema import Schema
from neon_branch_mcp.postgres.snapshot import Snapshot, snapshot

from . import schema_samples, test_migration_losses, test_migration_losses_hidden, test_migration_losses_hostile
from .conftest import Scratch
from .migration_kit import ask, fresh_database, losses, migrate, run
from .test_migration_schema_after import SETUP

pytestmark = pytest.mark.anyio

CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'neon-branch-mcp%'"


@pytest.fixture(scope="module")
def database(scratch: Scratch) -> Iterator[str]:
    with fresh_database(scratch) as uri:
        run(uri, SETUP)
        yield uri


async def test_what_the_guard_refuses_has_run_nothing_and_leaves_no_connection(database_uri: str) -> None:
    async def permit(_: Plan) -> None:
        await asyncio.sleep(0.2)
        raise Refused("No.", rule="test")

    with pytest.raises(Refused, match="No"):
        await migrate(database_uri, "CREATE TABLE t (id int)", permit=permit)
    assert ask(database_uri, "SELECT to_regclass('t'), to_regnamespace('neon_branch_mcp')") == [(None, None)]
    for _ in range(50):
        if ask(database_uri, CONNECTIONS) == [(0,)]:
            break
        await asyncio.sleep(0.1)
    assert ask(database_uri, CONNECTIONS) == [(0,)]


async def test_a_refusal_does_not_wait_for_what_is_being_read(database_uri: str) -> None:
    run(database_uri, "CREATE TABLE t (id int, n int); INSERT INTO t VALUES (1, 1)")

    async def permit(_: Plan) -> None:
        raise Refused("No.", rule="test")

    with psycopg.connect(database_uri) as other:
        other.execute("LOCK TABLE t")
        began = time.perf_counter()
        with pytest.raises(Refused):
            await migrate(database_uri, "DELETE FROM t; UPDATE t SET n = NULL; DROP TABLE t", permit=permit)
        assert time.perf_counter() - began < 5


async def test_nothing_of_the_script_runs_before_the_guards_word(database_uri: str) -> None:
    seen: list[object] = []

    async def permit(_: Plan) -> None:
        await asyncio.sleep(0.3)
        seen.extend(ask(database_uri, "SELECT to_regclass('t'), count(*) FROM pg_locks WHERE locktype = 'advisory'"))

    await migrate(database_uri, "CREATE TABLE t (id int)", permit=permit)
    assert seen == [(None, 0)]
    assert ask(database_uri, "SELECT count(*) FROM t") == [(0,)]


async def test_what_others_commit_until_then_is_counted_and_is_not_told_as_the_scripts_own(database_uri: str) -> None:
    run(database_uri, "CREATE TABLE t (id int); INSERT INTO t VALUES (1); CREATE TABLE u (id int)")

    async def permit(_: Plan) -> None:
        await asyncio.sleep(0.3)
        run(database_uri, "INSERT INTO t VALUES (2), (3); ALTER TABLE u ADD COLUMN theirs int; CREATE TABLE v (id int)")

    report = await migrate(database_uri, "DROP TABLE t; ALTER TABLE v ADD COLUMN ours int", permit=permit)
    assert losses(report) == {"table dropped: t, 3"}
    assert "theirs" not in report.schema_diff
    assert "ALTER TABLE public.v ADD COLUMN ours integer" in report.schema_diff


async def test_a_migration_of_the_same_name_that_was_applied_until_then_is_seen(database_uri: str) -> None:
    async def permit(_: Plan) -> None:
        await asyncio.sleep(0.3)
        await migrate(database_uri, "CREATE TABLE t (id int)", "same")

    report = await migrate(database_uri, "CREATE TABLE t (id int)", "same", permit=permit)
    assert report.state == "already_applied"
    with pytest.raises(Conflict):
        await migrate(database_uri, "CREATE TABLE u (id int)", "same")


async def test_what_a_lock_kept_from_being_read_is_read_when_it_is_free(database_uri: str) -> None:
    run(
        database_uri,
        "CREATE TABLE t (id int CHECK (id > 0), n int); INSERT INTO t VALUES (1, 1); CREATE VIEW v AS SELECT * FROM t",
    )
    other = psycopg.connect(database_uri)
    other.execute("LOCK TABLE t")

    async def permit(_: Plan) -> None:
        await asyncio.sleep(1)
        other.rollback()

    with other:
        report = await migrate(database_uri, "ALTER TABLE t ADD COLUMN x int; UPDATE t SET n = 2", permit=permit)
    assert losses(report) == {"rows updated: t, 1"}
    assert not report.notes
    assert report.schema_diff == "ALTER TABLE public.t ADD COLUMN x integer;"


async def test_the_script_runs_with_the_settings_of_a_migration_and_not_of_who_looks(database_uri: str) -> None:
    names = ("lock_timeout", "statement_timeout", "row_security", "idle_in_transaction_session_timeout")
    asked = ", ".join(f"current_setting('{name}') AS {name}" for name in names)
    await migrate(database_uri, f"CREATE TABLE seen AS SELECT {asked}", lock_timeout=7, statement_timeout=90)
    assert ask(database_uri, "SELECT * FROM seen") == [("7s", "90s", "on", "0")]


SCHEMAS = {
    "shop": test_migration_losses.SHOP,
    "hidden": test_migration_losses.SHOP + test_migration_losses_hidden.MORE,
    "hostile": test_migration_losses_hostile.HOSTILE,
    "sample": SETUP,
    "kinds": schema_samples.SHOP,
    "quirks": schema_samples.QUIRKS,
}


@pytest.mark.parametrize("name", SCHEMAS)
async def test_the_reading_of_a_schema_waits_for_no_lock_on_a_table_that_is_said_not_to_be_opened(
    database_uri: str, name: str
) -> None:
    run(database_uri, SCHEMAS[name])
    async with await AsyncConnection.connect(database_uri, autocommit=True) as conn:
        before = await introspect(conn, depends=False)
        still = (await look_up(conn, altering(before))).still
        assert still
        with psycopg.connect(database_uri) as other:
            tables = ", ".join(f'"{t.schema}"."{t.name}"' for t in before.tables if t.name in still)
            other.execute(f"LOCK TABLE {tables}".encode())
            # As when the locks were taken after it had been asked which there are.
            async with snapshot(conn, 0.1) as cursor:
                whole = Snapshot(cursor, [])
                assert before == await whole.read(schemas=None, only=None, bodies=True, sizes=False, depends=False)


def altering(schema: Schema) -> Plan:
    """A script that alters every table."""
    return plan("; ".join(f'ALTER TABLE "{t.schema}"."{t.name}" ADD COLUMN x int' for t in schema.tables))


async def test_tables_whose_texts_are_made_of_their_columns_are_opened(database: str) -> None:
    async with await AsyncConnection.connect(database, autocommit=True) as conn:
        still = (await look_up(conn, altering(await introspect(conn)))).still
    assert {"loose", "keyed"} <= still
    assert still.isdisjoint({"old", "indexed", "users", "orders"})


KNOWN = Measured(
    names=frozenset({"t", "u"}),
    alone={"t": 1, "u": 2},
    quiet=frozenset({"t", "u"}),
    still=frozenset({"t"}),
    as_said=True,
)


@pytest.mark.parametrize(
    ("sql", "waits"),
    [
        ("ALTER TABLE t ADD x int", False),
        ("ALTER TABLE u ADD x int", True),
        ("UPDATE u SET x = 1", False),
        ("ALTER TABLE t DROP x", True),
        ("DROP TABLE t", True),
        ("DO $$ BEGIN END $$", True),
    ],
)
def test_only_what_could_lock_a_table_that_is_opened_waits_for_the_reading(sql: str, waits: bool) -> None:
    statement = plan(sql).statements[0]
    reached = None if expected(statement, KNOWN) is None else reaches(statement, KNOWN)
    assert Sent(statement, "plain", reached).disturbs(KNOWN) is waits
    assert not Sent(statement, None, reached).disturbs(KNOWN)
