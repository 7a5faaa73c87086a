"""The front says what the real server says, to the byte, or steps aside."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import typer.main

from neon_branch_mcp import front
from neon_branch_mcp.app import Caller, open_app
from neon_branch_mcp.cli.main import build
from neon_branch_mcp.cli.settings import settings
from neon_branch_mcp.config import Config, load
from neon_branch_mcp.front import Front, Handover, Snapshot, Variant, fitting_snapshot, read_variant
from neon_branch_mcp.server import build_server, session_caller

from .sdk_reference import serve_by_sdk

HANDSHAKES = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
STATELESS = "2026-07-28"
CLIENT = {"name": "test", "version": "1"}
KEY = {"NEON_API_KEY": "napi_test"}

# (arguments, environment, file): every way to each setting that changes the answers.
CONFIGURATIONS: dict[str, tuple[list[str], dict[str, str], str]] = {
    "defaults": ([], {}, ""),
    "local": (["--local", "--data-dir", "/nowhere"], {}, ""),
    "write own by environment": ([], {"NEON_BRANCH_MCP_POLICY_WRITE": "own"}, ""),
    "write own by file": ([], {}, '[policy]\nwrite = "own"'),
    "environment over file": ([], {"NEON_BRANCH_MCP_POLICY_WRITE": "non-default"}, '[policy]\nwrite = "own"'),
    "pinned by flag": (["--project-id", "p-1"], {}, ""),
    "pinned by flag with an equals sign": (["--project-id=p-1"], {}, ""),
    "pinned by environment": ([], {"NEON_BRANCH_MCP_NEON_PROJECT_ID": "p-1"}, ""),
    "look-only by flag": (["--read-only"], {}, ""),
    "look-only by environment": ([], {"NEON_BRANCH_MCP_POLICY_LOOK_ONLY": "on"}, ""),
    "groups by flag": (["--tools", "branches,sql"], {}, ""),
    "groups by file": ([], {}, '[policy]\ntools = ["schema", "branches", "projects"]'),
    "groups by environment": ([], {"NEON_BRANCH_MCP_POLICY_TOOLS": "sql,schema"}, ""),
    "pinned by file, own": ([], {}, '[neon]\nproject_id = "p-1"\n[policy]\nwrite = "own"'),
}


def hello(version: str) -> dict[str, Any]:
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": CLIENT}
    return {"jsonrpc": "2.0", "id": "greeting", "method": "initialize", "params": params}


def stateless(method: str) -> dict[str, Any]:
    own = "io.modelcontextprotocol/"
    meta = {f"{own}protocolVersion": STATELESS, f"{own}clientInfo": CLIENT, f"{own}clientCapabilities": {}}
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": {"_meta": meta}}


LIST = {"jsonrpc": "2.0", "id": 8, "method": "tools/list"}
CONVERSATIONS = [*([hello(v), LIST] for v in HANDSHAKES), [stateless("server/discover"), stateless("tools/list")]]


def configuration(name: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    arguments, env, text = CONFIGURATIONS[name]
    if text:
        (folder / "neon-branch-mcp.toml").write_text(text, encoding="utf-8")
    return arguments, {**KEY, **env}


def parsed(arguments: list[str]) -> Config:
    """The settings that the real command line makes of these arguments."""
    command: Any = typer.main.get_command(build(()))
    given = command.commands["serve"].make_context("serve", list(arguments)).params
    return settings(**{k: v for k, v in given.items() if k != "http"})


class Pipes:
    """Two pipes between a client and a server. Each end is closed once: its number may be somebody else's afterwards."""

    def __init__(self) -> None:
        self.server_in, self.client_out = os.pipe()
        self.client_in, self.server_out = os.pipe()
        self._open = {self.server_in, self.client_out, self.client_in, self.server_out}

    def close(self, end: int) -> None:
        if end in self._open:
            self._open.remove(end)
            os.close(end)

    def close_all(self) -> None:
        for end in list(self._open):
            self.close(end)


