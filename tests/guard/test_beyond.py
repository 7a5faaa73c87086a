"""What a write on a branch puts together at run time to reach another server is seen before it commits, and undone."""

import pytest
from psycopg.conninfo import conninfo_to_dict

from neon_branch_mcp.config import PolicyConfig
from neon_branch_mcp.errors import NeonBranchError, Refused

from .conftest import DEV, Client, MakeClient
from .world import Probe

pytestmark = pytest.mark.anyio
FAR = """
CREATE EXTENSION postgres_fdw;
CREATE SERVER far_server FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{host}', port '{port}', dbname '{dbname}');
CREATE USER MAPPING FOR cloud_admin SERVER far_server OPTIONS (user 'cloud_admin');
CREATE FOREIGN TABLE far (id int, u text) SERVER far_server OPTIONS (table_name 'legacy');
CREATE VIEW seems_near AS SELECT * FROM far;
CREATE FUNCTION forwards() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM far WHERE id = NEW.id; RETURN NEW; END $$;
CREATE TRIGGER forwards AFTER INSERT ON orgs FOR EACH ROW EXECUTE FUNCTION forwards();
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
    assert far.state().changed_since(before) == set()


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
    with pytest.raises(NeonBranchError):
        await client("DO $$ BEGIN DELETE FROM legacy WHERE id = 6; RAISE 'no'; END $$", branch=DEV)
    assert probe.conn.execute("SELECT count(*), min(id) FROM legacy").fetchone() == (45, 6)
