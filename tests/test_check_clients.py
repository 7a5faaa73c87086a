"""What `check` says of the clients' files: whether each would start the server, and why not."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from neon_branch_mcp.cli.check_clients import client_findings


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
