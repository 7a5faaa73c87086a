"""`neon-api` from PyPI, an independent client that refuses any answer with a missing field, works against the local control plane."""

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
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


@pytest.mark.clients
def test_neons_own_cli_works_unchanged(plane: LocalPlane, base_url: str) -> None:
    neon = os.environ.get("NEON_CLI") or shutil.which("neon")
    assert neon is not None, "the npm package `neon` is not installed; set NEON_CLI to its program"
    env = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "NEON_API_HOST": base_url.rstrip("/"),
        "NEON_API_KEY": plane.api_key.reveal(),
        "CI": "1",
        "NO_UPDATE_NOTIFIER": "1",
    }

    def cli(*words: str) -> str:
        command = [neon, *words, "--no-analytics"]
        if words[0] != "projects":
            command += ["--project-id", plane.project_id]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"neon {' '.join(words)}: {done.stdout} {done.stderr}"
        return done.stdout

    assert plane.project_id in cli("projects", "list")
    cli("branches", "create", "--name", "cli")
    uri = cli("connection-string", "cli").strip()
    with psycopg.connect(uri, autocommit=True) as conn:
        conn.execute("CREATE TABLE made_by_cli (id int)")
    assert "made_by_cli" in cli("branches", "schema-diff", "main", "cli")
    until = datetime.now(UTC) + timedelta(days=20)
    cli("branches", "set-expiration", "cli", "--expires-at", until.isoformat(timespec="milliseconds"))
    cli("branches", "reset", "cli", "--parent")
    cli("branches", "restore", "cli", "main")
    assert "made_by_cli" not in cli("branches", "schema-diff", "main", "cli")
    assert "shop" in cli("databases", "list", "--branch", "cli")
    assert "cli" in cli("branches", "get", "cli")
    cli("status")
    cli("branches", "delete", "cli")
