"""What the tests with real clients share: the programs, the journey as a model plays it, a server over HTTP, a Codex of their own."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx

from neon_branch_mcp.local.plane import LocalPlane

from ..stdio_client import clean_env
from .model import ScriptedModel, Step

CHECK = {
    "name": "names",
    "base_sql": "SELECT id, name FROM users",
    "branch_sql": "SELECT user_id, note FROM user_notes",
}
MIGRATION = """\
CREATE TABLE user_notes (user_id bigint PRIMARY KEY REFERENCES users, note text);
INSERT INTO user_notes SELECT id, name FROM users;
"""
UNASKED: tuple[Step, ...] = (
    ("call", "run_sql", {"sql": "DROP TABLE users"}),
    ("call", "list_branches", {}),
    ("call", "create_branch", {"name": "{name}"}),
    ("call", "describe_schema", {"branch": "{name}"}),
    ("call", "apply_migration", {"branch": "{name}", "name": "notes", "sql": MIGRATION}),
    ("call", "run_sql", {"branch": "{name}", "sql": "UPDATE user_notes SET note = 'x' WHERE user_id <= 3"}),
    ("call", "query", {"branch": "{name}", "sql": "SELECT count(*) FROM user_notes WHERE note = 'x'"}),
    ("call", "compare_schema", {"branch": "{name}"}),
    ("call", "verify_migration", {"branch": "{name}"}),
    ("call", "get_connection_string", {"branch": "{name}"}),
)
DELETE: Step = ("call", "delete_branch", {"branch": "{name}"})


def journey(name: str) -> list[Step]:
    return [json.loads(json.dumps(step).replace("{name}", name)) for step in (*UNASKED, DELETE)] + [("say", "done")]


def program(name: str) -> str:
    path = shutil.which(name)
    assert path is not None, f"the program {name} is not on the PATH; the top of this file says where it comes from"
    return path


def ours(*args: str, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "neon_branch_mcp", *args],
        cwd=cwd,
        env=clean_env(**env),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def serving(*args: str, **env: str) -> Iterator[str]:
    """`serve --http` on a port of its own; its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "neon_branch_mcp", "serve", "--http", f"127.0.0.1:{port}", *args]
    with subprocess.Popen(command, env=clean_env(**env)) as server:
        try:
            for _ in range(300):
                try:
                    httpx.get(f"http://127.0.0.1:{port}/healthz")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            server.terminate()


def http_server(plane: LocalPlane) -> AbstractContextManager[str]:
    """A server over the plane, for whoever asks; its URL."""
    return serving("--local", "--data-dir", str(plane.data_dir))


@contextmanager
def team_server(plane: LocalPlane) -> Iterator[tuple[str, str]]:
    """A server that works with each caller's own Neon key, on the plane as Neon's API over TCP: its URL, and a key."""
    up = [
        sys.executable,
        "-m",
        "neon_branch_mcp",
        "local",
        "up",
        "--port",
        "0",
        "--json",
        "--data-dir",
        str(plane.data_dir),
    ]
    with subprocess.Popen(up, stdout=subprocess.PIPE, env=clean_env()) as process:
        assert process.stdout is not None
        try:
            told = json.loads(process.stdout.readline())
            with serving("--auth", "neon-api-key", NEON_API_HOST=told["api_host"]) as url:
                yield url, told["api_key"]
        finally:
            process.terminate()


def codex_home(
    project: Path, model: ScriptedModel, model_name: str, *, trusted: bool = True, key: str = "napi_local"
) -> dict[str, str]:
    """The environment of a Codex that asks the scripted model, trusts the project or not, and has this Neon key."""
    home = project.parent / "codex-home"
    home.mkdir()
    trust = f'[projects."{project}"]\ntrust_level = "trusted"\n' if trusted else ""
    (home / "config.toml").write_text(
        f'model = "{model_name}"\nmodel_provider = "scripted"\ncheck_for_update_on_startup = false\n'
        "[analytics]\nenabled = false\n"
        f'[model_providers.scripted]\nname = "scripted"\nbase_url = "{model.url}/v1"\nwire_api = "responses"\n'
        f'env_key = "SCRIPTED_KEY"\nrequest_max_retries = 0\nstream_max_retries = 0\n{trust}'
    )
    return {**os.environ, "CODEX_HOME": str(home), "SCRIPTED_KEY": "x", "NEON_API_KEY": key}
