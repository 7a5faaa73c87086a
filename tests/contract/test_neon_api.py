"""`neon-api` from PyPI, an independent client that refuses any answer with a missing field, works against the local control plane."""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import uvicorn
from neon_api import NeonAPI
from psycopg.conninfo import make_conninfo

from neon_branch_mcp.local.plane import LocalPlane


@pytest.fixture(scope="module")
def base_url(plane: LocalPlane) -> Iterator[str]:
    """The session's plane over TCP."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(plane.app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/api/v2/"
    server.should_exit = True
    thread.join(10)
    listener.close()


@pytest.fixture(scope="module")
def neon(plane: LocalPlane, base_url: str) -> NeonAPI:
    return NeonAPI(plane.api_key.reveal(), base_url=base_url)


def finish(neon: NeonAPI, project_id: str, changed: Any) -> None:
    for operation in changed.operations:
        while neon.operation(project_id, operation.id).operation.status.value not in ("finished", "skipped"):
            time.sleep(0.02)


def test_it_lists_what_there_is(neon: NeonAPI, plane: LocalPlane) -> None:
    assert neon.me().login == "local"
    assert plane.project_id in [p.id for p in neon.projects().projects]
    assert neon.project(plane.project_id).project.id == plane.project_id
    assert "main" in [b.name for b in neon.branches(plane.project_id).branches]
    assert neon.endpoints(plane.project_id).endpoints
    assert neon.operations(plane.project_id).operations


def test_it_makes_uses_and_deletes_a_branch(neon: NeonAPI, plane: LocalPlane) -> None:
    project = plane.project_id
    made = neon.branch_create(project, branch={"name": "from-neon-api"}, endpoints=[{"type": "read_write"}])
    finish(neon, project, made)
    branch = made.branch.id
    assert [d.name for d in neon.databases(project, branch).databases] == ["shop"]
    assert [r.name for r in neon.roles(project, branch).roles] == ["shop_owner"]
    finish(neon, project, reset := neon.role_password_reset(project, branch, "shop_owner"))
    (endpoint,) = (e for e in neon.endpoints(project).endpoints if e.branch_id == branch)
    default = neon.connection_uri(project, "shop", "shop_owner", pooled=False).uri
    port = int(endpoint.host.partition(":")[2])
    uri = make_conninfo(default, port=port, password=reset.role.password)
    with psycopg.connect(uri) as conn:
        assert conn.execute("SELECT count(*) FROM users").fetchone() == (10_000,)
    assert neon.branch_update(project, branch, branch={"name": "renamed"}).branch.name == "renamed"
    finish(neon, project, neon.branch_delete(project, branch))
    assert branch not in [b.id for b in neon.branches(project).branches]


def node_program() -> Path:
    """Neon's CLI; its folder holds the other packages from npm: `npm install neon @neon/sdk @neondatabase/api-client`."""
    found = os.environ.get("NEON_CLI") or shutil.which("neon")
    assert found is not None, "the npm package `neon` is not installed; set NEON_CLI to its program"
    return Path(found)


def client_env(plane: LocalPlane, base_url: str) -> dict[str, str]:
    return {
        "PATH": f"{Path(plane.service.core.binaries.tool('psql')).parent}:{os.environ['PATH']}",
        "HOME": os.environ.get("HOME", "/"),
        "NEON_API_HOST": base_url.rstrip("/"),
        "NEON_API_KEY": plane.api_key.reveal(),
        "PROJECT": plane.project_id,
        "CI": "1",
        "NO_UPDATE_NOTIFIER": "1",
    }


@pytest.mark.clients
def test_neons_own_cli_works_unchanged(plane: LocalPlane, base_url: str, tmp_path: Path) -> None:
    neon = node_program()

    def cli(*words: str, after: tuple[str, ...] = ()) -> str:
        command = [str(neon), *words, "--no-analytics"]
        if words[0] not in ("projects", "set-context"):
            command += ["--project-id", plane.project_id]
        done = subprocess.run(
            [*command, *after],
            env=client_env(plane, base_url),
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"neon {' '.join(words)}: {done.stdout} {done.stderr}"
        return done.stdout

    assert plane.project_id in cli("projects", "list")
    cli("branches", "create", "--name", "cli")
    uri = cli("connection-string", "cli").strip()
    with psycopg.connect(uri, autocommit=True) as conn:
        conn.execute("CREATE TABLE made_by_cli (id int)")
    assert "10000" in cli("psql", "cli", after=("--", "-c", "SELECT count(*) FROM users"))
    assert "made_by_cli" in cli("branches", "schema-diff", "main", "cli")
    until = datetime.now(UTC) + timedelta(days=20)
    cli("branches", "set-expiration", "cli", "--expires-at", until.isoformat(timespec="milliseconds"))
    cli("branches", "reset", "cli", "--parent")
    cli("branches", "restore", "cli", "main")
    assert "made_by_cli" not in cli("branches", "schema-diff", "main", "cli")
    cli("env", "pull", "--branch", "cli", "--file", ".env.cli")
    assert f'DATABASE_URL_UNPOOLED="{uri}"' in (tmp_path / ".env.cli").read_text(encoding="utf-8")
    assert "shop" in cli("databases", "list", "--branch", "cli")
    assert "cli" in cli("branches", "get", "cli")
    cli("status")
    cli("branches", "delete", "cli")
    made = json.loads(cli("projects", "create", "--name", "cli's", "--output", "json"))["project"]["id"]
    cli("projects", "delete", made)


def life(script: str, plane: LocalPlane, base_url: str) -> Any:
    """What the script of this folder saw. Node looks for packages from where its text came, which is the folder of the CLI."""
    modules = next(p for p in node_program().parents if p.name == "node_modules")
    text = Path(__file__).with_name(script).read_text(encoding="utf-8")
    done = subprocess.run(
        ["node", "--input-type=module", "-"],
        input=text,
        env=client_env(plane, base_url),
        cwd=modules.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.clients
def test_neons_sdk_gives_a_branch_its_whole_life(plane: LocalPlane, base_url: str) -> None:
    saw = life("sdk_life.mjs", plane, base_url)
    assert (saw["name"], saw["database"], saw["role"]) == ("sdk-2", ["shop"], ["shop_owner"])
    assert {"main", "sdk-2"} <= set(saw["listed"])
    assert (saw["diff"], saw["same"], saw["sameUri"], saw["gone"]) == ("", True, True, "not_found")


@pytest.mark.clients
def test_neons_older_client_gives_a_branch_its_whole_life(plane: LocalPlane, base_url: str) -> None:
    saw = life("api_client_life.mjs", plane, base_url)
    assert {"main", "api-client"} <= set(saw["names"])
    assert (saw["name"], saw["state"], saw["status"]) == ("api-client-2", "ready", 404)
    assert saw["uri"].startswith("postgresql://shop_owner:") and saw["password"] not in saw["uri"]
