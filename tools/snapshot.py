"""Makes src/neon_branch_mcp/snapshot.json: what the real server answers to a client's first requests, for the front to say sooner.

Run it (tools/snapshot) after any change of tools, prompts, descriptions or of the SDK's version; tests/test_front.py tells when.
"""

import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neon_branch_mcp.envelope import VERSION_KEY
from neon_branch_mcp.front import SNAPSHOT
from neon_branch_mcp.server_prompts import NEEDS
from neon_branch_mcp.server_resources import RESOURCES
from neon_branch_mcp.tools.catalogue import TOOLS

HANDSHAKES = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
STATELESS = ("2026-07-28",)
ERAS = ("", *STATELESS)
LISTS = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}
REAL = [sys.executable, "-c", "from neon_branch_mcp.cli.main import main; main()", "serve", "--local"]
CLIENT = {"name": "snapshot", "version": "1"}

Ask = Any


@contextmanager
def real_server(*arguments: str, **env: str) -> Iterator[Ask]:
    """A function that sends one request to the real server, without the front, and returns the text of its result."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NEON_")}
    with subprocess.Popen(
        [*REAL, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**kept, **env}, cwd="/"
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def ask(method: str, params: Mapping[str, Any] | None) -> str:
            message = {"jsonrpc": "2.0", "id": 1, "method": method, **({} if params is None else {"params": params})}
            stdin.write(json.dumps(message).encode() + b"\n")
            stdin.flush()
            line = stdout.readline().decode().rstrip("\n")
            head = '{"jsonrpc":"2.0","id":1,"result":'
            assert line.startswith(head), line[:300]
            return line[len(head) : -1]

        yield ask
        stdin.close()
        process.wait(timeout=30)


def meta(version: str) -> dict[str, Any]:
    """What a stateless request carries."""
    own = VERSION_KEY.rpartition("/")[0]
    return {"_meta": {VERSION_KEY: version, f"{own}/clientInfo": CLIENT, f"{own}/clientCapabilities": {}}}


def hello(version: str) -> dict[str, Any]:
    """The parameters of a handshake."""
    return {"protocolVersion": version, "capabilities": {}, "clientInfo": CLIENT}


def split(result: str, key: str) -> tuple[list[str], list[str]]:
    """The text of each item of a list's result, and the texts before the first and behind the last one."""
    start = result.index(f'"{key}":[') + len(f'"{key}":[')
    decoder, at, found = json.JSONDecoder(), start, []
    while result[at] != "]":
        _, end = decoder.raw_decode(result, at)
        found.append(result[at:end])
        at = end + (result[end] == ",")
    return found, [result[:start], result[at:]]


def listed(method: str, era: str, **env: str) -> tuple[list[str], list[str]]:
    """What the server lists in an era of the protocol: "" for all that begin with a handshake."""
    with real_server(**env) as ask:
        if era:
            return split(ask(method, meta(era)), LISTS[method])
        ask("initialize", hello(HANDSHAKES[-1]))
        return split(ask(method, {}), LISTS[method])


def rows(method: str, needs: Sequence[Collection[str]]) -> dict[str, Any]:
    """A list of what is shown where the tools that it needs are offered."""
    around, found = {}, [{"needs": sorted(needed), "json": {}} for needed in needs]
    for era in ERAS:
        items, around[era] = listed(method, era)
        for row, text in zip(found, items, strict=True):
            row["json"][era] = text
    return {"around": around, "rows": found}


def make() -> dict[str, Any]:
    """The document."""
    initialize, discover, around = {}, {}, {}
    for version in HANDSHAKES:
        with real_server() as ask:
            initialize[version] = ask("initialize", hello(version))
    for version in STATELESS:
        with real_server() as ask:
            discover[version] = ask("server/discover", meta(version))
    tools: list[dict[str, Any]] = [
        {"name": t.name, "group": t.group, "writes": t.writes, "json": {}, "own": {}} for t in TOOLS
    ]
    for era in ERAS:
        items, around[era] = listed("tools/list", era)
        own, _ = listed("tools/list", era, NEON_BRANCH_MCP_POLICY_WRITE="own")
        for row, text, text_own in zip(tools, items, own, strict=True):
            row["json"][era], row["own"][era] = text, text_own
    lists = {
        "tools/list": {"around": around, "rows": []},
        "prompts/list": rows("prompts/list", [needed for _, _, needed in NEEDS]),
        "resources/list": rows("resources/list", [(), *({r.tool} for r in RESOURCES if "{" not in r.uri)]),
        "resources/templates/list": rows("resources/templates/list", [{r.tool} for r in RESOURCES if "{" in r.uri]),
    }
    sdk = importlib.metadata.version("mcp")
    return {"sdk": sdk, "initialize": initialize, "discover": discover, "lists": lists, "tools": tools}


if __name__ == "__main__":
    Path(SNAPSHOT).write_text(json.dumps(make(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
