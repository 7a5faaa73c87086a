"""`neon-branch-mcp local …` by hand: import, psql, status, reset, down."""

import gzip
import io
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from neon_branch_mcp.cli.local import _print_branches, local
from neon_branch_mcp.errors import ConfigError, NotFound, Refused, Unreachable
from neon_branch_mcp.local.binaries import find_binaries
from neon_branch_mcp.local.plane import Opened
from neon_branch_mcp.local.watchdog import postmasters_below

from .conftest import BIN_DIR, MadeBranch, PlaneApi, data_folder, local_config, plane_folder

Run = Callable[..., Result]
DUMP = """\
CREATE TABLE kept (n int PRIMARY KEY);
COPY kept (n) FROM stdin;
1
2
\\.
GRANT SELECT ON kept TO nobody_here;
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with plane_folder() as made:
        yield made


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `neon-branch-mcp local …` on a data directory of this file's own."""
    monkeypatch.setenv("NEON_BRANCH_MCP_LOCAL_SAMPLE", "false")
    monkeypatch.setenv("NEON_BRANCH_MCP_LOCAL_HISTORY", "0")
    monkeypatch.setenv("COLUMNS", "200")
    if BIN_DIR:
        monkeypatch.setenv("NEON_BRANCH_MCP_LOCAL_BIN_DIR", BIN_DIR)

    def invoke(*words: str) -> Result:
        done = CliRunner().invoke(local, [*words, "--data-dir", str(folder)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return invoke


def rows(folder: Path, project: str, question: str) -> list[tuple[object, ...]]:
    """What the project's default branch answers, to a client of its connection string."""
    opened = Opened(local_config(folder, sample=False, history=0))
    try:
        service = opened.plane.service
        branch = service.branches(project)[0]
        (database,) = service.databases(project, branch.id)
        uri = service.connection_uri(project, database.name, database.owner, branch_id=branch.id, endpoint_id=None)
        with psycopg.connect(uri) as conn:
            return conn.execute(question.encode()).fetchall()
    finally:
        opened.close()


def test_a_plain_dump_is_imported_and_what_could_not_be_is_told(run: Run, folder: Path, tmp_path: Path) -> None:
    dump = tmp_path / "My-App.sql"
    dump.write_text(DUMP, encoding="utf-8")
    done = run("import", str(dump))
    assert 'role "nobody_here" does not exist' in done.stderr
    assert rows(folder, done.stdout.strip(), "SELECT n, current_database() FROM kept ORDER BY n") == [
        (1, "my_app"),
        (2, "my_app"),
    ]


def test_a_live_database_and_an_archive_of_it_are_imported(
    run: Run, folder: Path, tmp_path: Path, branch: MadeBranch, api: PlaneApi
) -> None:
    live = run("import", branch.uri, "--name", "copy of the shop")
    archive = tmp_path / "shop.dump"
    tools = api.plane.service.core.binaries
    subprocess.run([tools.tool("pg_dump"), "-Fc", "-f", str(archive), branch.uri], check=True)
    filed = run("import", str(archive))
    for project in (live.stdout.strip(), filed.stdout.strip()):
        assert rows(folder, project, "SELECT count(*) FROM users") == [(10_000,)]
    maintenance = run("import", branch.uri.replace("/shop?", "/postgres?")).stdout.strip()
    assert rows(folder, maintenance, "SELECT current_database()") == [("imported",)]
    listed = run("status").stdout
    assert f"{live.stdout.strip()} (copy of the shop)" in listed


def test_what_cannot_be_imported_leaves_no_project(run: Run, folder: Path, tmp_path: Path) -> None:
    before = run("status").stdout.count("(default)")
    with pytest.raises(NotFound, match="neither a file nor a"):
        run("import", str(tmp_path / "nothing.sql"))
    for name, content in (("broken.dump", b"PGDMP" + b"\0" * 100), ("letter.sql", b"Dear Sir,\nno dump this is.\n")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError, match=f"{name} could not be restored"):
            run("import", str(tmp_path / name))
    (tmp_path / "packed.sql.gz").write_bytes(gzip.compress(DUMP.encode()))
    with pytest.raises(ConfigError, match=r"packed\.sql\.gz is a compressed file; unpack it first"):
        run("import", str(tmp_path / "packed.sql.gz"))
    with pytest.raises(Unreachable, match=r"pg_dump of the database at 127\.0\.0\.1 failed"):
        run("import", "postgresql://me:secret@127.0.0.1:1/none")
    assert run("status").stdout.count("(default)") == before


def projects(opened: Opened) -> list[str]:
    return [p.name for p in opened.plane.service.projects() if p.state == "ready"]


def test_an_import_that_is_killed_leaves_no_project(run: Run, folder: Path, tmp_path: Path) -> None:
    """`run` sets what the importer and this process have in common."""
    dump = tmp_path / "slow.sql"
    dump.write_text("CREATE TABLE first (n int);\nSELECT pg_sleep(600);\n", encoding="utf-8")
    command = [sys.executable, "-m", "neon_branch_mcp", "local", "import", str(dump), "--data-dir", str(folder)]
    opened = Opened(local_config(folder, sample=False, history=0))
    try:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as importer:
            while "slow" not in projects(opened) and importer.poll() is None:
                time.sleep(0.05)
            assert importer.poll() is None
            importer.kill()
        until = time.monotonic() + 60
        while "slow" in projects(opened) and time.monotonic() < until:
            time.sleep(0.05)
        assert "slow" not in projects(opened)
    finally:
        opened.close()
    assert postmasters_below(folder) == []


def test_a_lost_state_file_is_not_begun_anew_over_the_clusters(run: Run, folder: Path) -> None:
    run("status")
    with data_folder() as kept:
        shutil.copytree(folder, kept, dirs_exist_ok=True)
        for path in kept.glob("state.db*"):
            path.unlink()
        clusters = {path.name for path in (kept / "clusters").iterdir()}
        for _ in range(2):  # the first attempt makes an empty file
            with pytest.raises(ConfigError, match=r"state\.db is missing or empty, and .* holds \d+ clusters"):
                Opened(local_config(kept, sample=False, history=0))
        assert {path.name for path in (kept / "clusters").iterdir()} == clusters


def test_nobody_else_can_read_the_state(run: Run, folder: Path) -> None:
    """As root the folder is open to walk through, for the servers' user."""
    opened = Opened(local_config(folder, sample=False, history=0))
    try:
        found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("state.db*")}
    finally:
        opened.close()
    assert found == dict.fromkeys(("state.db", "state.db-wal", "state.db-shm"), 0o600)


def test_psql_opens_a_branch_as_its_owner(folder: Path, run: Run) -> None:
    command = [sys.executable, "-m", "neon_branch_mcp", "local", "psql", "main", "--data-dir", str(folder)]
    asked = "SELECT current_user || ' of ' || current_database();\n"
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False, timeout=60)
    assert "neondb_owner of neondb" in done.stdout, done.stderr
    given = ["--", "-At", "-c", "SELECT 6 * 7"]
    assert subprocess.run([*command, *given], capture_output=True, check=True, timeout=60).stdout == b"42\n"
    with pytest.raises(NotFound, match=r"no branch 'nope'\. There are: main"):
        run("psql", "nope")


