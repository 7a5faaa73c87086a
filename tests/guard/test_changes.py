"""A database that changes under a session that reads: the very next read notices, whatever it was that changed."""

import asyncio
from datetime import datetime

import psycopg
import pytest

from neon_branch_mcp.errors import Refused

from .conftest import MAIN, Client, MakeClient
from .world import Probe

FAR = (
    "CREATE EXTENSION postgres_fdw",
    "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '9')",
)
LYING_DIFFERENCE = "CREATE FUNCTION lying_difference(a int, b int) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN trap(1); END'"


@pytest.mark.parametrize(
    ("change", "read"),
    [
        ("ALTER TABLE indexed RENAME TO another", "SELECT v FROM another"),
        ("ALTER VIEW kill_view RENAME TO another", "SELECT done FROM another"),
        ("ALTER TABLE apart RENAME TO another", "SELECT v FROM another"),
        ("ALTER DOMAIN trapped RENAME TO another", "SELECT 7::another"),
        ("ALTER DOMAIN quietly_trapped RENAME TO another", "SELECT 7::another"),
        ("ALTER FUNCTION dynamic(int) RENAME TO another", "SELECT another(4990)"),
        ("CREATE INDEX ON quiet ((lying_index(1) + v))", "SELECT v FROM quiet"),
        ("CREATE INDEX ON quiet (v) WHERE lying_index(1) > 0", "SELECT v FROM quiet"),
        ("ALTER TABLE quiet ADD CHECK (lying_index(1) > 0)", "SELECT v FROM quiet"),
        ("CREATE STATISTICS ON (lying(1, v)), (lying(2, v)) FROM quiet", "SELECT v FROM quiet"),
        ("ALTER TABLE quiet ALTER v SET DEFAULT lying(1, 1)", "SELECT v FROM quiet"),
        ("ALTER TABLE quiet ADD w int GENERATED ALWAYS AS (lying(v, 1)) STORED", "SELECT v FROM quiet"),
        ("ALTER TABLE quiet ADD w trapped_pair", "SELECT v FROM quiet WHERE w = '(7,1)'"),
        ("ALTER TABLE quiet ALTER v TYPE own", "SELECT v < v FROM quiet"),
        ("ALTER TABLE indexed INHERIT parent", "SELECT v FROM parent"),
        ("CREATE TYPE another AS RANGE (subtype = int, subtype_diff = lying_difference)", "SELECT '[1,2)'::another"),
    ],
)
async def test_what_turned_into_a_trap_is_refused(
    client: Client, probe: Probe, superuser_uri: str, change: str, read: str
) -> None:
    with psycopg.connect(superuser_uri, autocommit=True) as admin:
        for one in (
            *FAR,
            LYING_DIFFERENCE,
            "CREATE FOREIGN TABLE apart (v int) SERVER far",
            "CREATE TABLE quiet (v int)",
            "CREATE TABLE parent (v int, p pair2)",
            "CREATE DOMAIN own AS int",
            "CREATE OPERATOR < (LEFTARG = own, RIGHTARG = own, FUNCTION = evil_own)",
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC",
        ):
            if "evil_own" in one:
                admin.execute(
                    "CREATE FUNCTION evil_own(a own, b own) RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT trap(2) > 0'"
                )
            admin.execute(one.encode())
        for _ in range(4):
            assert (await client("SELECT count(*) FROM quiet")).rows == [[0]]
        await asyncio.to_thread(admin.execute, change.encode())  # the last read's locks go while the loop runs
    with pytest.raises(Refused):
        await client(read)


async def test_a_table_that_is_only_made_or_filled_is_no_reason_to_read_the_catalogue_again(
    client: Client, probe: Probe
) -> None:
    target = client.target(MAIN)
    for change in (
        "CREATE TABLE u (id serial PRIMARY KEY, v text)",
        "CREATE TEMPORARY TABLE t (v int)",
        "INSERT INTO legacy VALUES (99, 'x')",
        "ANALYZE users",
    ):
        known = await client.executor.catalogue(target, fresh=True)
        probe.conn.execute(change.encode())
        assert await client.executor.catalogue(target, fresh=True) is known


@pytest.mark.parametrize("until", ["now()", "'now'", "cutoff()"], ids=["run time", "the text", "a label that lies"])
async def test_a_foreign_partition_that_time_brings_into_a_known_plan_is_refused(
    client: Client, probe: Probe, superuser_uri: str, until: str
) -> None:
    """Nothing is committed meanwhile: what planning once left out for what the time was is not remembered to have been judged."""
    with psycopg.connect(superuser_uri, autocommit=True) as admin:
        for one in FAR:
            admin.execute(one.encode())
        admin.execute("CREATE FUNCTION cutoff() RETURNS timestamptz LANGUAGE sql IMMUTABLE AS 'SELECT now()'")
        admin.execute("CREATE TABLE log (at timestamptz) PARTITION BY RANGE (at)")
        admin.execute("SET TIME ZONE 'UTC'")
        soon = admin.execute("SELECT date_trunc('milliseconds', now() + interval '3 s')::text").fetchone()
        assert soon is not None
        admin.execute(f"CREATE TABLE log_old PARTITION OF log FOR VALUES FROM (MINVALUE) TO ('{soon[0]}')".encode())
        admin.execute(
            f"CREATE FOREIGN TABLE log_far PARTITION OF log FOR VALUES FROM ('{soon[0]}') TO (MAXVALUE) SERVER far".encode()
        )
        admin.execute("GRANT SELECT ON log, log_old, log_far TO PUBLIC")
        read = f"SELECT count(*) FROM log WHERE at BETWEEN '-infinity' AND {until}"
        for _ in range(4):
            assert (await client(read)).rows == [[0]]
        now = admin.execute("SELECT now()").fetchone()
        assert now is not None and now[0] < datetime.fromisoformat(soon[0]), "the machine was too slow for this test"
    await asyncio.sleep(3)
    with pytest.raises(Refused, match="foreign table"):
        await client(read)


async def test_a_text_that_is_read_again_in_one_step_is_refused_once_its_function_writes(
    database_uri: str, make_client: MakeClient
) -> None:
    """Where the database hides nothing, a text that was judged is not explained again until something is committed."""
    client = await make_client(database_uri)
    body = "CREATE OR REPLACE FUNCTION planned() RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN {}; END'"
    with psycopg.connect(database_uri, autocommit=True) as owner:
        owner.execute("CREATE SEQUENCE planned_seq")
        owner.execute(body.format("1").encode())
        for _ in range(5):
            assert (await client("SELECT planned()")).rows == [[1]]
        assert not (await client.executor.catalogue(client.target(MAIN))).shown_late
        owner.execute(body.format("nextval(''planned_seq'')").encode())
        with pytest.raises(Refused, match="its body calls nextval"):
            await client("SELECT planned()")
        called = owner.execute("SELECT is_called FROM planned_seq").fetchone()
    assert called == (False,)
