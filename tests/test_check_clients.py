"""What `check` says of the clients' files: whether each would start the server, and why not."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from neon_branch_mcp.cli.check_clients import client_findings, refusal_to_start

from .stdio_client import clean_env


def findings(folder: Path, **entry: Any) -> list[tuple[str, str]]:
    (folder / ".mcp.json").write_text(json.dumps({"mcpServers": {"neon": entry}}))
    return [(f.state, f.said) for f in client_findings(folder, folder / "home")]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"command": "neon-branch-mcpp", "args": ["serve"]}, "there is no program neon-branch-mcpp"),
        ({"command": "neon-branch-mcp", "args": ["serve", "--no-such-flag"]}, "No such option: --no-such-flag"),
        ({"command": "neon-branch-mcp", "args": ["serve"]}, "without a Neon API key"),
        (
            {"command": "neon-branch-mcp", "args": ["serve", "--api-key-file", "nowhere"]},
            "The API key file nowhere cannot be read",
        ),
        ({"type": "http", "url": "http://127.0.0.1:9/mcp"}, "does not answer"),
        (
            {"type": "http", "url": "http://127.0.0.1:9/mcp", "headers": {"Authorization": "Bearer ${NEON_API_KEY}"}},
            "NEON_API_KEY is not set here",
        ),
    ],
)
def test_an_entry_that_would_not_start_is_told_with_its_reason(
    entry: dict[str, Any], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NEON_API_KEY", raising=False)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    ((state, text),) = findings(tmp_path, **entry)
    assert state == "bad"
    assert reason in text


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / ".mcp.json").write_text('{"mcpServers":')
    (found,) = client_findings(tmp_path, tmp_path / "home")
    assert found.state == "bad"
    assert "cannot be read" in found.said


def test_a_token_that_the_client_asks_its_user_for_is_not_called_wrong(tmp_path: Path) -> None:
    (tmp_path / ".vscode").mkdir()
    entry = {
        "type": "http",
        "url": "http://127.0.0.1:9/mcp",
        "headers": {"Authorization": "Bearer ${input:neon-api-key}"},
    }
    (tmp_path / ".vscode" / "mcp.json").write_text(json.dumps({"servers": {"neon": entry}}))
    (found,) = client_findings(tmp_path, tmp_path / "home")
    assert (found.state, "asks for the token" in found.said) == ("ok", True)


def test_a_token_of_a_shared_server_is_not_tried_as_a_key_of_neons(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "neon_branch_mcp", "check", "--json"],
        cwd=tmp_path,
        env=clean_env(HOME=str(tmp_path), NEON_API_KEY="nbm_x", NEON_API_HOST="http://127.0.0.1:9/api/v2"),
        capture_output=True,
        text=True,
    )
    found = {f["title"]: (f["state"], f["said"]) for f in json.loads(done.stdout)}
    assert found["Neon"][0] == "note" and "shared server" in found["Neon"][1]
    assert done.returncode == 0, done.stdout


UV = """\
error: No solution found when resolving tool dependencies:
  cause: Because neon-branch-mcp was not found in the package registry, we can conclude
    that your requirements are unsatisfiable.

hint: something else
"""


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (UV, "No solution found when resolving tool dependencies: cause: Because neon-branch-mcp was not found in the"),
        ("Traceback (most recent call last):\n  File x\nValueError: too much\n", "ValueError: too much"),
        ("╭─ Error ─╮\n│ No such option │\n╰─────────╯\n", "No such option"),
    ],
)
def test_the_reason_is_what_the_program_said_last_or_called_its_error(said: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "said").write_text(said, encoding="utf-8")
    told = refusal_to_start(["sh", "-c", "cat said >&2"], os.environ, tmp_path)
    assert told is not None and reason in told and "hint" not in told
