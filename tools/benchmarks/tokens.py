"""Tokens (characters / 4) that the tools and the results of a journey cost an agent, ours and the official server's.

The official server is measured where `NEON_MCP_OFFICIAL` names a folder with `@neondatabase/mcp-server-neon` in its node_modules. It runs
unchanged against our local control plane (NEON_API_HOST), its SQL through `sql_over_http`. It has no tool that compares schemas or data:
for these steps it is asked for the new tables, and for two counts, which show less than ours do.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from neon_branch_mcp.cli.journey import BRANCH, CHECK, MIGRATION, WRONG_MIGRATION

from .measure import Figure
from .servers import Peer, ours, plane_over_tcp, running
from .sql_over_http import sql_over_http

OFFICIAL = "NEON_MCP_OFFICIAL"
SHIM = Path(__file__).parent / "official_shim.mjs"
STEPS = ("project", "branch", "schema", "wrong migration", "migration", "what changed", "proof", "connection", "delete")
Spent = dict[str, float]


def tokens_of(result: Mapping[str, Any]) -> float:
    """What a client gives the model: the text, or the structured content if that is longer."""
    text = "".join(part.get("text", "") for part in result["content"])
    structured = result.get("structuredContent")
    return max(len(text), len(_compact(structured)) if structured else 0) / 4


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def listed(peer: Peer) -> float:
    """tools/list."""
    return len(_compact(peer.request("tools/list"))) / 4


@dataclass
class Meter:
    """Calls tools and adds up what their results cost, by step."""

    peer: Peer
    spent: Spent

    def call(self, step: str, tool: str, *, fails: bool = False, **arguments: Any) -> Any:
        """The result, which has to be an error where that is asked for."""
        result = self.peer.request("tools/call", {"name": tool, "arguments": arguments})
        if bool(result.get("isError")) != fails:
            raise RuntimeError(f"{tool}: {result['content']}")
        self.spent[step] = self.spent.get(step, 0) + tokens_of(result)
        return result


def our_journey(peer: Peer) -> Spent:
    """The demo's journey, without its refusals and its second looks."""
    meter = Meter(peer, {"project": 0})
    meter.call("branch", "create_branch", name=BRANCH)
    meter.call("schema", "describe_schema", branch=BRANCH)
    meter.call("wrong migration", "apply_migration", name="split", sql=WRONG_MIGRATION, branch=BRANCH, fails=True)
    meter.call("migration", "apply_migration", name="split", sql=MIGRATION, branch=BRANCH)
    meter.call("what changed", "compare_schema", branch=BRANCH)
    meter.call("proof", "verify_migration", branch=BRANCH, checks=[CHECK])
    meter.call("connection", "get_connection_string", branch=BRANCH)
    meter.call("delete", "delete_branch", branch=BRANCH)
    return meter.spent


def official_journey(peer: Peer, api: httpx.Client, project: str) -> Spent:
    """The same steps with the official server's tools, the fewest that do them."""
    meter = Meter(peer, {})

    def call(step: str, tool: str, *, fails: bool = False, **params: Any) -> Any:
        return meter.call(step, tool, fails=fails, params=params)

    call("project", "list_projects")
    call("branch", "create_branch", projectId=project, branchName=BRANCH)
    branch = next(b["id"] for b in api.get("/branches").json()["branches"] if b["name"] == BRANCH)
    wait(api)
    there = {"projectId": project, "branchId": branch}
    tables = json.loads(call("schema", "get_database_tables", **there)["content"][0]["text"])
    for table in tables:
        call("schema", "describe_table_schema", tableName=table["table_name"], **there)
    for step, script in (("wrong migration", WRONG_MIGRATION), ("migration", MIGRATION)):
        statements = [s for s in script.split(";") if s.strip()]
        call(step, "run_sql_transaction", sqlStatements=statements, fails=step != "migration", **there)
    for table in ("users", "user_addresses"):
        call("what changed", "describe_table_schema", tableName=table, **there)
    for sql, place in ((CHECK["base_sql"], {"projectId": project}), (CHECK["branch_sql"], there)):
        call("proof", "run_sql", sql=f"SELECT count(*) FROM ({sql}) t", **place)
    call("connection", "get_connection_string", **there)
    call("delete", "delete_branch", **there)
    return meter.spent


def wait(api: httpx.Client) -> None:
    """Until the project's operations have ended: the official server does not wait."""
    while any(o["status"] in ("scheduling", "running") for o in api.get("/operations").json()["operations"]):
        time.sleep(0.1)


@contextmanager
def official(data_dir: Path, folder: Path) -> Iterator[tuple[Peer, httpx.Client, str]]:
    """The official server over stdio on a local control plane, a client of that plane's project, and the project's id."""
    with plane_over_tcp(data_dir) as plane, sql_over_http() as endpoint:
        host, key, project = plane["NEON_API_HOST"], plane["NEON_API_KEY"], plane["PROJECT"]
        script = folder / "node_modules" / "@neondatabase" / "mcp-server-neon" / "dist" / "index.js"
        if not script.is_file():
            raise FileNotFoundError(f"{OFFICIAL} names {folder}, where there is no {script.relative_to(folder)}")
        env = {"NEON_API_HOST": host, "BENCH_SQL_ENDPOINT": endpoint, "NODE_OPTIONS": f"--import {SHIM}"}
        headers = {"authorization": f"Bearer {key}"}
        with (
            httpx.Client(base_url=f"{host}/projects/{project}", headers=headers) as api,
            running(["node", str(script), "start", key, "--no-analytics"], env) as peer,
        ):
            yield peer, api, project


def tokens(data_dir: Path) -> list[Figure]:
    """tools/list and the journey; ours in relation to the official server's where that is here."""
    with running(ours(data_dir)) as peer:
        tools, spent = listed(peer), our_journey(peer)
    if not (folder := os.environ.get(OFFICIAL)):
        return [
            _figure("tools/list", tools),
            *(_figure(s, spent[s]) for s in STEPS),
            _figure("all", sum(spent.values())),
        ]
    with official(data_dir, Path(folder)) as (peer, api, project):
        their_tools, theirs = listed(peer), official_journey(peer, api, project)
    return [
        _figure("tools/list", tools, their_tools),
        *(_figure(step, spent[step], theirs[step]) for step in STEPS),
        _figure("all results", sum(spent.values()), sum(theirs.values())),
    ]


def _figure(name: str, value: float, theirs: float | None = None) -> Figure:
    if theirs is None:
        return Figure("tokens", name, value, value, "tokens")
    return Figure("tokens", name, value, value, "tokens", value / theirs, f"official server: {theirs:.0f}")
