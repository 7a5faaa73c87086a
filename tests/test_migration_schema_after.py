"""The schema after a migration that is made of the one before is the one that reading all of it gives."""

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection

from neon_branch_mcp.local.sample import shop_sql
from neon_branch_mcp.migrations.schema_after import schema_after
from neon_branch_mcp.migrations.schema_change import fingerprint
from neon_branch_mcp.postgres.introspect import introspect
from neon_branch_mcp.postgres.schema import Schema

from .conftest import Scratch
from .migration_kit import ask, fresh_database, migrate, run

pytestmark = pytest.mark.anyio

SETUP = f"""{shop_sql()};
CREATE TABLE old (id int PRIMARY KEY, n int CHECK (n > 0), note text DEFAULT 'x'); INSERT INTO old SELECT g, g FROM generate_series(1, 9) g;
CREATE INDEX old_n ON old (n); CREATE TABLE parent (id int, note text); CREATE TABLE child (more text) INHERITS (parent);
CREATE TABLE parts (id int, note text) PARTITION BY RANGE (id); CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE loose (id int, note text); CREATE TABLE indexed (id int, note text); CREATE INDEX ON indexed (id);
CREATE TABLE keyed (id serial PRIMARY KEY, n int REFERENCES old, at date DEFAULT now(), UNIQUE (n, at));
CREATE TYPE mood AS ENUM ('sad'); CREATE TYPE pair AS (x int, y int);
CREATE VIEW seen AS SELECT id, n FROM old; CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION body() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(o.n) FROM old o; END; CREATE SEQUENCE numbers;
CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
GRANT CREATE ON SCHEMA public TO neon_superuser; CREATE TRIGGER fires BEFORE UPDATE ON old FOR EACH ROW EXECUTE FUNCTION fires();
ALTER TABLE old ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON old USING (n > 1)
"""

