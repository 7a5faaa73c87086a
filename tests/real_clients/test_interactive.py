"""An interactive Codex session with the guide's own configuration, and a machine where nothing was installed before.

`codex app-server` is what Codex's terminal, desktop and IDE clients speak to; what it asks, a person would be asked.
"""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from neon_branch_mcp.local.plane import LocalPlane
from neon_branch_mcp.tools.catalogue import TOOLS

from .kit import DELETE, UNASKED, codex_home, journey, program, team_server
from .model import Step, scripted_model

pytestmark = pytest.mark.clients

ROOT = Path(__file__).parents[2]
GUIDE = """\
[mcp_servers.neon]
url = "{url}"
bearer_token_env_var = "NEON_API_KEY"
"""
"""The guide's entry for mcp.neon.tech, with another URL."""

COMMAND = """\
[mcp_servers.neon]
command = "{command}"
args = [{args}]
env_vars = ["NEON_API_KEY"]
"""
"""The same for a server that Codex starts."""


@contextmanager
def by_url(plane: LocalPlane) -> Iterator[tuple[str, str]]:
    """The guide's configuration, and the key to have in NEON_API_KEY."""
    with team_server(plane) as (url, key):
        yield GUIDE.format(url=url), key


@contextmanager
def by_command(plane: LocalPlane) -> Iterator[tuple[str, str]]:
    args = ("-m", "neon_branch_mcp", "serve", "--local", "--data-dir", str(plane.data_dir))
    yield COMMAND.format(command=sys.executable, args=", ".join(f'"{a}"' for a in args)), ""


class AppServer:
    """JSON-RPC with `codex app-server`; whatever it asks is accepted and kept in `asked`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._inbox: queue.Queue[dict[str, Any]] = queue.Queue()
        self._serial = 0
        self.asked: list[str] = []
        self.calls: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._inbox.put(json.loads(line))

    def send(self, **message: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self._process.stdin.flush()

    def request(self, method: str, params: Any) -> Any:
        """The result."""
        self._serial += 1
        self.send(id=self._serial, method=method, params=params)
        while True:
            message = self.next()
            if message.get("id") == self._serial and "method" not in message:
                assert "result" in message, message
                return message["result"]

    def next(self) -> dict[str, Any]:
        """The next message, answered if it is a question."""
        message = self._inbox.get(timeout=120)
        if "id" in message and "method" in message:
            self.asked.append(json.dumps(message["params"]))
            self.send(id=message["id"], result={"action": "accept", "content": None})
        item = (message.get("params") or {}).get("item") or {}
        if message.get("method") == "item/completed" and item.get("type") == "mcpToolCall":
            self.calls.append(item)
        return message

    def thread(self, project: Path) -> str:
        """A conversation in that folder."""
        client = {"name": "acceptance", "version": "0"}
        self.request("initialize", {"clientInfo": client, "capabilities": {"experimentalApi": True}})
        self.send(method="initialized")
        settings = {"cwd": str(project), "approvalPolicy": "on-request", "ephemeral": True}
        return str(self.request("thread/start", settings)["thread"]["id"])

    def turn(self, thread: str) -> None:
        """One turn of the model, to its end."""
        self.request("turn/start", {"threadId": thread, "input": [{"type": "text", "text": "go"}]})
        while self.next().get("method") != "turn/completed":
            pass

    def tools(self, thread: str) -> set[str]:
        """What Codex knows of the tools of its MCP servers."""
        status = self.request("mcpServerStatus/list", {"threadId": thread})
        return {tool for server in status["data"] for tool in server["tools"]}


@contextmanager
def app_server(project: Path, env: Mapping[str, str]) -> Iterator[AppServer]:
    """A running one, ended at the end."""
    command = [program("codex"), "app-server"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=project, env=dict(env), text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield AppServer(process)
        finally:
            process.terminate()


@pytest.mark.parametrize("guide", [by_url, by_command])
def test_with_the_guides_configuration_a_session_does_the_journey_and_asks_before_what_is_destructive(
    guide: Callable[[LocalPlane], AbstractContextManager[tuple[str, str]]],
    plane: LocalPlane,
    folder: Path,
    forget: Callable[[str], str],
) -> None:
    script = journey(forget(f"interactive-{guide.__name__}"))
    with guide(plane) as (config, key), scripted_model(script) as model:
        (folder / ".codex").mkdir()
        (folder / ".codex" / "config.toml").write_text(config)
        with app_server(folder, codex_home(folder, model, "scripted-unknown", key=key)) as codex:
            thread = codex.thread(folder)
            assert codex.tools(thread) == {s.name for s in TOOLS}
            codex.turn(thread)
    told = [(call["tool"], call["status"]) for call in codex.calls]
    assert told == [(step[1], "failed" if n == 0 else "completed") for n, step in enumerate((*UNASKED, DELETE))]
    assert "[refused]" in json.dumps(codex.calls[0])
    asked = [next(s.name for s in TOOLS if f'"{s.name}"' in question) for question in codex.asked]
    assert asked == ["run_sql", "apply_migration", "run_sql", "delete_branch"]


def test_on_a_fresh_machine_the_wheel_init_and_trust_are_all_that_codex_needs(
    plane: LocalPlane, folder: Path, tmp_path: Path
) -> None:
    python = empty_environment(tmp_path / "venv")
    wheel = built_wheel(tmp_path / "wheel")
    constraints = str(ROOT / "tools" / "constraints.txt")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-c", constraints, f"{wheel}[local]"], check=True)
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    said = subprocess.run(
        ["neon-branch-mcp", "init", "codex", "--local", "--data-dir", str(plane.data_dir)],
        cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "trust" in said, "Codex ignores the configuration of a folder that it does not trust: init has to say so"
    for trusted, tools in ((False, set[str]()), (True, {s.name for s in TOOLS})):
        script: list[Step] = []
        place = folder if trusted else untrusted_copy(folder, tmp_path / "untrusted")
        with scripted_model(script) as model:
            env = codex_home(place, model, "scripted-unknown", trusted=trusted) | {"PATH": path}
            with app_server(place, env) as codex:
                assert codex.tools(codex.thread(place)) == tools


def untrusted_copy(folder: Path, to: Path) -> Path:
    project = to / "project"
    project.mkdir(parents=True)
    subprocess.run(["cp", "-r", f"{folder}/.", str(project)], check=True)
    return project


def empty_environment(folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder / "bin" / "python"


def built_wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))
