"""Applying: all or nothing, the ledger with it; and what bad input, a busy database and a dying server get."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import anyio
import psycopg
import pytest

from neon_branch_mcp.errors import (
    Conflict,
    LimitExceeded,
    NeonBranchError,
    Refused,
    SqlError,
    TimedOut,
    UnknownOutcome,
    Unreachable,
)
from neon_branch_mcp.migrations.failing import MigrationFailed
from neon_branch_mcp.migrations.ledger import read_ledger

from .conftest import MadeBranch, PlaneApi
from .faulty_tcp import Plan, faulty_proxy
from .migration_kit import ask, migrate, run

pytestmark = pytest.mark.anyio

TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1"
LEDGER = "SELECT name, state, statements_done FROM neon_branch_mcp.migrations ORDER BY id"
NO_LEDGER = "SELECT to_regclass('neon_branch_mcp.migrations') IS NULL"


async def test_changes_and_ledger_are_there_together(database_uri: str) -> None:
    script = "CREATE TABLE a (x int);\nINSERT INTO a VALUES (1)"
    report = await migrate(database_uri, script, "first", version="2024.1")
    assert (report.applied, report.state, report.verdict) == (True, "applied", "ok")
    async with await psycopg.AsyncConnection.connect(database_uri) as conn:
        [entry] = await read_ledger(conn)
    assert (entry.name, entry.version, entry.sql, entry.checksum) == ("first", "2024.1", script, report.checksum)
    assert (entry.applied_by, entry.state, entry.statements_done) == ("test", "applied", 2)
    assert entry.report["verdict"] == "ok"
    assert entry.report["schema_diff"] == report.schema_diff != ""


async def test_the_same_name_and_sql_is_not_run_again_and_other_sql_is_a_conflict(database_uri: str) -> None:
    await migrate(database_uri, "CREATE TABLE a (x int)", "first")
    again = await migrate(database_uri, "CREATE TABLE a (x int)", "first")
    assert (again.state, again.applied) == ("already_applied", True)
    assert "already applied" in again.text()
    with pytest.raises(Conflict, match="with other SQL"):
        await migrate(database_uri, "CREATE TABLE b (x int)", "first")
    assert ask(database_uri, TABLES) == [("a",)]


async def test_a_dry_run_reports_and_leaves_nothing(database_uri: str) -> None:
    report = await migrate(database_uri, "CREATE TABLE a (x int)", dry_run=True)
    assert (report.applied, report.state) == (False, "dry_run")
    assert "CREATE TABLE" in report.schema_diff
    assert ask(database_uri, TABLES) == []
    assert ask(database_uri, NO_LEDGER) == [(True,)]


async def test_a_dry_run_and_its_run_have_the_same_fingerprints(database_uri: str) -> None:
    script = "CREATE TABLE a (x int PRIMARY KEY)"
    tried = await migrate(database_uri, script, dry_run=True)
    done = await migrate(database_uri, script)
    assert (tried.schema_before, tried.schema_after) == (done.schema_before, done.schema_after)
    assert tried.schema_before != tried.schema_after != ""


ERRORS = {
    "CREATE TABLE a (x int);\n\n  ALTER TABLE a ADD y intt;": (2, 3, 23, "42704"),
    "CREATE TABLE a (x int);\nINSERT INTO a VALUES (1);\nALTER TABLE a ADD CHECK (x > 1)": (3, 3, 1, "23514"),
    "CREATE TABLE a (x int);\nSELECT 1/0": (2, 2, 1, "22012"),
    "/* é */ CREATE TABLE a (x int); SELECT nope FROM a": (2, 1, 40, "42703"),
    "CREATE TABLE a (x int);\r\nSELECT x FROM FROM a": (2, 2, 15, "42601"),
    "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE a (x int REFERENCES p DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO a VALUES (1)":
        (3, 2, 1, "23503"),
}  # fmt: skip


@pytest.mark.parametrize("sql", ERRORS)
async def test_an_error_says_where_and_why_and_leaves_nothing(database_uri: str, sql: str) -> None:
    with pytest.raises(MigrationFailed) as caught:
        await migrate(database_uri, sql)
    statement, line, column, state = ERRORS[sql]
    failure = caught.value.report.failure
    assert failure is not None
    found = (failure.statement, failure.line, failure.column, failure.sqlstate)
    assert found == (statement, line, column, state)
    assert caught.value.report.verdict == "failed"
    shown = caught.value.render()
    assert shown.startswith("[sql] ")
    assert f"at {line}:{column}: " in shown
    assert "nothing applied" in shown
    assert ask(database_uri, TABLES) == []
    assert ask(database_uri, NO_LEDGER) == [(True,)]


async def test_after_a_committed_part_the_error_says_exactly_what_remains(database_uri: str) -> None:
    run(database_uri, "CREATE TABLE d AS SELECT 1 AS x FROM generate_series(1, 3)")
    script = "CREATE TABLE a (x int); CREATE UNIQUE INDEX CONCURRENTLY twice ON d (x); CREATE TABLE b (x int)"
    with pytest.raises(MigrationFailed) as caught:
        await migrate(database_uri, script)
    shown = caught.value.render()
    assert "1 of 3 statements are applied and committed" in shown
    assert 'INVALID index twice; remove it: DROP INDEX CONCURRENTLY "public"."twice";' in shown
    assert caught.value.report.state == "partly_applied"
    assert ask(database_uri, LEDGER) == [("m1", "partly_applied", 1)]
    assert ask(database_uri, TABLES) == [("a",), ("d",)]
    run(database_uri, 'DROP INDEX CONCURRENTLY "public"."twice"')
    report = await migrate(database_uri, "CREATE TABLE b (x int)")
    assert report.state == "applied"
    assert ask(database_uri, LEDGER) == [("m1", "applied", 1)]


async def test_a_failed_index_alone_leaves_its_name_and_no_ledger(database_uri: str) -> None:
    run(database_uri, "CREATE TABLE d AS SELECT 1 AS x FROM generate_series(1, 3)")
    with pytest.raises(MigrationFailed, match="could not create unique index") as caught:
        await migrate(database_uri, "CREATE UNIQUE INDEX CONCURRENTLY twice ON d (x)")
    assert "INVALID index twice" in caught.value.render()
    assert ask(database_uri, NO_LEDGER) == [(True,)]


async def test_a_lock_held_by_somebody_else_is_a_timeout_that_names_him(database_uri: str) -> None:
    run(database_uri, "CREATE TABLE t (x int)")
    with psycopg.connect(database_uri, application_name="a long report") as other:
        other.execute("SELECT count(*) FROM t")
        with pytest.raises(TimedOut) as caught:
            await migrate(database_uri, "CREATE TABLE a (x int); ALTER TABLE t ADD y int", lock_timeout=0.6)
        pid = other.info.backend_pid
    shown = caught.value.render()
    assert f"pid {pid}" in shown
    assert "a long report" in shown
    assert "SELECT count(*) FROM t" in shown
    assert "nothing applied" in shown
    assert "statement 2" in shown
    assert ask(database_uri, TABLES) == [("t",)]


async def test_a_statement_that_takes_too_long_is_a_timeout(database_uri: str) -> None:
    with pytest.raises(TimedOut, match=r"statement timeout.*nothing applied"):
        await migrate(database_uri, "CREATE TABLE a (x int); SELECT pg_sleep(30)", statement_timeout=0.3)
    assert ask(database_uri, TABLES) == []


async def test_a_timeout_after_a_committed_part_keeps_the_record_of_it(database_uri: str) -> None:
    with pytest.raises(TimedOut, match="1 of 2 statements are applied"):
        await migrate(database_uri, "CREATE TABLE a (x int); COMMIT; SELECT pg_sleep(30)", statement_timeout=0.3)
    assert ask(database_uri, TABLES) == [("a",)]
    assert ask(database_uri, LEDGER) == [("m1", "partly_applied", 1)]


async def test_a_second_migration_waits_for_the_first_and_then_gives_up(database_uri: str) -> None:
    async with running(database_uri, "SELECT pg_sleep(30)"):
        with pytest.raises(TimedOut, match=r"Another migration of this database is running \(pid \d+"):
            await migrate(database_uri, "CREATE TABLE b (x int)", "m2", lock_timeout=0.5)


async def test_a_cancelled_call_cancels_the_statement_and_rolls_back(database_uri: str) -> None:
    async with running(database_uri, "CREATE TABLE a (x int); SELECT pg_sleep(30)"):
        pass
    await backends_gone(database_uri)
    assert ask(database_uri, TABLES) == []


@contextlib.asynccontextmanager
async def running(uri: str, sql: str) -> AsyncIterator[None]:
    """A migration that sleeps, cancelled at the end as a call is."""
    async with anyio.create_task_group() as group:
        group.start_soon(migrate, uri, sql)
        await sleeping(uri)
        yield
        group.cancel_scope.cancel()


async def sleeping(uri: str) -> None:
    """Until the migration has come to its pg_sleep."""
    for _ in range(400):
        if ask(uri, "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()"):
            return
        await anyio.sleep(0.02)
    raise AssertionError("the migration did not begin")


async def backends_gone(uri: str) -> None:
    for _ in range(400):
        if not ask(
            uri, "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ):
            return
        await anyio.sleep(0.02)
    raise AssertionError("a backend of the cancelled migration lives on")


async def test_a_native_cancel_of_the_task_cancels_the_statement_too(database_uri: str) -> None:
    task = asyncio.create_task(migrate(database_uri, "CREATE TABLE a (x int); SELECT pg_sleep(30)"))
    await sleeping(database_uri)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await backends_gone(database_uri)
    assert ask(database_uri, TABLES) == []


async def test_a_connection_that_dies_in_the_middle_is_unreachable_and_nothing_is_applied(database_uri: str) -> None:
    with pytest.raises((Unreachable, MigrationFailed)) as caught:
        await migrate(database_uri, "CREATE TABLE a (x int); SELECT pg_terminate_backend(pg_backend_pid()); SELECT 1")
    assert "nothing applied" in caught.value.render()
    assert caught.value.code == "unreachable"
    assert ask(database_uri, TABLES) == []


async def test_every_connection_lost_at_once_is_still_told(database_uri: str) -> None:
    script = (
        "CREATE TABLE a (x int); SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "ORDER BY pid = pg_backend_pid()"
    )
    with pytest.raises(Unreachable, match="nothing applied"):
        await migrate(database_uri, script)
    assert ask(database_uri, TABLES) == []


ODD: dict[str, str] = {
    "a role of its own": "CREATE ROLE migrate_odd; GRANT migrate_odd TO CURRENT_USER; GRANT CREATE ON SCHEMA public TO migrate_odd; "
                         "SET ROLE migrate_odd; CREATE TABLE t (x int)",
    "an empty search path, as pg_dump writes it": "SELECT pg_catalog.set_config('search_path', '', false); SET client_encoding = 'UTF8'; "
                                                  "CREATE TABLE public.t (x int)",
    "a search path that hides pg_catalog": "CREATE SCHEMA evil; CREATE FUNCTION evil.count(text) RETURNS int LANGUAGE sql AS 'SELECT 1/0'; "
                                           "SET search_path = evil, public, pg_catalog; CREATE TABLE public.t (x int)",
    "forgotten prepared statements": "CREATE TABLE t (x int); DEALLOCATE ALL; INSERT INTO t VALUES (1)",
    "isolation of its own": "BEGIN ISOLATION LEVEL SERIALIZABLE; CREATE TABLE t (x int); COMMIT",
    "SET TRANSACTION first": "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; CREATE TABLE t (x int)",
    "rows that nobody reads": "CREATE TABLE t (x int); SELECT g, repeat('x', 1000) FROM generate_series(1, 2000) g",
    "percent signs and braces": "CREATE TABLE t (x text DEFAULT '%s %(a)s {}'); INSERT INTO t SELECT '100%' WHERE 5 % 2 = 1",
    "Unicode": "CREATE TABLE t (x text); COMMENT ON TABLE t IS 'größer ≥ 🐘'",
    "an isolated ledger name": "CREATE SCHEMA neon_branch_mcp; CREATE TABLE t (x int)",
    "a temporary table of the same name": "CREATE TEMP TABLE migrations (x int); CREATE TABLE t (x int)",
    "a new enum value, used after COMMIT": "CREATE TYPE m AS ENUM ('a'); COMMIT; ALTER TYPE m ADD VALUE 'b'; COMMIT; "
                                           "CREATE TABLE t (x m DEFAULT 'b')",
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
async def test_unusual_scripts_run_as_psql_would_run_them(database_uri: str, superuser_uri: str, case: str) -> None:
    try:
        report = await migrate(database_uri, ODD[case])
        assert report.applied, report.text()
        assert ask(database_uri, TABLES) == [("t",)]
        assert ask(database_uri, "SELECT name FROM neon_branch_mcp.migrations") == [("m1",)]
    finally:
        run(superuser_uri, "DO $$ BEGIN IF to_regrole('migrate_odd') IS NOT NULL THEN EXECUTE 'DROP OWNED BY migrate_odd CASCADE'; "
                           "EXECUTE 'DROP ROLE migrate_odd'; END IF; END $$")  # fmt: skip


async def test_many_rows_and_statements_of_a_long_script_are_applied(database_uri: str) -> None:
    script = "CREATE TABLE t (x int, v text);\n" + "".join(
        f"INSERT INTO t VALUES ({i}, '{'x' * 2000}');\n" for i in range(1000)
    )
    report = await migrate(database_uri, script)
    assert report.statements == 1001
    assert ask(database_uri, "SELECT count(*) FROM t") == [(1000,)]


@pytest.mark.parametrize("sql", ["", "-- nothing", "SELECT 1\0", "\\dt"])
async def test_what_is_no_script_is_refused_before_anything_is_sent(sql: str) -> None:
    with pytest.raises(Refused):
        await migrate("postgresql://nobody@127.0.0.1:1/nothing", sql)


async def test_a_statement_that_is_two_for_postgres_is_refused_by_postgres(database_uri: str) -> None:
    with pytest.raises(NeonBranchError):
        await migrate(database_uri, "CREATE TABLE a (x int, CHECK (x > 0; DROP TABLE b))")
    assert ask(database_uri, TABLES) == []


async def test_without_the_right_to_make_the_ledger_nothing_is_applied(database_uri: str, superuser_uri: str) -> None:
    run(superuser_uri, "CREATE ROLE no_ledger LOGIN PASSWORD 'x'; GRANT CREATE ON SCHEMA public TO no_ledger")
    try:
        uri = database_uri.replace("shop_owner:", "no_ledger:x#").split("#")[0] + "@" + database_uri.split("@", 1)[1]
        with pytest.raises(SqlError, match="permission denied"):
            await migrate(uri, "CREATE TABLE a (x int)")
        assert ask(database_uri, TABLES) == []
    finally:
        run(superuser_uri, "DROP OWNED BY no_ledger; DROP ROLE no_ledger")


async def test_locks_taken_at_once_do_not_cost_the_schema_diff(database_uri: str) -> None:
    made = "CREATE TABLE t{0} (x int CHECK (x > 0)); CREATE VIEW v{0} AS SELECT x + 1 AS y FROM t{0}"
    run(database_uri, "; ".join(made.format(i) for i in range(80)))
    # The locks would be there while the schema of before is still being read.
    changes = "; ".join(f"ALTER TABLE t{i} DROP CONSTRAINT t{i}_x_check" for i in range(80))
    report = await migrate(database_uri, changes)
    assert report.notes == ()
    assert report.schema_diff.count("DROP CONSTRAINT") == 80
    assert len(report.schema_diff.splitlines()) == 80, report.schema_diff


def readable(uri: str) -> str:
    """Without TLS, so that the proxy sees what is sent."""
    return uri.partition("?")[0] + "?sslmode=disable"


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_lost_answer_to_commit_is_unknown_and_a_second_call_settles_it(
    database_uri: str, *, arrives: bool
) -> None:
    script = "CREATE TABLE a (x int); INSERT INTO a VALUES (1)"
    lost = Plan("reset", "client", marker=b"COMMIT\0", lose_last=not arrives)
    async with faulty_proxy(database_uri, lambda number: lost if number == 0 else Plan()) as proxy:
        with pytest.raises(UnknownOutcome, match="Call again with the same name"):
            await migrate(readable(proxy.uri(database_uri)), script)
    await backends_gone(database_uri)
    again = await migrate(database_uri, script)
    assert again.state == ("already_applied" if arrives else "applied")
    assert ask(database_uri, "SELECT count(*) FROM a") == [(1,)]


async def test_a_lost_answer_in_a_script_of_several_transactions_says_what_is_sure(database_uri: str) -> None:
    lost = Plan("reset", "client", marker=b"CREATE INDEX CONC")
    async with faulty_proxy(database_uri, lambda number: lost if number == 0 else Plan()) as proxy:
        with pytest.raises(UnknownOutcome, match="1 of 2 statements are applied"):
            await migrate(
                readable(proxy.uri(database_uri)), "CREATE TABLE a (x int); CREATE INDEX CONCURRENTLY i ON a (x)"
            )
    await backends_gone(database_uri)
    assert ask(database_uri, TABLES) == [("a",)]


@pytest.mark.parametrize("immediate", [True, False])
async def test_a_server_that_restarts_in_the_middle_loses_nothing(
    branch: MadeBranch, api: PlaneApi, *, immediate: bool
) -> None:
    run(branch.uri, "CREATE TABLE kept AS SELECT g FROM generate_series(1, 100) g")
    await migrate(branch.uri, "CREATE TABLE first (x int)", "before")
    core = api.plane.service.core
    cluster = core.cluster_of(core.branch(branch.id))

    async def restart() -> None:
        await sleeping(branch.uri)
        await anyio.to_thread.run_sync(lambda: cluster.stop(immediate=immediate))
        await anyio.to_thread.run_sync(cluster.start)

    async with anyio.create_task_group() as group:
        group.start_soon(restart)
        with pytest.raises(Unreachable, match=r"statement 3 .* nothing applied"):
            await migrate(branch.uri, "DELETE FROM kept; CREATE TABLE a (x int); SELECT pg_sleep(30)")
    assert ask(branch.uri, "SELECT count(*) FROM kept") == [(100,)]
    assert ask(branch.uri, LEDGER) == [("before", "applied", 1)]
    assert (await migrate(branch.uri, "CREATE TABLE a (x int)")).applied


async def test_a_full_disk_is_told_and_nothing_is_applied(database_uri: str, superuser_uri: str) -> None:
    # The device that is always full; only a superuser may write to files.
    script = "CREATE TABLE a (x int); COPY (SELECT repeat('x', 1000) FROM generate_series(1, 1000)) TO '/dev/full'"
    with pytest.raises(LimitExceeded, match=r"statement 2 .*No space left on device.*nothing applied"):
        await migrate(superuser_uri, script)
    assert ask(database_uri, TABLES) == []
    assert ask(database_uri, NO_LEDGER) == [(True,)]


async def test_a_script_of_five_megabytes_is_applied(database_uri: str) -> None:
    rows = ",\n".join(f"({i}, '{'é' * 500}')" for i in range(5_000))
    report = await migrate(database_uri, f"CREATE TABLE t (x int, v text);\nINSERT INTO t VALUES {rows};\nSELECT 1")
    assert report.applied
    assert ask(database_uri, "SELECT count(*), min(length(v)) FROM t") == [(5_000, 500)]
    assert ask(database_uri, "SELECT octet_length(sql) > 5000000 FROM neon_branch_mcp.migrations") == [(True,)]
