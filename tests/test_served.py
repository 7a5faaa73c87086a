"""What clients are told: tools, prompts, resources, the page; and what leaves it out."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.server.apps import APP_MIME_TYPE

from neon_branch_mcp.app import Caller, open_app
from neon_branch_mcp.config import Config, load
from neon_branch_mcp.server import INSTRUCTIONS, build_server, session_caller

pytestmark = pytest.mark.anyio

TOKEN = 4
"""Characters to a token, as the design counts."""


@asynccontextmanager
async def served(**sections: dict[str, Any]) -> AsyncIterator[Client]:
    config = load({**sections, "audit": {"enabled": False}}, env={}, cwd=Path("/"))
    async with open_app(config) as app, Client(build_server(app, session_caller(Caller()))) as client:
        yield client


async def tools(**sections: dict[str, Any]) -> dict[str, dict[str, Any]]:
    async with served(**sections) as client:
        listed = await client.list_tools()
    return {t.name: t.model_dump(mode="json", by_alias=True, exclude_none=True) for t in listed.tools}


async def test_all_tools_together_cost_at_most_4500_tokens() -> None:
    text = json.dumps({"tools": list((await tools()).values())}, separators=(",", ":"), ensure_ascii=False)
    assert len(text) / TOKEN <= 4_500
    assert len(INSTRUCTIONS) < 250


async def test_every_tool_says_all_four_hints_and_describes_every_argument() -> None:
    for name, tool in (await tools()).items():
        assert set(tool["annotations"]) == {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}, name
        for argument, schema in tool["inputSchema"]["properties"].items():
            assert schema.get("description"), f"{name}.{argument}"


@pytest.mark.parametrize(
    "words", ["create a branch", "delete a branch", "list the branches", "run sql", "migration", "schema"]
)
async def test_a_search_in_plain_words_finds_a_tool(words: str) -> None:
    assert any(words in tool["description"].lower() for tool in (await tools()).values())


async def test_a_look_only_server_offers_only_what_reads() -> None:
    offered = await tools(policy={"look_only": True})
    assert {"query", "describe_schema", "list_branches"} <= set(offered)
    assert all(t["annotations"]["readOnlyHint"] for t in offered.values())


async def test_only_the_groups_that_are_asked_for_are_offered_and_what_needs_others_goes_with_them() -> None:
    async with served(policy={"tools": ["sql"]}) as client:
        assert {t.name for t in (await client.list_tools()).tools} == {"run_sql", "query", "explain_sql"}
        assert (await client.list_prompts()).prompts == []
        assert [r.uri for r in (await client.list_resources()).resources] == ["ui://neon-branch-mcp/view.html"]
        assert (await client.list_resource_templates()).resource_templates == []


async def test_a_pinned_project_needs_no_list_of_projects() -> None:
    assert "list_projects" not in await tools(neon={"project_id": "p"})


async def test_prompts_lead_through_tools_that_exist() -> None:
    offered = set(await tools())
    async with served() as client:
        prompts = {p.name: p for p in (await client.list_prompts()).prompts}
        assert {"refactor_schema", "clean_up_branches"} <= set(prompts)
        asked = await client.get_prompt("refactor_schema", {"goal": "split addresses off users"})
    text = asked.messages[0].content.text  # type: ignore[union-attr]
    assert "split addresses off users" in text
    assert {"create_branch", "apply_migration"} <= offered
    assert all(
        tool in text for tool in ("create_branch", "describe_schema", "apply_migration", "get_connection_string")
    )


async def test_the_page_is_one_file_that_loads_nothing() -> None:
    async with served() as client:
        read = await client.read_resource("ui://neon-branch-mcp/view.html")
        pictured = {t.name: t.meta for t in (await client.list_tools()).tools if t.meta}
    page = read.contents[0]
    assert page.mime_type == APP_MIME_TYPE
    html = page.text  # type: ignore[union-attr]
    assert html.startswith("<!doctype html>")
    assert not [word for word in (" src=", "href=", "@import", "fetch(", "innerHTML", "eval(") if word in html]
    assert pictured == {
        name: {"ui": {"resourceUri": "ui://neon-branch-mcp/view.html"}}
        for name in ("describe_schema", "apply_migration", "verify_migration")
    }


def test_the_default_configuration_offers_everything() -> None:
    assert Config().policy.tools == ()
    assert Config().policy.look_only is False
