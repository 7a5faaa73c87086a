"""Migrations through the served tools and the command line: refused, kept, replayed, exported, shown."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from .stdio_client import HANDSHAKE, RawClient, ToolFailed, raw_server

FIRST = "CREATE TABLE tags (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE);\n"
SECOND = "ALTER TABLE users ADD COLUMN nick text; UPDATE users SET nick = name; ALTER TABLE users DROP COLUMN zip"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("migrations")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[RawClient]:
    with raw_server("--local", "--data-dir", str(folder / "data"), version=HANDSHAKE) as client:
        client.greet()
        yield client


@pytest.fixture(scope="module")
def branch(client: RawClient) -> str:
    client.tool("create_branch", name="work", expires_in="")
    client.tool("apply_migration", branch="work", name="first tags", sql=FIRST, version="1")
    report = client.tool("apply_migration", branch="work", name="nick", sql=SECOND)
    assert (report["verdict"], report["applied"]) == ("destructive", True)
    # The shop's trigger writes `updated_at` with every update: a value of before that is gone.
    assert [(x["kind"], x["object"], x.get("note")) for x in report["data_loss"]] == [
        ("rows updated", "users", "columns updated_at"),
        ("column dropped", "users.zip", None),
    ]
    return "work"


def test_a_migration_of_the_default_branch_is_refused_with_the_way_out(client: RawClient) -> None:
    with pytest.raises(ToolFailed, match=r"\[refused\].*read-only here.*create_branch"):
        client.tool("apply_migration", branch="main", name="x", sql="DROP TABLE users")
    assert client.tool("query", sql="SELECT count(*) FROM users")["rows"] == [[10_000]]


def test_a_migration_that_reaches_beyond_the_branch_is_refused(client: RawClient, branch: str) -> None:
    sql = "CREATE TABLE x (y int);\n" * 3 + "CREATE SUBSCRIPTION s CONNECTION 'host=other' PUBLICATION p"
    with pytest.raises(ToolFailed, match="connects to another server"):
        client.tool("apply_migration", branch=branch, name="x", sql=sql)


def test_what_is_no_script_is_refused_with_the_reason(client: RawClient, branch: str) -> None:
    with pytest.raises(ToolFailed, match="command of psql"):
        client.tool("apply_migration", branch=branch, name="x", sql="\\i other.sql")


def test_describe_branch_lists_the_migrations(client: RawClient, branch: str) -> None:
    migrations = client.tool("describe_branch", branch=branch)["migrations"]
    assert migrations == ["shop: first tags (applied)", "shop: nick (applied)"]


def test_a_child_branch_has_its_parents_migrations(client: RawClient, branch: str) -> None:
    client.tool("create_branch", name="child", parent=branch)
    again = client.tool("apply_migration", branch="child", name="first tags", sql=FIRST)
    assert again["state"] == "already_applied"
    client.tool("delete_branch", branch="child")


def test_a_reset_with_replay_applies_them_again_on_fresh_data(client: RawClient, branch: str) -> None:
    client.tool("run_sql", branch=branch, sql="INSERT INTO tags (name) VALUES ('mine'); DELETE FROM order_items")
    result = client.tool("reset_branch", branch=branch, replay_migrations=True)
    assert [(r["name"], r["state"]) for r in result["replayed"]] == [("first tags", "applied"), ("nick", "applied")]
    uri = client.tool("get_connection_string", branch=branch)["uri"]
    with psycopg.connect(uri) as conn:
        assert conn.execute("SELECT count(*) FROM tags").fetchone() == (0,)
        assert conn.execute("SELECT count(nick) > 0 FROM users").fetchone() == (True,)
        assert conn.execute("SELECT name, version FROM neon_branch_mcp.migrations ORDER BY id").fetchall() == [
            ("first tags", "1"),
            ("nick", None),
        ]
        assert conn.execute("SELECT count(*) > 0 FROM order_items").fetchone() == (True,)


def test_a_replay_that_no_longer_fits_says_which_and_why_and_keeps_the_scripts(client: RawClient) -> None:
    client.tool("create_branch", name="below", expires_in="")
    client.tool("create_branch", name="above", parent="below")
    client.tool("apply_migration", branch="above", name="one", sql="CREATE TABLE one (x int)")
    client.tool("apply_migration", branch="above", name="two", sql="CREATE TABLE two (x int)")
    client.tool("apply_migration", branch="above", name="three", sql="CREATE TABLE three (x int)")
    client.tool("run_sql", branch="below", sql="CREATE TABLE two (other text)")
    with pytest.raises(ToolFailed) as caught:
        client.tool("reset_branch", branch="above", replay_migrations=True)
    shown = str(caught.value)
    assert "Applied again: one." in shown
    assert "'two' no longer fits" in shown
    assert "already exists" in shown
    assert "Not tried: three." in shown
    kept = Path(shown.split("All scripts are kept in ")[1].split(".json")[0] + ".json")
    assert [e["name"] for e in json.loads(kept.read_text())["shop"]] == ["one", "two", "three"]
    assert kept.stat().st_mode & 0o077 == 0
    kept.unlink()


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line, on the same data directory while the server runs."""
    line = [sys.executable, "-m", "neon_branch_mcp", *arguments, "--local", "--data-dir", str(folder / "data")]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)


def test_exported_files_are_the_exact_scripts_with_their_checksums(
    client: RawClient, branch: str, folder: Path
) -> None:
    out = folder / "out"
    first = command(folder, "export", branch, "--out", str(out))
    assert first.returncode == 0, first.stderr
    assert (out / "0001_first_tags.sql").read_text() == FIRST
    assert (out / "0002_nick.sql").read_text() == SECOND
    for line in (out / "SHA256SUMS").read_text().splitlines():
        checksum, name = line.split("  ")
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == checksum
    assert command(folder, "export", branch, "--out", str(out)).returncode == 0
    (out / "0001_first_tags.sql").write_text("-- changed by hand\n")
    refused = command(folder, "export", branch, "--out", str(out))
    assert refused.returncode == 1
    assert "0001_first_tags.sql" in refused.stderr
    assert (out / "0001_first_tags.sql").read_text() == "-- changed by hand\n"


def test_the_report_is_text_or_one_page_that_loads_nothing(client: RawClient, branch: str, folder: Path) -> None:
    text = command(folder, "report", branch, "--name", "nick")
    assert text.returncode == 0, text.stderr
    assert text.stdout.startswith("verdict: destructive · nick on work/shop: applied")
    assert "column dropped: users.zip" in text.stdout
    page = folder / "report.html"
    assert command(folder, "report", branch, "--html", str(page)).returncode == 0
    html = page.read_text()
    assert "<svg" in html
    assert "AccessExclusive: blocks reads and writes" in html
    assert "· 1 statement," in html
    assert "<code>ALTER TABLE users ADD COLUMN nick text</code>" in html
    assert not any(word in html for word in ("<script", "http://", "https://", " src=", "@import"))
    missing = command(folder, "report", branch, "--name", "nothing")
    assert missing.returncode == 1
    assert "first tags, nick" in missing.stderr
