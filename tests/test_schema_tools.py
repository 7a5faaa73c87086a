"""describe_schema, compare_schema and `neon-branch-mcp schema` as a client and a person meet them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from neon_branch_mcp.local.plane import LocalPlane

from .conftest import PlaneApi, Scratch
from .stdio_client import HANDSHAKE, RawClient, ToolFailed, raw_server

NAMES = ("same", "one", "moved", "wide", "odd")


@pytest.fixture(scope="module")
def client(plane: LocalPlane) -> Iterator[RawClient]:
    project = ("--project-id", plane.project_id)
    with raw_server("--local", "--data-dir", str(plane.data_dir), *project, version=HANDSHAKE) as client:
        client.greet()
        yield client
        left = {b["name"] for b in client.tool("list_branches")["branches"]}
        for name in left.intersection(NAMES):
            client.tool("delete_branch", branch=name)


@pytest.fixture(scope="module")
def odd(client: RawClient, api: PlaneApi) -> Scratch:
    """A branch to do odd things on, and its superuser."""
    client.tool("create_branch", name="odd")
    found = next(b for b in api("GET", f"{api.project}/branches")["branches"] if b["name"] == "odd")
    core = api.plane.service.core
    return Scratch(found["id"], api.uri(found["id"]), core.cluster_of(core.branch(found["id"])))


def test_a_branch_that_changed_nothing_does_not_differ_from_its_parent(client: RawClient) -> None:
    client.tool("create_branch", name="same")
    found = client.tool("compare_schema", branch="same")
    assert (found["branch"], found["base"], found["changes"], found["diff"]) == ("same", "main", [], "")


def test_a_branch_that_changed_one_thing_differs_by_that(client: RawClient) -> None:
    client.tool("create_branch", name="one")
    client.tool("run_sql", branch="one", sql="ALTER TABLE orders ADD COLUMN gift boolean NOT NULL DEFAULT false")
    found = client.tool("compare_schema", branch="one")
    assert found["changes"] == ["add column orders.gift bool not null default false"]
    assert found["diff"] == "ALTER TABLE public.orders ADD COLUMN gift boolean NOT NULL DEFAULT false;"
    back = client.tool("compare_schema", branch="main", base="one")
    assert back["changes"] == ["drop column orders.gift bool"]


def test_a_migrations_ledger_is_no_difference(client: RawClient) -> None:
    client.tool("create_branch", name="moved")
    client.tool("apply_migration", branch="moved", name="m1", sql="CREATE INDEX on users (zip)")
    found = client.tool("compare_schema", branch="moved")
    assert found["changes"] == ["create index users_zip_idx on users (zip)"]


def test_a_root_branch_needs_a_base(client: RawClient) -> None:
    with pytest.raises(ToolFailed, match=r"\[not_found\] main is a root branch and has no parent"):
        client.tool("compare_schema", branch="main")


def test_a_wrong_name_lists_the_nearest(client: RawClient) -> None:
    with pytest.raises(ToolFailed, match=r"\[not_found\] Nothing is named order_item; nearest: order_items"):
        client.tool("describe_schema", objects=["order_item"])


def test_an_empty_database_says_so(client: RawClient, odd: Scratch, api: PlaneApi) -> None:
    body = {"database": {"name": "void", "owner_name": "shop_owner"}}
    api("POST", f"{api.project}/branches/{odd.branch_id}/databases", json=body)
    found = client.tool("describe_schema", branch="odd", database="void")
    assert "empty: no tables, views, types or functions" in found["schema"]
    assert found["tables"] == 0


def test_a_table_that_the_role_may_not_see_is_named(client: RawClient, odd: Scratch) -> None:
    with psycopg.connect(odd.superuser_uri("shop"), autocommit=True) as conn:
        conn.execute("CREATE TABLE secrets (id int); REVOKE pg_read_all_data FROM neon_superuser")
    text = client.tool("describe_schema", branch="odd", database="shop")["schema"]
    line = next(line for line in text.splitlines() if line.startswith("table secrets"))
    assert line == "table secrets -- not readable by this role"


def test_a_lock_of_another_session_is_named_and_waited_for_by_nobody(client: RawClient, odd: Scratch) -> None:
    with psycopg.connect(odd.superuser_uri("shop")) as holder:
        holder.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        text = client.tool("describe_schema", branch="odd", database="shop")["schema"]
        with pytest.raises(ToolFailed, match=r"\[timeout\] .* ACCESS EXCLUSIVE lock on order_totals, orders\."):
            client.tool("compare_schema", branch="odd", database="shop")
    line = next(line for line in text.splitlines() if line.startswith("table orders "))
    assert line.endswith("-- locked by another session: expressions not read")


def test_a_page_of_the_schema_names_the_rest(client: RawClient) -> None:
    client.tool("create_branch", name="wide")
    many = "; ".join(
        f"CREATE TABLE wide_{i} (" + ", ".join(f"column_{j} text" for j in range(60)) + ")" for i in range(60)
    )
    client.tool("run_sql", branch="wide", sql=many)
    first = client.tool("describe_schema", branch="wide")
    assert len(first["schema"].encode()) <= 32_000
    assert first["tables"] == 64
    assert "-- left out: " in first["schema"]
    second = client.tool("describe_schema", branch="wide", cursor=first["cursor"])
    assert second["cursor"] is None or second["cursor"] != first["cursor"]
    assert len(client.tool("describe_schema", branch="wide", detail="names")["schema"]) < 3_000


def test_the_command_shows_the_schema_and_writes_a_page(plane: LocalPlane, tmp_path: Path) -> None:
    place = ["--local", "--data-dir", str(plane.data_dir), "--project-id", plane.project_id]
    command = [sys.executable, "-m", "neon_branch_mcp", "schema", "main", *place]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "\ntable orders" in shown
    target = tmp_path / "schema.html"
    subprocess.run([*command, "--html", str(target)], capture_output=True, check=True)
    assert "<svg" in target.read_text(encoding="utf-8")
    missing = subprocess.run(
        [*command, "--html", str(tmp_path / "no" / "x")], capture_output=True, text=True, check=False
    )
    assert missing.returncode == 2
    assert "cannot be written" in missing.stderr
