"""What an agent is told when a call did not bring what it was meant to: enough for the next call to be the right one."""

from collections.abc import Iterator

import pytest

from neon_branch_mcp.local.plane import LocalPlane

from .stdio_client import RawClient, ToolFailed, raw_server

TAKEN = "taken"


@pytest.fixture(scope="module")
def client(plane: LocalPlane) -> Iterator[RawClient]:
    in_its_project = ("--project-id", plane.project_id)  # other tests of this process have projects of their own
    with raw_server("--local", "--data-dir", str(plane.data_dir), *in_its_project) as client:
        client.greet()
        client.tool("create_branch", name=TAKEN)
        yield client
        client.tool("delete_branch", branch=TAKEN)


def test_several_reads_in_one_call_are_to_be_sent_one_by_one(client: RawClient) -> None:
    with pytest.raises(ToolFailed, match=r"2 statements in one call.*Send them one by one"):
        client.tool("query", sql="SELECT 1; SELECT 2")
    with pytest.raises(ToolFailed, match=r"this is a DELETE.*run_sql can run it on a branch"):
        client.tool("query", sql="DELETE FROM users")


def test_a_name_that_is_taken_is_told_with_both_ways_on(client: RawClient) -> None:
    with pytest.raises(ToolFailed, match=rf'\[conflict\].*already exists.*Pass branch="{TAKEN}".*another name'):
        client.tool("create_branch", name=TAKEN)


def test_a_parent_that_expires_is_named_with_how_to_make_one_that_does_not(client: RawClient) -> None:
    with pytest.raises(ToolFailed, match=rf"'{TAKEN}' expires at .*create_branch\(expires_in=\"\"\)"):
        client.tool("create_branch", name="child", parent=TAKEN)


@pytest.mark.parametrize(
    ("sql", "rows", "unseen"),
    [
        ("INSERT INTO users (email, name) VALUES ('1@a', 'a') RETURNING name; SELECT 2", [[2]], 1),
        ("SELECT 1; SELECT g FROM generate_series(1, 5000) g; UPDATE users SET name = name WHERE id = 1", [], 2),
        ("UPDATE users SET name = name WHERE id = 1; SELECT 3", [[3]], None),
        ("SELECT g FROM generate_series(1, 2) g", [[1], [2]], None),
    ],
)
def test_rows_that_the_answer_does_not_hold_are_not_left_unmentioned(
    sql: str, rows: list[list[int]], unseen: int | None, client: RawClient
) -> None:
    answer = client.tool("run_sql", sql=sql, branch=TAKEN)
    assert answer["rows"] == rows
    told = " ".join(answer.get("warnings") or [])
    assert (f"{unseen} before it returned rows too" in told) if unseen else not told
