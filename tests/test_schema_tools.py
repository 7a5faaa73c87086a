"""describe_schema, compare_schema and `neon-branch-mcp schema` as a client and a person meet them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .stdio_client import HANDSHAKE, RawClient, ToolFailed, raw_server


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("schema")


@pytest.fixture(scope="module")
def client(data_dir: Path) -> Iterator[RawClient]:
    with raw_server("--local", "--data-dir", str(data_dir), version=HANDSHAKE) as client:
        client.greet()
        client.tool("create_branch", name="dev")
        yield client


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


def test_the_command_shows_the_schema_and_writes_a_page(client: RawClient, data_dir: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "neon_branch_mcp", "schema", "main", "--local", "--data-dir", str(data_dir)]
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