MADE = (
    "SELECT 1",
    "INSERT INTO old (id, n) VALUES (50, 1)",
    "UPDATE old SET n = n + 1; DELETE FROM old WHERE id = 9",
    "SELECT nextval('numbers')",
    "ALTER TABLE old ADD COLUMN x int",
    'ALTER TABLE old ADD x text COLLATE "C", ADD y numeric(10, 2)',
    "ALTER TABLE parent ADD COLUMN x int",
    "ALTER TABLE parts ADD COLUMN x varchar(20)",
    "ALTER TABLE old ADD x timestamptz; ANALYZE old",
    "ALTER TABLE old ADD COLUMN x int; UPDATE old SET x = n; ALTER TABLE loose ADD x jsonb; ALTER TABLE old ADD y int[]",
    "SET search_path TO pg_temp, public, pg_catalog; ALTER TABLE old ADD COLUMN x text",
    "SET quote_all_identifiers = on; ALTER TABLE old ADD x text",
)
"""Scripts whose schema is made of the one before."""
READ = (
    "ALTER TABLE old RENAME TO older",
    "ALTER TABLE old RENAME n TO m",
    "ALTER TABLE old ADD x int; ALTER TABLE loose RENAME TO lost",
    "ALTER INDEX old_n RENAME TO old_m",
    "ALTER TABLE old ADD x int; ALTER INDEX old_n RENAME TO old_m",
    "DROP TABLE loose",
    "ALTER TABLE old ADD x int; ALTER TABLE old DROP x",
    "ALTER TABLE old DROP COLUMN note",
    "ALTER TABLE loose ALTER id TYPE bigint",
    "ALTER TABLE old ADD x int DEFAULT 1",
    "ALTER TABLE old ADD x mood",
    "ALTER TABLE old ADD x serial",
    "ALTER TABLE old ALTER n SET NOT NULL",
    "COMMENT ON TABLE old IS 'y'",
    "COMMENT ON COLUMN old.n IS 'y'",
    "GRANT SELECT ON old TO PUBLIC",
    "GRANT UPDATE (n) ON old TO PUBLIC",
    "ALTER TABLE old ADD x int; GRANT SELECT ON loose TO PUBLIC",
    "ALTER TABLE old ADD x int; ALTER TABLE loose SET (fillfactor = 50)",
    "ALTER TABLE old ADD x int; ALTER TABLE loose SET UNLOGGED",
    "ALTER TABLE old ADD x int; ALTER TABLE loose REPLICA IDENTITY FULL",
    "ALTER TABLE old ADD x int; ALTER TABLE loose FORCE ROW LEVEL SECURITY",
    "ALTER TABLE old ADD x int; ALTER TABLE loose OWNER TO neon_superuser",
    "ALTER TABLE old ADD x int; ALTER TABLE old SET (toast.autovacuum_enabled = false)",
    "ALTER TABLE old ADD x int; ALTER TABLE loose ALTER note SET STORAGE EXTERNAL",
    "ALTER TABLE old ADD x int; ALTER TABLE loose ALTER id SET STATISTICS 7",
    "ALTER TYPE mood ADD VALUE 'glad'",
    "ALTER TYPE pair ADD ATTRIBUTE z int",
    "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'",
    "ALTER TABLE old ADD x int; ALTER TYPE pair ADD ATTRIBUTE z int",
    "CREATE TABLE new (id int)",
    "CREATE TEMP TABLE new (id int)",
    "CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 2'",
    "ALTER FUNCTION one() STABLE",
    "CREATE OR REPLACE VIEW seen AS SELECT id, n FROM old WHERE n > 1",
    "CREATE INDEX ON old (note)",
    "ALTER TABLE parts ATTACH PARTITION loose FOR VALUES FROM (20) TO (30)",
    "ALTER TABLE parts DETACH PARTITION parts_1",
    "ALTER TABLE loose INHERIT parent",
    "ALTER TABLE child NO INHERIT parent",
    "ALTER TRIGGER fires ON old RENAME TO fire",
    "ALTER TABLE old DISABLE TRIGGER fires",
    "DROP POLICY mine ON old",
    "ALTER POLICY mine ON old USING (n > 2)",
    "ALTER SEQUENCE numbers INCREMENT 2",
    "ALTER SEQUENCE numbers OWNED BY old.n",
    "ALTER TABLE old DROP CONSTRAINT old_n_check",
    "ALTER TABLE old ADD CHECK (n < 100) NOT VALID",
    "CREATE SCHEMA elsewhere; ALTER TABLE loose SET SCHEMA elsewhere",
    "ALTER SCHEMA public RENAME TO publik",
    "CREATE RULE r AS ON DELETE TO old DO INSTEAD NOTHING",
    "CREATE STATISTICS s ON id, n FROM old",
    "CREATE EXTENSION pg_trgm",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    "CREATE PUBLICATION p FOR TABLE old",
    "CREATE CAST (mood AS text) WITH INOUT",
    "TRUNCATE loose",
    "ALTER TABLE old ADD x int; TRUNCATE loose",
    "SAVEPOINT s; ALTER TABLE old ADD x int; ROLLBACK TO s",
    "SAVEPOINT s; DROP TABLE loose; ROLLBACK TO s; ALTER TABLE old ADD y int",
    "DO $$ BEGIN ALTER TABLE old ADD x int; RAISE division_by_zero; EXCEPTION WHEN others THEN NULL; END $$",
)
"""Scripts after which it is read."""


@pytest.fixture(scope="module")
def database(scratch: Scratch) -> Iterator[str]:
    with fresh_database(scratch) as uri:
        run(uri, SETUP)
        yield uri


@asynccontextmanager
async def looked_at(uri: str) -> AsyncIterator[tuple[AsyncConnection[Any], AsyncConnection[Any], Schema, str]]:
    """Who migrates, who watches, the schema before, and the stamp."""
    async with (
        await AsyncConnection.connect(uri, autocommit=True) as conn,
        await AsyncConnection.connect(uri, autocommit=True) as watcher,
    ):
        row = await (await watcher.execute("SELECT pg_current_snapshot()::text")).fetchone()
        assert row is not None
        yield conn, watcher, await introspect(watcher, depends=False), row[0]


