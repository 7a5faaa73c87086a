"""The reader: a login made by the owner, which reads all and writes nothing, whatever else fails."""

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from neon_branch_mcp.config import Secret, SqlConfig
from neon_branch_mcp.errors import ConfigError, NeonBranchError
from neon_branch_mcp.guard.policy import Layers
from neon_branch_mcp.postgres.executor import Executor
from neon_branch_mcp.postgres.reader import ReaderReport, make_reader
from neon_branch_mcp.postgres.target import Target

from .conftest import MakeClient
from .world import Probe, rest

pytestmark = pytest.mark.anyio
ROLE = "reader_of_tests"
NOTHING = Layers(statement=False, functions=False, plan=False, protocol=False, transaction=False)


@pytest.fixture
def owner_target(database_uri: str) -> Target:
    return Target("p", "br-main", "main", "scratch", "read-write", Secret(database_uri))


@pytest.fixture(autouse=True)
def no_reader_left(probe: Probe) -> Iterator[None]:
    yield
    if probe.conn.execute("SELECT FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone() is not None:
        probe.conn.execute(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}".encode())


async def make(target: Target) -> ReaderReport:
    executor = Executor(SqlConfig())
    try:
        return await make_reader(executor, [target], role=ROLE)
    finally:
        await executor.aclose()


def as_reader(report: ReaderReport) -> SqlConfig:
    return SqlConfig(reader_role=report.role, reader_password=report.password)


async def test_it_reads_all_and_writes_nothing_with_every_other_layer_away(
    owner_target: Target, database_uri: str, probe: Probe, make_client: MakeClient
) -> None:
    report = await make(owner_target)
    assert report.created
    client = await make_client(database_uri, sql=as_reader(report), layers=NOTHING)
    assert (await client("SELECT current_user, count(*) FROM legacy")).rows == [[ROLE, 50]]
    before = probe.state()
    for attack in (
        "DELETE FROM legacy",
        "BEGIN READ WRITE; DROP TABLE canary; COMMIT",
        "SET default_transaction_read_only = off; CREATE TABLE evil (i int)",
        "SELECT nextval('counter')",
        "SELECT lo_unlink(o) FROM lobs",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bystander'",
        "SELECT f_drop()",
        "ALTER ROLE shop_owner NOLOGIN",
    ):
        with pytest.raises(NeonBranchError):
            await client(attack)
    await rest()
    assert probe.state().changed_since(before) == set()


async def test_a_second_run_renews_the_password(
    owner_target: Target, database_uri: str, make_client: MakeClient
) -> None:
    first, second = await make(owner_target), await make(owner_target)
    assert (first.created, second.created) == (True, False)
    client = await make_client(database_uri, sql=as_reader(second))
    assert (await client("SELECT 1")).rows == [[1]]
    stale = await make_client(database_uri, sql=as_reader(first))
    with pytest.raises(ConfigError, match="setup-reader"):
        await stale("SELECT 1")


async def test_rows_hidden_by_row_level_security_are_an_error_not_an_empty_answer(
    owner_target: Target, database_uri: str, make_client: MakeClient
) -> None:
    report = await make(owner_target)
    assert any("row-level security" in note for note in report.notes)
    client = await make_client(database_uri, sql=as_reader(report))
    with pytest.raises(NeonBranchError, match="row-level security"):
        await client("SELECT * FROM canary_rls")


async def test_without_the_predefined_roles_every_table_is_granted(
    owner_target: Target, database_uri: str, probe: Probe, make_client: MakeClient
) -> None:
    probe.conn.execute("CREATE ROLE plain_owner LOGIN CREATEROLE PASSWORD 'plain'")
    database = str(psycopg.conninfo.conninfo_to_dict(database_uri)["dbname"])
    try:
        probe.conn.execute(
            f"ALTER DATABASE {database} OWNER TO plain_owner; ALTER SCHEMA public OWNER TO plain_owner".encode()
        )
        probe.conn.execute("CREATE TABLE theirs AS SELECT 1 AS one; ALTER TABLE theirs OWNER TO plain_owner; "
                           "GRANT SELECT ON ALL TABLES IN SCHEMA public TO plain_owner WITH GRANT OPTION; "
                           "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO plain_owner WITH GRANT OPTION")  # fmt: skip
        uri = make_conninfo(database_uri, user="plain_owner", password="plain")
        report = await make(replace(owner_target, conninfo=Secret(uri)))
        assert report.grants == ("SELECT on all tables in scratch: public",)
        client = await make_client(uri, sql=as_reader(report))
        assert (await client("SELECT current_user, one FROM theirs")).rows == [[ROLE, 1]]
    finally:
        await rest()  # the last read's locks go
        probe.conn.execute(
            f"ALTER DATABASE {database} OWNER TO shop_owner; REASSIGN OWNED BY plain_owner TO shop_owner".encode()
        )
        probe.conn.execute(b"DROP OWNED BY plain_owner; DROP ROLE plain_owner")


@pytest.mark.parametrize("name", ["Reader", "pg_reader", "a b", "x;--", ""])
async def test_odd_names_are_refused(name: str, owner_target: Target) -> None:
    await make(owner_target)  # so that there is one to clear away
    with pytest.raises(ConfigError):
        await make_reader(Executor(SqlConfig()), [owner_target], role=name)
