"""What `init` writes into the clients' files: merged, never lost, and in the form that each client reads."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from neon_branch_mcp.cli.clients import CLIENTS, Reach
from neon_branch_mcp.cli.init import server_url
from neon_branch_mcp.cli.launch import launch_command, source
from neon_branch_mcp.errors import ConfigError

from .stdio_client import clean_env

STDIO = Reach(command="neon-branch-mcp", args=("serve",), approvals={"run_sql": "approve", "delete_branch": "prompt"})
HTTP = Reach(url="http://127.0.0.1:8765/mcp", approvals=STDIO.approvals)
OPEN = Reach(command="neon-branch-mcp", args=("serve", "--local"), key_variable=None)


def codex(text: str, reach: Reach = STDIO) -> dict[str, Any]:
    entry: dict[str, Any] = tomllib.loads(CLIENTS["codex"].merge(text, "neon", reach))["mcp_servers"]["neon"]
    return entry


def merged(client: str, text: str, reach: Reach = STDIO) -> dict[str, Any]:
    document = json.loads(CLIENTS[client].merge(text, "neon", reach))
    entry: dict[str, Any] = document["servers" if client == "vscode" else "mcpServers"]["neon"]
    return entry


def test_codex_waits_for_the_server_passes_the_key_on_and_asks_only_before_a_branch_is_deleted() -> None:
    assert codex("") == {
        "command": "neon-branch-mcp",
        "args": ["serve"],
        "env_vars": ["NEON_API_KEY"],
        "required": True,
        "startup_timeout_sec": 30,
        "tool_timeout_sec": 300,
        "default_tools_approval_mode": "auto",
        "tools": {"run_sql": {"approval_mode": "approve"}, "delete_branch": {"approval_mode": "prompt"}},
    }


def test_codex_keeps_comments_other_servers_and_what_the_user_decided_about_our_tools() -> None:
    before = """\
# mine
model = "gpt-6.1-sol"  # this one

[mcp_servers.other]
command = "other"

[mcp_servers.neon]  # by hand
url = "https://mcp.neon.tech/mcp"
bearer_token_env_var = "NEON_API_KEY"
enabled_tools = ["query"]
tool_timeout_sec = 60
tools.run_sql.approval_mode = "prompt"

