"""What the audit of a running server holds: every call, read back by people, whole after kill -9, and never a secret."""

import json
import logging
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest
from mcp import Client

from neon_branch_mcp import audit_chain, audit_reader
from neon_branch_mcp.app import Caller, open_app
from neon_branch_mcp.audit import LogFile
from neon_branch_mcp.config import Config
from neon_branch_mcp.local.store import RoleRow
from neon_branch_mcp.server import build_server, session_caller
from tests.stdio_client import RawClient, ToolFailed, clean_env, raw_server

DATA = "NEON_BRANCH_MCP_LOCAL_DATA_DIR"
AUDIT = "NEON_BRANCH_MCP_AUDIT_PATH"
PORTS = {"NEON_BRANCH_MCP_LOCAL_FIRST_PORT": "13000", "NEON_BRANCH_MCP_LOCAL_LAST_PORT": "13499"}
"""Of these tests alone: while a server that was killed is not there again, another plane's tests must not take its ports."""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A data directory and an audit that the tests of this module share."""
    folder = tmp_path_factory.mktemp("audited")
    return {DATA: str(folder / "data"), AUDIT: str(folder / "audit.jsonl"), **PORTS}


def records(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for _, _, line in audit_chain.lines(Path(path)) if audit_chain.parse(line)]


def command(places: dict[str, str], *args: str) -> "subprocess.CompletedProcess[str]":
    """`neon-branch-mcp audit …` as a person runs it."""
    line = [sys.executable, "-m", "neon_branch_mcp", "audit", *args]
    return subprocess.run(line, env=clean_env(**places), capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def client(places: dict[str, str]) -> Iterator[RawClient]:
    with raw_server("--local", cwd=None, **places) as client:
        client.greet()
        yield client


def test_people_read_back_what_was_done_and_what_was_refused(places: dict[str, str], client: RawClient) -> None:
    with pytest.raises(ToolFailed):
        client.tool("run_sql", sql="DROP TABLE users")
    client.tool("create_branch", name="seen")
    client.tool("run_sql", sql="DELETE FROM order_items WHERE order_id < 4", branch="seen")
    client.tool("query", sql="SELECT 1", branch="seen")
    client.tool("delete_branch", branch="seen")

    refused = command(places, "--refused").stdout
    assert "DROP TABLE users" in refused
    assert "DELETE" not in refused
    on_branch = command(places, "--branch", "seen").stdout.splitlines()
    assert [line.split()[3] for line in on_branch] == ["create_branch", "run_sql", "query", "delete_branch"]
    assert "DELETE FROM order_items" in on_branch[1]
    verified = command(places, "verify")
    assert (verified.returncode, verified.stdout.count("is whole")) == (0, 1)

    written = {(r["tool"], r["event"]) for r in records(places[AUDIT]) if "tool" in r}
    assert {("create_branch", "begin"), ("run_sql", "begin"), ("query", "call"), ("run_sql", "call")} <= written
    first = next(r for r in records(places[AUDIT]) if r.get("sql") == "DROP TABLE users")
    assert first["client"].startswith("raw")
    assert (first["decision"], first["branch"], first["project"][:1].isalpha()) == ("refused", "main", True)


def test_calls_are_shown_as_they_happen(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = LogFile(path, 2_000)
    line = [sys.executable, "-m", "neon_branch_mcp", "audit", "--follow", "--refused"]
    env = clean_env(**{AUDIT: str(path), "PYTHONUNBUFFERED": "1"})
    with subprocess.Popen(line, env=env, stdout=subprocess.PIPE, text=True) as follower:
        try:
            assert follower.stdout is not None
            assert "Nothing is on record" in follower.stdout.readline()
            for number in range(20):
                sql = f"DROP TABLE t{number} \x1b[2J"
                entry = {"event": "call", "tool": "run_sql", "branch": "main", "sql": sql, "rule": "kind"}
                log.append({**entry, "result": "refused" if number % 2 else "ok"}, durable=False)
            shown = [follower.stdout.readline() for _ in range(10)]
        finally:
            follower.kill()
    assert [text.rpartition("TABLE t")[2].split()[0] for text in shown] == [str(n) for n in range(1, 20, 2)]
    assert "\x1b[2J" not in "".join(shown)
    assert len(audit_chain.files(path)) > 1, "it followed through rotated files"


def test_who_reads_while_files_are_put_away_misses_no_record_and_sees_none_twice(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = LogFile(path, 2_000)

    def write(number: int) -> None:
        for _ in range(number):
            log.append({"event": "call", "tool": "query", "sql": "SELECT " + "x" * 100}, durable=False)

    write(12)
    files = len(audit_chain.files(path))
    assert files > 1
    followed, read = audit_reader.records(path), audit_chain.lines(path)
    begun = [next(followed)["seq"]], [next(read)]
    write(12)
    assert len(audit_chain.files(path)) > files
    seen = begun[0] + [record["seq"] for record in followed]
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) >= 12
    assert begun[0] + [record["seq"] for record in audit_reader.records(path, after=1)] == list(range(1, 25))
    told = [json.loads(line)["seq"] for _, _, line in [*begun[1], *read]]
    assert told == list(range(1, len(told) + 1))


def test_verify_tells_people_what_was_changed(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = LogFile(path, 100_000)
    for sql in ("SELECT 2", "DROP TABLE users", "SELECT 3"):
        log.append({"event": "call", "tool": "run_sql", "branch": "main", "sql": sql, "result": "ok"}, durable=True)
    assert command({AUDIT: str(path)}, "verify").returncode == 0
    path.write_text(path.read_text().replace("DROP TABLE users", "SELECT 1"))
    told = command({AUDIT: str(path)}, "verify")
    assert told.returncode == 1
    assert "was changed" in told.stdout


def test_an_audit_that_cannot_be_written_stops_writes_and_no_reads(places: dict[str, str], tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with raw_server("--local", cwd=None, **{**places, AUDIT: str(blocked / "audit.jsonl")}) as client:
        client.greet()
        assert client.tool("query", sql="SELECT 1")["rows"] == [[1]]
        with pytest.raises(ToolFailed, match=r"\[refused\].*cannot be written.*Nothing was done.*rule: audit"):
            client.tool("create_branch", name="never")
        assert "never" not in [b["name"] for b in client.tool("list_branches")["branches"]]


@pytest.mark.parametrize("_round", range(int(os.environ.get("AUDIT_KILLS", "1"))))
def test_after_kill_nine_every_write_that_reached_postgres_is_on_record(places: dict[str, str], _round: int) -> None:
    with raw_server("--local", cwd=None, **places) as setup:
        setup.greet()
        if "killed" not in [b["name"] for b in setup.tool("list_branches")["branches"]]:
            setup.tool("create_branch", name="killed")
            setup.tool("run_sql", sql="CREATE TABLE marks (mark text)", branch="killed")
    process = subprocess.Popen(
        [sys.executable, "-m", "neon_branch_mcp", "serve", "--local"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=clean_env(**places),
    )
    client = RawClient(process, "2025-06-18")
    client.greet()
    try:
        for number in range(10_000):
            client.tool("run_sql", sql=f"INSERT INTO marks VALUES ('{process.pid}-{number}')", branch="killed")
            if number == 2:
                threading.Timer(random.uniform(0, 1), process.kill).start()
    except (EOFError, BrokenPipeError):
        pass
    process.wait(30)
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        with suppress(BrokenPipeError):
            pipe.close()

    with raw_server("--local", cwd=None, **places) as after:
        after.greet()
        uri = after.tool("get_connection_string", branch="killed")["uri"]
        with psycopg.connect(uri) as conn:
            marks = {row[0] for row in conn.execute("SELECT mark FROM marks").fetchall()}
    recorded = " ".join(r.get("sql", "") for r in records(places[AUDIT]))
    assert marks
    assert {mark for mark in marks if f"'{mark}'" not in recorded} == set()
    assert audit_chain.verify(Path(places[AUDIT])).problem is None


@pytest.mark.anyio
async def test_no_secret_is_in_anything_that_the_server_writes(
    places: dict[str, str], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """At the most talkative log level, through results, errors, tracebacks and the audit."""
    caplog.set_level(logging.DEBUG)
    config = Config.model_validate(
        {"local": {"enabled": True, "data_dir": places[DATA]}, "audit": {"path": places[AUDIT]}}
    )
    told: list[str] = []
    secrets: set[str] = set()

    async with open_app(config) as app, Client(build_server(app, session_caller(Caller()))) as client:

        async def call(tool: str, /, **arguments: Any) -> Any:
            result = await client.call_tool(tool, arguments)
            if tool != "get_connection_string" or result.is_error:
                told.append(result.model_dump_json())
            return result.structured_content

        await call("create_branch", name="hush")
        uri = (await call("get_connection_string", branch="hush"))["uri"]
        password = psycopg.conninfo.conninfo_to_dict(uri)["password"]
        assert isinstance(password, str)
        plane = await app.plane()
        assert plane is not None
        with plane.service.core.store.read() as tx:
            passwords = {role.password for role in tx.all(RoleRow) if role.password}
        secrets |= {password, plane.api_key.reveal(), *passwords}
        await call("run_sql", sql="ALTER ROLE CURRENT_USER PASSWORD 'hunter2hunter2'", branch="hush")
        secrets.add("hunter2hunter2")
        await call("query", sql="SELECT 1", branch="hush")  # the old password is refused now
        await call("query", sql="SELECT nothing", branch="hush")
        await call("query", sql=f"SELECT '{uri}'", branch="nowhere")
        for tool in ("list_branches", "list_projects", "describe_branch", "describe_schema"):
            await call(tool, **({"branch": "hush"} if tool.startswith("describe") else {}))
        await call("delete_branch", branch="hush")
        with anyio.move_on_after(0.05):
            await call("create_branch", name="hush2")
        app.executor.run = None  # type: ignore[method-assign,assignment]  # a bug of ours: the traceback is logged
        await call("query", sql="SELECT 1")

    assert any("[internal]" in text for text in told)
    out, err = capfd.readouterr()
    everything = [*told, out, err, caplog.text, *(p.read_text() for p in audit_chain.files(Path(places[AUDIT])))]
    hits = [
        (secret[:4], text[max(0, text.find(secret) - 80) :][:100])
        for secret in secrets
        for text in everything
        if secret in text
    ]
    assert hits == []