@contextmanager
def pipes() -> Iterator[Pipes]:
    made = Pipes()
    try:
        yield made
    finally:
        made.close_all()


def real_answers(config: Config, messages: list[dict[str, Any]]) -> list[bytes]:
    """The lines that the real server writes for these requests."""

    async def serve(handover: Handover) -> None:
        async with open_app(config) as app:
            await serve_by_sdk(build_server(app, session_caller(Caller())), handover)

    with pipes() as p:
        handover = Handover(p.server_in, p.server_out, (), b"", frozenset(), closed=False)
        thread = threading.Thread(target=anyio.run, args=(serve, handover))
        thread.start()
        answers = []
        with os.fdopen(os.dup(p.client_in), "rb") as reader:
            for message in messages:
                os.write(p.client_out, json.dumps(message).encode() + b"\n")
                answers.append(reader.readline())
        p.close(p.client_out)
        thread.join(20)
        assert not thread.is_alive()
    return answers


def _send_and_close(p: Pipes, data: bytes) -> None:
    os.write(p.client_out, data)
    p.close(p.client_out)


def front_answers(snapshot: Snapshot, data: bytes) -> tuple[list[bytes], Handover]:
    """What the front writes for these bytes, and what it hands over when the client closes its end."""
    with pipes() as p:
        never, unused = os.pipe()
        begun: list[None] = []
        writer = threading.Thread(target=_send_and_close, args=(p, data))
        writer.start()
        handover = Front(snapshot, p.server_in, p.server_out).run(never, lambda: begun.append(None))
        writer.join(5)
        p.close(p.server_out)
        with os.fdopen(os.dup(p.client_in), "rb") as reader:
            written = reader.readlines()
        os.close(never)
        os.close(unused)
        assert begun == [None], "the real server is imported once"
    return written, handover


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_its_answers_are_the_real_servers_to_the_byte(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, env = configuration(name, tmp_path)
    monkeypatch.chdir(tmp_path)
    for variable in [v for v in os.environ if v.startswith("NEON_")]:
        monkeypatch.delenv(variable)
    for variable, value in env.items():
        monkeypatch.setenv(variable, value)
    config = parsed(arguments)
    snapshot = fitting_snapshot(arguments, env, tmp_path)
    assert snapshot is not None, "no snapshot fits: run tools/snapshot"
    for messages in CONVERSATIONS:
        data = b"".join(json.dumps(m).encode() + b"\n" for m in messages)
        written, _ = front_answers(snapshot, data)
        assert written == real_answers(config, messages), "run tools/snapshot"


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (["--http", "127.0.0.1:1"], KEY),
        (["--unknown"], KEY),
        (["--project-id"], KEY),
        (["--config", "missing.toml"], KEY),
        (["--tools", "branches,nonsense"], KEY),
        ([], {**KEY, "NEON_BRANCH_MCP_POLICY_LOOK_ONLY": "perhaps"}),
        ([], {}),
        (["--api-key-file", "missing"], {}),
    ],
    ids=[
        "http",
        "unknown option",
        "missing value",
        "missing file",
        "unknown group",
        "wrong value",
        "no key",
        "no key in a file",
    ],
)
def test_it_steps_aside_for_what_it_does_not_understand(
    arguments: list[str], env: dict[str, str], tmp_path: Path
) -> None:
    assert fitting_snapshot(arguments, env, tmp_path) is None


def test_it_steps_aside_for_a_broken_file(tmp_path: Path) -> None:
    (tmp_path / "neon-branch-mcp.toml").write_text("[policy", encoding="utf-8")
    assert fitting_snapshot([], KEY, tmp_path) is None


def test_it_steps_aside_for_another_sdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = json.loads(Path(front.SNAPSHOT).read_text(encoding="utf-8"))
    other = tmp_path / "snapshot.json"
    other.write_text(json.dumps({**document, "sdk": "0.0.0"}), encoding="utf-8")
    monkeypatch.setattr(front, "SNAPSHOT", other)
    assert fitting_snapshot([], KEY, tmp_path) is None