async def both(uri: str, script: str) -> tuple[Schema | None, Schema]:
    """The schema as it is made and as it is read, after a script that is rolled back."""
    async with looked_at(uri) as (conn, watcher, before, stamp):
        await conn.execute("BEGIN")
        await conn.execute(script.encode())
        made, read = await schema_after(conn, watcher, before, stamp), await introspect(conn, depends=False)
        await conn.execute("ROLLBACK")
        return made, read


@pytest.mark.parametrize("script", MADE)
async def test_what_changed_no_more_than_new_columns_is_made_and_equals_what_is_read(
    database: str, script: str
) -> None:
    for _ in range(5):  # a transaction of autovacuum may end meanwhile: then it is read
        made, read = await both(database, script)
        if made is not None:
            break
    assert made is not None
    assert made == read
    assert fingerprint(made) == fingerprint(read)


@pytest.mark.parametrize("script", READ)
async def test_what_changed_more_is_read(database: str, script: str) -> None:
    made, _ = await both(database, script)
    assert made is None


@pytest.mark.parametrize("seed", range(15))
async def test_a_schema_that_is_made_equals_one_that_is_read_whatever_the_script(database: str, seed: int) -> None:
    chance = random.Random(seed)
    scripts = chance.sample(MADE, 2) + chance.sample(READ, chance.randrange(2))
    chance.shuffle(scripts)
    for script in ("; ".join(scripts), "; ".join(chance.sample(MADE, 3))):
        try:
            made, read = await both(database, script)
        except psycopg.Error:
            continue  # they do not go together
        assert made is None or made == read, script


async def test_what_another_session_committed_meanwhile_is_read(database_uri: str) -> None:
    run(database_uri, "CREATE TABLE old (id int)")
    async with looked_at(database_uri) as (conn, watcher, before, stamp):
        await conn.execute("BEGIN; ALTER TABLE old ADD COLUMN x int")
        run(database_uri, "CREATE FUNCTION meanwhile() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        assert await schema_after(conn, watcher, before, stamp) is None


async def test_settings_of_the_script_are_as_before_when_its_schema_was_made(database: str) -> None:
    async with looked_at(database) as (conn, watcher, before, stamp):
        await conn.execute(
            "BEGIN; SET LOCAL search_path = pg_temp; SET LOCAL jit = on; ALTER TABLE public.old ADD COLUMN x int"
        )
        await schema_after(conn, watcher, before, stamp)
        asked = await conn.execute("SELECT current_setting('search_path'), current_setting('jit')")
        assert await asked.fetchone() == ("pg_temp", "on")


async def test_without_counters_the_schema_is_read(scratch: Scratch, database: str) -> None:
    uri = scratch.superuser_uri(database.rpartition("/")[2].partition("?")[0])
    async with looked_at(uri) as (conn, watcher, before, stamp):
        await conn.execute("BEGIN; SET LOCAL track_counts = off; COMMENT ON TABLE old IS 'y'")
        assert await schema_after(conn, watcher, before, stamp) is None


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("UPDATE old SET n = 2", ""),
        (
            "ALTER TABLE old ADD x int; ALTER TABLE loose ADD y text",
            "ALTER TABLE public.loose ADD COLUMN y text;\nALTER TABLE public.old ADD COLUMN x integer;",
        ),
    ],
)
async def test_the_report_says_what_changed_and_both_fingerprints(database_uri: str, script: str, told: str) -> None:
    run(database_uri, "CREATE TABLE old (id int, n int); CREATE TABLE loose (id int)")
    report = await migrate(database_uri, script)
    assert report.schema_diff == told
    async with await AsyncConnection.connect(database_uri, autocommit=True) as conn:
        assert report.schema_after == fingerprint(await introspect(conn, depends=False))
    assert (report.schema_before == report.schema_after) == (not told)
    assert ask(database_uri, "SELECT count(*) FROM old") == [(0,)]
