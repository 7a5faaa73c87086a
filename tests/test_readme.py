"""The README's configuration snippets, each started as its client would, on local branches in place of a key."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from neon_branch_mcp.cli.clients import CLIENTS, entries
from neon_branch_mcp.local.plane import LocalPlane

from .conftest import plane_config
from .http_support import rpc, running
from .stdio_client import raw_server

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"<!-- snippet: ([a-z-]+) -->\n```\w+\n(.*?)```", README, re.DOTALL)
ENTRIES = [(client, next(iter(entries(CLIENTS[client], text).values()))) for client, text in SNIPPETS]


def start_of(entry: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The arguments and variables that a client gives the server; a key's place, without an account, stays empty."""
    serve, *args = entry["args"]
    assert (entry["command"], serve) == ("neon-branch-mcp", "serve")
    if "--api-key-file" in args:
        at = args.index("--api-key-file")
        args[at : at + 2] = []
    given = (*entry.get("env", {}), *entry.get("env_vars", []))
    assert set(given) <= {"NEON_API_KEY"}
    return tuple(args), given


# Most clients start it in the same way: once is enough for these.
STARTS = {start_of(entry): client for client, entry in ENTRIES if "command" in entry}


@pytest.mark.parametrize(("args", "given"), STARTS, ids=STARTS.values())
def test_a_snippet_that_starts_the_server_gets_answers(
    args: tuple[str, ...], given: tuple[str, ...], plane: LocalPlane, tmp_path: Path
) -> None:
    empty = dict.fromkeys(given, "")
    with raw_server(*args, "--local", "--data-dir", str(plane.data_dir), cwd=tmp_path, **empty) as server:
        server.greet()
        projects = server.tool("list_projects")["projects"]
        assert plane.project_id in [p["id"] for p in projects]


@pytest.mark.anyio
@pytest.mark.parametrize("entry", [e for _, e in ENTRIES if "url" in e])
async def test_a_snippet_with_a_url_reaches_a_server_that_runs(entry: dict[str, Any], plane: LocalPlane) -> None:
    assert entry["bearer_token_env_var"] == "NEON_API_KEY"
    assert f"serve --http {urlsplit(entry['url']).netloc}" in README
    async with running(plane_config(plane)) as server, rpc(server, "napi_anything") as client:
        assert server.url.endswith(urlsplit(entry["url"]).path)
        assert (await client.call("query", sql="SELECT 1"))["rows"] == [[1]]