def test_status_tells_the_binaries_the_folders_and_every_branch(run: Run, folder: Path) -> None:
    shown = run("status").stdout
    binaries = find_binaries(Path(BIN_DIR) if BIN_DIR else None)
    assert f"PostgreSQL {binaries.version}" in shown and str(folder) in shown
    assert ("TLS and SCRAM" in shown) == binaries.has_openssl
    listed = run("branches").stdout
    assert "main (default)" in shown
    assert re.search(r"suspended +\d+ +[1-9]", listed), "a port, and megabytes"


@pytest.mark.parametrize(("columns", "when"), [(80, "%Y-%m-%d"), (120, "%Y-%m-%d %H:%M")])
def test_the_list_of_branches_is_whole_on_a_terminal_of_eighty_columns(
    columns: int, when: str, api: PlaneApi, make_branch: Callable[..., MadeBranch]
) -> None:
    expires = datetime.now(UTC) + timedelta(days=7)
    made = make_branch("split-addresses", expires_at=expires.strftime("%Y-%m-%dT%H:%M:%SZ"))
    written = io.StringIO()
    _print_branches(Console(width=columns, file=written), api.plane, api.plane.project_id, "shop")
    lines = written.getvalue().splitlines()
    (line,) = [line for line in lines if made.id in line]
    assert re.search(
        rf"{made.id} +main +(running|suspended) +\d{{4,5}} +[1-9]\d* +{expires.strftime(when)}$", line.rstrip()
    )
    assert max(len(line.rstrip()) for line in lines) <= columns


def test_a_root_is_not_reset_and_down_leaves_no_process(run: Run, folder: Path) -> None:
    with pytest.raises(Refused, match="root branch"):
        run("reset", "main")
    assert "stopped." in run("down").stderr
    assert postmasters_below(folder) == []


def test_the_api_is_served_on_loopback_and_on_a_free_port_only(run: Run) -> None:
    with pytest.raises(ConfigError, match="not a loopback address; --allow-remote"):
        run("up", "--host", "0.0.0.0")
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        with pytest.raises(ConfigError, match=f"Port {port} on 127.0.0.1 cannot be used: .*--port"):
            run("up", "--port", str(port))
