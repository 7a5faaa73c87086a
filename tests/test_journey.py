"""The main job, end to end: a raw stdio client does the guide's journey on real Postgres, in both eras of the protocol."""

from collections.abc import Iterator

import psycopg
import pytest

from neon_branch_mcp.cli.journey import CHECK, MIGRATION, WRONG_MIGRATION

from .stdio_client import HANDSHAKE, STATELESS, RawClient, ToolFailed, raw_server

ATTACKS = [
    "DROP TABLE users",
    "COMMIT; DROP TABLE users",
    "WITH gone AS (DELETE FROM users RETURNING id) SELECT count(*) FROM gone",
    "SELECT * INTO users_copy FROM users",
    "EXPLAIN ANALYZE DELETE FROM order_items",
]


@pytest.fixture(scope="module", params=[HANDSHAKE, STATELESS])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawClient]:
    data_dir = tmp_path_factory.mktemp("journey")
    with raw_server("--local", "--data-dir", str(data_dir), version=request.param) as client:
        client.greet()
        yield client


def test_the_greeting_names_the_server(client: RawClient) -> None:
    greeting = client.greet() if client.version == STATELESS else None
    if greeting is not None:
        assert STATELESS in greeting["supportedVersions"]
        assert len(greeting["instructions"]) < 250


def test_the_tools_of_the_design_are_listed(client: RawClient) -> None:
    tools = {t["name"]: t for t in client.request("tools/list")["tools"]}
    assert set(tools) >= {
        "create_branch", "run_sql", "describe_schema", "apply_migration", "delete_branch", "list_branches",
        "get_connection_string", "query", "explain_sql", "describe_branch", "reset_branch", "compare_schema",
        "verify_migration", "list_projects",
    }  # fmt: skip
    assert tools["delete_branch"]["annotations"]["destructiveHint"] is True
    assert tools["create_branch"]["annotations"]["destructiveHint"] is False
    assert tools["query"]["annotations"]["readOnlyHint"] is True


@pytest.mark.parametrize("sql", ATTACKS)
def test_an_attack_on_the_default_branch_is_refused_and_the_table_is_whole(client: RawClient, sql: str) -> None:
    with pytest.raises(ToolFailed, match=r"\[refused\].*create_branch"):
        client.tool("run_sql", sql=sql)
    assert client.tool("query", sql="SELECT count(*) FROM users")["rows"] == [[10_000]]
    assert client.tool("query", sql="SELECT to_regclass('users_copy') IS NULL")["rows"] == [[True]]


def test_the_journey_ends_with_every_address_moved_and_the_default_branch_unchanged(client: RawClient) -> None:
    before = client.tool("describe_schema")["schema"]
    made = client.tool("create_branch", name="journey")
    branch = made["branch"]
    assert branch["parent"] and not branch["default"] and branch["access"] == "read-write" and branch["expires_at"]

    with pytest.raises(ToolFailed) as caught:
        client.tool("apply_migration", name="split", sql=WRONG_MIGRATION, branch=branch["name"])
    assert "42703" in str(caught.value) and "zipcode" in str(caught.value) and "9:" in str(caught.value)
    tables = client.tool("query", sql="SELECT to_regclass('user_addresses')::text", branch=branch["name"])
    assert tables["rows"] == [[None]]

    report = client.tool("apply_migration", name="split", sql=MIGRATION, branch=branch["id"])
    assert report["applied"] is True and report["checksum"]
    assert {"verdict", "data_loss", "locks", "rewrites", "scans", "advice", "schema_diff"} <= set(report)

    compared = client.tool("compare_schema", branch="journey")
    assert "create table user_addresses (5 columns)" in compared["changes"] and compared["diff"]
    described = client.tool("describe_branch", branch="journey")
    assert described["migrations"] == ["shop: split (applied)"]
    assert "shop: create table user_addresses (5 columns)" in described["schema_changes"]

    proof = client.tool("verify_migration", branch="journey", checks=[CHECK])
    assert proof["verdict"] == "preserved" and proof["tables"] and proof["checks"]

    uri = client.tool("get_connection_string", branch="journey")["uri"]
    with psycopg.connect(uri) as conn:
        moved = conn.execute("SELECT count(*), count(DISTINCT user_id) FROM user_addresses").fetchone()
    default = client.tool("query", sql="SELECT count(street), count(street) FROM users")
    assert [list(moved or ())] == default["rows"]

    assert client.tool("describe_schema")["schema"] == before
    client.tool("delete_branch", branch="journey")
    assert "journey" not in [b["name"] for b in client.tool("list_branches")["branches"]]
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(uri, connect_timeout=3)


def test_a_reset_branch_is_what_its_parent_is_under_the_same_connection_string(client: RawClient) -> None:
    client.tool("create_branch", name="again")
    before = client.tool("get_connection_string", branch="again")["uri"]
    client.tool("run_sql", sql="DELETE FROM order_items", branch="again")
    client.tool("reset_branch", branch="again")
    after = client.tool("get_connection_string", branch="again")["uri"]
    assert after.rpartition("@")[2] == before.rpartition("@")[2]
    with psycopg.connect(after) as conn:
        assert conn.execute("SELECT count(*) > 0 FROM order_items").fetchone() == (True,)
    client.tool("delete_branch", branch="again")


def test_an_explained_write_is_measured_and_leaves_nothing(client: RawClient) -> None:
    client.tool("create_branch", name="explain")
    plan = client.tool("explain_sql", sql="DELETE FROM order_items", branch="explain", analyze=True)
    assert plan["analyzed"] is True and "order_items" in plan["plan"]
    left = client.tool("query", sql="SELECT count(*) > 0 FROM order_items", branch="explain")
    assert left["rows"] == [[True]]
    with pytest.raises(ToolFailed, match=r"\[refused\]"):
        client.tool("explain_sql", sql="DELETE FROM order_items", analyze=True)
    client.tool("delete_branch", branch="explain")


def test_an_unknown_argument_is_an_error_that_lists_the_known_ones(client: RawClient) -> None:
    with pytest.raises(ToolFailed, match=r"sqll: unknown argument.*max_rows"):
        client.tool("query", sql="SELECT 1", sqll="x")


def test_a_branch_that_does_not_exist_is_an_error_that_lists_the_names(client: RawClient) -> None:
    with pytest.raises(ToolFailed, match=r"\[not_found\].*nowhere.*main"):
        client.tool("query", sql="SELECT 1", branch="nowhere")


def test_a_sql_error_carries_all_that_postgres_said(client: RawClient) -> None:
    with pytest.raises(ToolFailed) as caught:
        client.tool("query", sql="SELECT id,\n  emial FROM users")
    text = str(caught.value)
    assert "42703" in text and "at 2:3:" in text and "hint:" in text


@pytest.mark.parametrize("tool", ["delete_branch", "reset_branch", "get_connection_string"])
def test_the_default_branch_is_never_deleted_reset_or_handed_out(client: RawClient, tool: str) -> None:
    with pytest.raises(ToolFailed, match=r"\[refused\]"):
        client.tool(tool, branch="main")
