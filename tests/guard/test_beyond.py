"""What a write on a branch puts together at run time to reach another server is seen before it commits, and undone."""

import pytest
from psycopg.conninfo import conninfo_to_dict

from neon_branch_mcp.config import PolicyConfig
from neon_branch_mcp.errors import NeonBranchError, Refused
from neon_branch_mcp.migrations.apply import apply

from .conftest import DEV, Client, MakeClient
from .world import Probe, rest

pytestmark = pytest.mark.anyio
FAR = """
CREATE EXTENSION postgres_fdw;
CREATE SERVER far_server FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{host}', port '{port}', dbname '{dbname}');
CREATE USER MAPPING FOR cloud_admin SERVER far_server OPTIONS (user 'cloud_admin');
CREATE FOREIGN TABLE far (id int, u text) SERVER far_server OPTIONS (table_name 'legacy');
CREATE VIEW seems_near AS SELECT * FROM far;
CREATE FUNCTION forwards() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM far WHERE id = NEW.id; RETURN NEW; END $$;
CREATE TRIGGER forwards AFTER INSERT ON orgs FOR EACH ROW EXECUTE FUNCTION forwards();
CREATE TABLE later (id int);
CREATE CONSTRAINT TRIGGER forwards_later AFTER INSERT ON later DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION forwards();
CREATE PROCEDURE proceeds() LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DELETE FROM fa' || 'r'; END $$;
CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DELETE FROM fa' || 'r'; COMMIT; END $$;
CREATE FUNCTION deletes() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DELETE FROM fa' || 'r'; RETURN 1; END $$;
CREATE SCHEMA evil;
CREATE FUNCTION evil.never(a oid, b oid) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE FUNCTION evil.always(a text, b text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR evil.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = evil.never);
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.always);
"""
REACHES = (
    "DO $$ BEGIN EXECUTE 'DELETE FROM fa' || 'r'; END $$",
    "DO $$ BEGIN EXECUTE 'UPDATE fa' || 'r SET u = NULL'; EXCEPTION WHEN OTHERS THEN NULL; END $$",
    "INSERT INTO orgs VALUES (3, 'three')",
    "DELETE FROM seems_near",
    "SELECT * FROM seems_near",
    "DO $$ BEGIN EXECUTE 'CREATE SER' || 'VER evil FOREIGN DATA WRAPPER postgres_fdw'; END $$",
    "DO $$ BEGIN EXECUTE 'ALTER SER' || 'VER far_server OPTIONS (SET dbname ''x'')'; END $$; SELECT 1",
    "DO $$ BEGIN EXECUTE 'CREATE SUBSC' || 'RIPTION evil CONNECTION '''' PUBLICATION p WITH (connect = false)'; END $$",
    "DO $$ BEGIN EXECUTE 'DELETE FROM fa' || 'r'; COMMIT; END $$",
    "BEGIN; DO $$ BEGIN EXECUTE 'DELETE FROM fa' || 'r'; END $$; COMMIT",
    "BEGIN; SELECT deletes(); COMMIT",
    "INSERT INTO later VALUES (3)",
    "DO $$ BEGIN INSERT INTO later VALUES (3); END $$",
    "CALL proceeds()",
    "SELECT deletes()",
    "VALUES (deletes())",
    "CREATE TABLE made AS SELECT deletes()",
    "EXPLAIN ANALYZE DELETE FROM seems_near",
    "EXPLAIN ANALYZE INSERT INTO orgs VALUES (4, 'four')",
    "PREPARE p AS SELECT deletes(); EXECUTE p",
    "ALTER TABLE orgs ADD COLUMN n int DEFAULT deletes()",
    "COPY orgs FROM PROGRAM 'echo 5'",
    "SET search_path = evil, pg_catalog, public; DO $$ BEGIN EXECUTE 'DELETE FROM fa' || 'r'; END $$",
    "DO $$ BEGIN PERFORM set_config('search_path', 'evil, pg_catalog, public', false); "
    "EXECUTE 'ALTER SER' || 'VER far_server OPTIONS (SET dbname ''x'')'; END $$",
)


@pytest.fixture
def far(probe: Probe, superuser_uri: str) -> Probe:
    """A foreign table that leads to `legacy` over another connection, which asks for no password."""
    place = conninfo_to_dict(superuser_uri)
    probe.conn.execute(FAR.format(**place).encode())
    return probe


async def test_nothing_that_was_assembled_reaches_another_server(
    far: Probe, superuser_uri: str, make_client: MakeClient
) -> None:
    client = await make_client(superuser_uri)
    before = far.state()
    for text in REACHES:
        with pytest.raises(Refused) as caught:
            await client(text, branch=DEV)
        assert caught.value.rule == "reach-beyond", text
        assert "policy.reach_beyond" in caught.value.remedy
    await rest()
    assert far.state().changed_since(before) == set()