def test_what_it_cannot_answer_is_handed_over_in_order(tmp_path: Path) -> None:
    snapshot = fitting_snapshot([], KEY, tmp_path)
    assert snapshot is not None
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "query", "arguments": {}}}
    initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    lines = [json.dumps(m).encode() for m in (hello(HANDSHAKES[-1]), initialized, call, LIST)]
    written, handover = front_answers(snapshot, b"\n".join(lines) + b"\nnot json\n{unfinished")
    assert [json.loads(w)["id"] for w in written] == ["greeting", 8]
    assert handover.lines == (lines[0], lines[1], lines[2], b"not json")
    assert handover.rest == b"{unfinished"
    assert handover.answered == {"greeting"}
    assert handover.closed


@pytest.mark.parametrize(
    "line",
    [
        b"1",
        b"0",
        b'"x"',
        b"null",
        b"true",
        b"[1]",
        b"\xff",
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"\\ud800"}}',
    ],
)
def test_a_line_that_is_no_message_is_left_to_the_real_server(line: bytes, tmp_path: Path) -> None:
    snapshot = fitting_snapshot([], KEY, tmp_path)
    assert snapshot is not None
    written, handover = front_answers(snapshot, line + b"\n")
    assert (written, handover.lines) == ([], (line,))


def test_a_handshake_that_was_answered_is_not_answered_again(tmp_path: Path) -> None:
    config = load({"local": {"enabled": True}}, env={}, cwd=tmp_path)
    greeting, listing = json.dumps(hello(HANDSHAKES[-1])).encode(), json.dumps(LIST).encode()

    async def serve(handover: Handover) -> None:
        async with open_app(config) as app:
            await serve_by_sdk(build_server(app, session_caller(Caller())), handover)

    with pipes() as p:
        handover = Handover(p.server_in, p.server_out, (greeting,), listing[:10], frozenset({"greeting"}), closed=False)
        thread = threading.Thread(target=anyio.run, args=(serve, handover))
        thread.start()
        os.write(p.client_out, listing[10:] + b"\n")
        with os.fdopen(os.dup(p.client_in), "rb") as reader:
            first = json.loads(reader.readline())
        p.close(p.client_out)
        thread.join(20)
    assert first["id"] == 8


@pytest.mark.parametrize(
    ("messages", "patience", "answered_before"),
    [
        ([hello(HANDSHAKES[-1]), LIST], 60, 2),
        ([{"jsonrpc": "2.0", "id": 3, "method": "tools/call"}], 60, 0),
        ([hello(HANDSHAKES[-1])], 0.01, 1),
    ],
    ids=["after the tools", "at once for a call", "when the client says no more"],
)
def test_the_real_server_is_imported_when_nothing_is_left_to_say_first(
    messages: list[dict[str, Any]],
    patience: float,
    answered_before: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(front, "PATIENCE", patience)
    snapshot = fitting_snapshot([], KEY, tmp_path)
    assert snapshot is not None
    with pipes() as p, os.fdopen(os.dup(p.client_in), "rb") as reader:
        ready, unused = os.pipe()
        found: list[int] = []

        def begin() -> None:
            os.set_blocking(p.client_in, False)
            found.append(len(reader.readlines()))
            os.close(unused)  # ready at once

        os.write(p.client_out, b"".join(json.dumps(m).encode() + b"\n" for m in messages))
        Front(snapshot, p.server_in, p.server_out).run(ready, begin)
        os.close(ready)
    assert found == [answered_before]


def test_a_flag_wins_over_what_the_environment_says(tmp_path: Path) -> None:
    env = {"NEON_BRANCH_MCP_LOCAL_ENABLED": "true"}
    variant = read_variant([], env, tmp_path)
    assert variant is not None
    assert vars(variant) == vars(Variant())
    assert read_variant(["--cloud"], env, tmp_path) is None
