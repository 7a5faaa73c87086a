"""verify_migration through a raw client: the guide's journey, its checks past the guard, and what bad input gets."""

from collections.abc import Iterator

import pytest

from neon_branch_mcp.cli.journey import CHECK, MIGRATION

from .stdio_client import HANDSHAKE, RawClient, ToolFailed, raw_server


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawClient]:
    with raw_server("--local", "--data-dir", str(tmp_path_factory.mktemp("verify")), version=HANDSHAKE) as client:
        client.greet()
        client.tool("create_branch", name="split")
        client.tool("apply_migration", name="split", sql=MIGRATION, branch="split")
        yield client


def verify(client: RawClient, **arguments: object) -> dict[str, object]:
    return client.tool("verify_migration", branch="split", **arguments)


def test_the_guides_check_proves_every_address(client: RawClient) -> None:
    report = verify(client, checks=[CHECK])
    assert report["verdict"] == "preserved", report
    checks = report["checks"]
    assert isinstance(checks, list)
    assert checks[0]["rows_base"] == checks[0]["rows_branch"] == 9_500
    assert {"users.street", "users.city", "users.state", "users.zip"} <= set(checks[0]["covers"])


def test_the_base_is_the_parent_as_it_was_and_no_branch_is_left(client: RawClient) -> None:
    """`split` is the first branch of a fresh plane."""
    before = {b["name"] for b in client.tool("list_branches")["branches"]}
    report = verify(client, checks=[CHECK])
    assert (report["base"], report["base_is"]) == ("main", "as branched"), report
    assert {b["name"] for b in client.tool("list_branches")["branches"]} == before


def test_a_branch_of_a_branch_is_compared_with_it_as_it_was(client: RawClient) -> None:
    client.tool("create_branch", name="child", expires_in="")
    client.tool("create_branch", name="grandchild", parent="child")
    client.tool("run_sql", branch="child", sql="UPDATE orders SET note = 'x' WHERE id = 77")
    report = client.tool("verify_migration", branch="grandchild")
    assert (report["verdict"], report["base"], report["base_is"]) == ("preserved", "child", "as branched"), report
    client.tool("run_sql", branch="grandchild", sql="UPDATE orders SET note = 'y' WHERE id = 78")
    assert client.tool("verify_migration", branch="grandchild")["verdict"] == "lost"
    for name in ("grandchild", "child"):
        client.tool("delete_branch", branch=name)


@pytest.mark.parametrize("side", ["base_sql", "branch_sql"])
def test_a_check_that_writes_is_refused_on_both_sides(client: RawClient, side: str) -> None:
    with pytest.raises(ToolFailed, match=rf"\[refused\] Check 'every address moved', {side}"):
        verify(client, checks=[CHECK | {side: "DELETE FROM orders RETURNING id, note, note, note, note"}])


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SHOW ALL", r"\[conflict\] Check 'n'.*base 'main'.*Write a SELECT"),
        ("EXPLAIN SELECT 1", r"\[conflict\].*Write a SELECT"),
        ("SELECT id FROM users WHERE id = $1", r"base_sql on 'main': a check has no parameters"),
        ("SELECT 1; SELECT 2", r"\[refused\].*2 statements.*A check is two queries that only read"),
        ("", r"\[refused\].*no statement"),
        ("SELECT FROM users", r"\[conflict\].*the same number of columns"),
        ("SELECT nextval('orders_id_seq')", r"\[refused\].*nextval"),
    ],
)
def test_what_is_no_plain_query_is_told_so(client: RawClient, sql: str, said: str) -> None:
    with pytest.raises(ToolFailed, match=said):
        verify(client, checks=[{"name": "n", "base_sql": sql, "branch_sql": "SELECT id FROM users"}])


def test_a_check_that_closes_its_parenthesis_is_refused(client: RawClient) -> None:
    with pytest.raises(ToolFailed):
        verify(client, checks=[CHECK | {"branch_sql": "SELECT 1) AS q; DROP TABLE orders; SELECT (1"}])
    assert client.tool("query", branch="split", sql="SELECT count(*) FROM orders")["rows"] == [[15_000]]


def test_columns_that_do_not_fit_are_an_error_that_shows_both(client: RawClient) -> None:
    with pytest.raises(ToolFailed, match=r"1 \(id bigint\).*2 \(user_id bigint, zip text\)"):
        verify(
            client,
            checks=[
                {
                    "name": "n",
                    "base_sql": "select id from users",
                    "branch_sql": "select user_id, zip from user_addresses",
                }
            ],
        )
    with pytest.raises(ToolFailed, match=r"id bigint.*zip text"):
        verify(
            client,
            checks=[{"name": "n", "base_sql": "select id from users", "branch_sql": "select zip from user_addresses"}],
        )


def test_a_check_that_fails_says_which_side_and_why(client: RawClient) -> None:
    with pytest.raises(ToolFailed, match=r"Check 'n', base_sql on .*no_such"):
        verify(client, checks=[{"name": "n", "base_sql": "select no_such from users", "branch_sql": "select 1"}])
    with pytest.raises(ToolFailed, match=r"Check 'n'.*branch.*division by zero"):
        verify(
            client,
            checks=[
                {"name": "n", "base_sql": "select id from orders", "branch_sql": "select id / (id - 7000) from orders"}
            ],
        )


def test_a_root_branch_needs_a_base(client: RawClient) -> None:
    with pytest.raises(ToolFailed, match=r"root branch.*base="):
        client.tool("verify_migration", branch="main")


def test_a_planted_loss_is_shown_by_key(client: RawClient) -> None:
    client.tool("run_sql", branch="split", sql="UPDATE user_addresses SET city = city || ' ' WHERE user_id = 4711")
    try:
        report = verify(client, checks=[CHECK])
        assert report["verdict"] == "lost"
        checks = report["checks"]
        assert isinstance(checks, list)
        assert (checks[0]["verdict"], checks[0]["only_base"], checks[0]["only_branch"]) == ("lost", 1, 1)
        assert checks[0]["samples"][0]["base"][0] == "4711"
    finally:
        client.tool("run_sql", branch="split", sql="UPDATE user_addresses SET city = trim(city) WHERE user_id = 4711")