[profiles.x]
model = "y"
"""
    text = CLIENTS["codex"].merge(before, "neon", STDIO)
    after = tomllib.loads(text)
    assert text.startswith("# mine\n") and "# this one" in text
    assert after["mcp_servers"]["other"] == {"command": "other"} and after["profiles"]["x"] == {"model": "y"}
    neon = after["mcp_servers"]["neon"]
    assert "url" not in neon and "bearer_token_env_var" not in neon and neon["command"] == "neon-branch-mcp"
    assert neon["enabled_tools"] == ["query"]
    assert neon["tools"]["run_sql"] == {"approval_mode": "prompt"}
    assert neon["tools"]["delete_branch"] == {"approval_mode": "prompt"}


@pytest.mark.parametrize(
    "before",
    [
        '[mcp_servers.a]\ncommand = "a"\n[other]\nx = 1\n[mcp_servers.b]\ncommand = "b"\n',
        '[mcp_servers]\na.command = "a"\nb.command = "b"\n[other]\nx = 1\n',
        '[other]\nx = 1\n[mcp_servers.a]\ncommand = "a"\n[mcp_servers.neon.env]\nX = "1"\n[mcp_servers.b]\ncommand = "b"',
    ],
)
def test_codex_tables_in_any_order_survive(before: str) -> None:
    after = tomllib.loads(CLIENTS["codex"].merge(before, "neon", STDIO))
    assert after["other"] == {"x": 1}
    assert {name: after["mcp_servers"][name]["command"] for name in "ab"} == {"a": "a", "b": "b"}
    assert after["mcp_servers"]["neon"] == codex("")


def test_codex_over_http_names_the_variable_and_not_the_key() -> None:
    entry = codex("", HTTP)
    assert entry["url"] == HTTP.url and entry["bearer_token_env_var"] == "NEON_API_KEY" and "command" not in entry


@pytest.mark.parametrize("client", ["codex", "claude-code", "claude-desktop", "cursor", "vscode"])
def test_writing_twice_changes_nothing_more(client: str) -> None:
    once = CLIENTS[client].merge("", "neon", STDIO)
    assert CLIENTS[client].merge(once, "neon", STDIO) == once


@pytest.mark.parametrize("client", ["codex", "claude-code", "claude-desktop", "cursor", "vscode"])
def test_without_an_account_no_client_is_told_of_a_key(client: str) -> None:
    text = CLIENTS[client].merge("", "neon", OPEN)
    assert "--local" in text and "key" not in text.lower().replace("monkey", "")


@pytest.mark.parametrize("client", ["claude-code", "cursor", "vscode"])
def test_a_json_file_keeps_what_else_is_in_it(client: str) -> None:
    section = "servers" if client == "vscode" else "mcpServers"
    before = {"a": [1], section: {"other": {"command": "x"}, "neon": {"url": "https://mcp.neon.tech/mcp", "mine": 1}}}
    after = json.loads(CLIENTS[client].merge(json.dumps(before), "neon", STDIO))
    assert after["a"] == [1] and after[section]["other"] == {"command": "x"}
    assert after[section]["neon"]["mine"] == 1 and "url" not in after[section]["neon"]


def test_the_key_reaches_each_client_by_its_own_way_and_is_never_written() -> None:
    assert merged("cursor", "")["env"] == {"NEON_API_KEY": "${env:NEON_API_KEY}"}
    assert merged("cursor", "", HTTP)["headers"] == {"Authorization": "Bearer ${env:NEON_API_KEY}"}
    assert merged("claude-code", "")["env"] == {}
    assert merged("claude-code", "", HTTP)["headers"] == {"Authorization": "Bearer ${NEON_API_KEY}"}
    vscode = json.loads(CLIENTS["vscode"].merge("", "neon", STDIO))
    assert vscode["servers"]["neon"]["env"] == {"NEON_API_KEY": "${input:neon-api-key}"}
    assert vscode["inputs"] == [
        {"type": "promptString", "id": "neon-api-key", "description": "Neon API key", "password": True}
    ]
    desktop = merged("claude-desktop", "", Reach(command="/x/neon-branch-mcp", args=("serve",), key_file=Path("/k")))
    assert desktop == {"command": "/x/neon-branch-mcp", "args": ["serve", "--api-key-file", "/k"]}


@pytest.mark.parametrize(
    ("client", "text"),
    [
        ("codex", "[mcp_servers"),
        ("codex", 'mcp_servers = "x"'),
        ("codex", "[mcp_servers]\nneon = 1"),
        ("vscode", '{ // a comment\n "servers": {} }'),
        ("cursor", "[]"),
        ("cursor", '{"mcpServers": []}'),
        ("vscode", '{"inputs": 3}'),
    ],
)
def test_a_file_that_is_not_understood_is_an_error_and_not_overwritten(client: str, text: str) -> None:
    with pytest.raises(ConfigError):
        CLIENTS[client].merge(text, "neon", STDIO)


def test_claude_desktop_is_not_given_a_url() -> None:
    with pytest.raises(ConfigError, match="Connectors"):
        CLIENTS["claude-desktop"].merge("", "neon", HTTP)


@pytest.mark.parametrize(
    ("local", "command"),
    [(False, ["uvx", "neon-branch-mcp"]), (True, ["uvx", "--from", "neon-branch-mcp[local]", "neon-branch-mcp"])],
)
def test_from_uvx_a_client_is_told_to_start_it_by_uvx_with_postgres_where_it_is_needed(
    local: bool, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.prefix", "/home/ann/.cache/uv/archive-v0/x1")
    assert launch_command(local=local) == command


@pytest.mark.parametrize(
    ("client", "text"),
    [
        ("cursor", '{"mcpServers": {"neon": "gone"}}'),
        ("vscode", '{"servers": {"neon": {"url": "https://mcp.neon.tech/mcp", "headers": {"a": "b"}}}, "inputs": []}'),
        ("claude-code", "  \n"),
        ("claude-desktop", '{"mcpServers": {}, "globalShortcut": "é"}'),
    ],
)
def test_what_stood_under_the_name_is_replaced_and_nothing_of_the_old_way_stays(client: str, text: str) -> None:
    entry = merged(client, text)
    assert entry["command"] == "neon-branch-mcp"
    assert not {"url", "headers"} & set(entry)


WHEEL = "file:///tmp/neon_branch_mcp-0.1.0-py3-none-any.whl"


@pytest.mark.parametrize(
    ("noted", "named"),
    [
        (None, None),
        ({"url": WHEEL, "archive_info": {}}, WHEEL),
        ({"url": "file:///home/ann/clone", "dir_info": {}}, "file:///home/ann/clone"),
        ({"url": "file:///home/ann/clone", "dir_info": {"editable": True}}, None),
        ({"url": "https://a.example/x", "vcs_info": {"vcs": "git", "commit_id": "c0"}}, "git+https://a.example/x"),
        (
            {"url": "https://a.example/x", "vcs_info": {"vcs": "git", "requested_revision": "v1", "commit_id": "c0"}},
            "git+https://a.example/x@v1",
        ),
        (
            {"url": "https://a.example/x", "vcs_info": {"vcs": "git"}, "subdirectory": "py"},
            "git+https://a.example/x#subdirectory=py",
        ),
    ],
)
def test_what_did_not_come_from_an_index_is_named_by_its_url(noted: dict[str, Any] | None, named: str | None) -> None:
    assert source(json.dumps(noted) if noted else None) == named


def test_from_uvx_of_a_file_a_client_starts_that_file_and_not_what_an_index_may_hold_under_the_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.prefix", "/home/ann/.cache/uv/archive-v0/x1")
    monkeypatch.setattr(
        "neon_branch_mcp.cli.launch._direct_url", lambda: json.dumps({"url": WHEEL, "archive_info": {}})
    )
    asked = ["uvx", "--from", f"neon-branch-mcp[local] @ {WHEEL}", "neon-branch-mcp"]
    assert launch_command(local=True) == asked


def test_a_table_that_follows_ours_is_set_apart_by_an_empty_line() -> None:
    text = CLIENTS["codex"].merge(
        '[mcp_servers.neon]\nurl = "x"\n\n[mcp_servers.other]\ncommand = "y"\n', "neon", STDIO
    )
    assert '"prompt"\n\n[mcp_servers.other]\n' in text
    assert not CLIENTS["codex"].merge("", "neon", STDIO).endswith("\n\n")


@pytest.mark.parametrize(
    ("given", "project", "url"),
    [
        ("http://127.0.0.1:8765", None, "http://127.0.0.1:8765/mcp"),
        ("https://neon.example.com/", None, "https://neon.example.com/mcp"),
        ("https://example.com/neon/mcp", None, "https://example.com/neon/mcp"),
        ("http://[::1]:8765/mcp?readonly=true", "p-1", "http://[::1]:8765/mcp?readonly=true&projectId=p-1"),
    ],
)
def test_a_running_servers_url_gets_its_path_and_the_project_to_keep_to(
    given: str, project: str | None, url: str
) -> None:
    assert server_url(given, project, []) == url


@pytest.mark.parametrize(
    "given", ["neon.example.com", "127.0.0.1:8765", "ftp://a/mcp", "http://", "http://a:99999/mcp", ""]
)
def test_what_is_no_url_is_not_written(given: str) -> None:
    with pytest.raises(ConfigError, match="is not a URL"):
        server_url(given, None, [])


def init(folder: Path, *args: str) -> "subprocess.CompletedProcess[str]":
    """`neon-branch-mcp init` there, by a user without a key whose home and programs are in the folder."""
    return subprocess.run(
        [sys.executable, "-m", "neon_branch_mcp", "init", *args],
        cwd=folder,
        env=clean_env(HOME=str(folder), PATH=f"{folder}{os.pathsep}{os.defpath}"),
        capture_output=True,
        text=True,
    )


def test_settings_of_a_server_that_a_client_starts_do_not_go_with_one_that_runs(tmp_path: Path) -> None:
    done = init(tmp_path, "codex", "--http", "http://127.0.0.1:8765/mcp", "--data-dir", "x")
    assert done.returncode == 2 and "--data-dir is for a server that the client starts" in done.stderr
    assert not (tmp_path / ".codex").exists()


def test_a_file_that_was_made_read_only_is_left_alone_and_the_entry_shown(tmp_path: Path) -> None:
    file = tmp_path / ".mcp.json"
    file.write_text("{}")
    file.chmod(0o444)
    done = init(tmp_path, "claude-code", "--local")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "cannot be written: it is read-only. Add this by hand:" in done.stderr and '"--local"' in done.stderr
    assert [f.name for f in tmp_path.iterdir() if f.is_file()] == [".mcp.json"] and file.read_text() == "{}"


def test_a_folder_that_cannot_be_written_is_told_with_the_entry_to_add_by_hand(tmp_path: Path) -> None:
    (tmp_path / ".cursor").write_text("a file where a folder should be")
    done = init(tmp_path, "cursor")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "cannot be written" in done.stderr and '"mcpServers"' in done.stderr


def test_what_to_do_next_fits_where_the_entry_was_written_and_whether_it_has_a_key(tmp_path: Path) -> None:
    assert "trusts" in init(tmp_path, "codex").stdout
    assert "trusts" not in init(tmp_path, "codex", "--user").stdout
    assert "asks for the key" in init(tmp_path, "vscode").stdout
    assert "key" not in init(tmp_path, "vscode", "--local").stdout


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (
            "echo 'WARNING: x' >&2; echo 'Error: No server neon.' >&2; echo '  0: <unknown>' >&2; exit 1",
            "Error: No server",
        ),
        ("echo 'not yet' >&2; exit 1", "does not see it yet: not yet"),
        ("exit 3", "does not see it yet: exit 3"),
        ("echo neon: enabled", "codex mcp get neon:\n    neon: enabled"),
    ],
)
def test_init_shows_what_the_clients_own_command_says_of_the_entry(program: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "codex").write_text(f"#!/bin/sh\n{program}\n")
    (tmp_path / "codex").chmod(0o755)
    assert told in init(tmp_path, "codex", "--local").stdout