MIGRATIONS = (
    "DO $$ BEGIN EXECUTE 'DELETE FROM fa' || 'r'; END $$",
    "ALTER TABLE users ADD COLUMN made text; INSERT INTO orgs VALUES (3, 'three')",
    "INSERT INTO later VALUES (3)",
    "BEGIN; SELECT deletes(); COMMIT;",
    "DO $$ BEGIN EXECUTE 'CREATE SER' || 'VER evil FOREIGN DATA WRAPPER postgres_fdw'; END $$",
    "SET search_path = evil, pg_catalog, public; DO $$ BEGIN EXECUTE 'DELETE FROM fa' || 'r'; END $$",
)


@pytest.mark.parametrize("dry_run", [False, True])
async def test_no_migration_reaches_another_server(
    dry_run: bool, far: Probe, superuser_uri: str, make_client: MakeClient
) -> None:
    client = await make_client(superuser_uri)
    before = far.state()
    for i, text in enumerate(MIGRATIONS):
        with pytest.raises(Refused) as caught:
            await apply(client.executor, client.target(DEV), name=f"evil {i}", sql=text, dry_run=dry_run)
        assert caught.value.rule == "reach-beyond", text
        assert "nothing applied" in caught.value.message
    await rest()
    assert far.state().changed_since(before) <= {"catalogue", "traps"}  # the ledger is made, tables are looked at
    assert far.conn.execute("SELECT count(*) FROM pg_foreign_server").fetchone() == (1,)


async def test_what_a_migration_committed_before_it_reached_beyond_is_told(
    far: Probe, superuser_uri: str, make_client: MakeClient
) -> None:
    client = await make_client(superuser_uri)
    text = "BEGIN; CREATE TABLE first (i int); COMMIT; BEGIN; INSERT INTO orgs VALUES (3, 'three'); COMMIT;"
    with pytest.raises(Refused, match=r"1 of 2 statements are applied"):
        await apply(client.executor, client.target(DEV), name="half", sql=text)
    assert far.conn.execute("SELECT to_regclass('first') IS NOT NULL, count(*) FROM orgs").fetchone() == (True, 2)


async def test_a_migration_may_reach_beyond_where_the_operator_allows_it(
    far: Probe, superuser_uri: str, make_client: MakeClient
) -> None:
    client = await make_client(superuser_uri)
    report = await apply(client.executor, client.target(DEV), name="far", sql=MIGRATIONS[0], stay=False)
    assert report.applied
    assert far.conn.execute("SELECT count(*) FROM legacy").fetchone() == (0,)


async def test_the_operator_can_allow_it(far: Probe, superuser_uri: str, make_client: MakeClient) -> None:
    client = await make_client(superuser_uri, policy=PolicyConfig(reach_beyond=True))
    await client(REACHES[0], branch=DEV)
    assert far.conn.execute("SELECT count(*) FROM legacy").fetchone() == (0,)


@pytest.mark.parametrize("name", ["dblink_exec", "http_get"])
async def test_where_a_function_reaches_at_once_nothing_is_assembled(name: str, client: Client, probe: Probe) -> None:
    assembled = "DO $$ BEGIN EXECUTE 'SELECT 1' || '1'; END $$"
    await client(assembled, branch=DEV)
    probe.conn.execute(f"CREATE FUNCTION {name}(x text) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT x'".encode())
    client.executor.forget(client.target(DEV))
    with pytest.raises(Refused, match=name):
        await client(assembled, branch=DEV)
    await client("DO $$ BEGIN DELETE FROM legacy WHERE id = 2; END $$", branch=DEV)


async def test_what_stays_on_the_branch_runs(client: Client, probe: Probe) -> None:
    await client("DO $$ BEGIN EXECUTE 'DELETE FROM leg' || 'acy WHERE id = 1'; END $$", branch=DEV)
    await client(
        "DO $$ BEGIN DELETE FROM legacy WHERE id = 2; COMMIT; DELETE FROM legacy WHERE id = 3; END $$", branch=DEV
    )
    await client("DO $$ BEGIN DELETE FROM legacy WHERE id = 4; END $$; DELETE FROM legacy WHERE id = 5", branch=DEV)
    await client("CREATE PROCEDURE commits() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'", branch=DEV)
    await client("CALL commits()", branch=DEV)
    await client("SELECT f_definer()", branch=DEV)
    await client("VACUUM legacy", branch=DEV)
    await client("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT f_definer()", branch=DEV)
    await client("CREATE INDEX CONCURRENTLY ON legacy (u)", branch=DEV)
    with pytest.raises(NeonBranchError):
        await client("DO $$ BEGIN DELETE FROM legacy WHERE id = 6; RAISE 'no'; END $$", branch=DEV)
    assert probe.conn.execute("SELECT count(*), min(id) FROM legacy").fetchone() == (45, 6)
