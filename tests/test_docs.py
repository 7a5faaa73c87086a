"""What is written agrees with the code: generated files, the README's promises and snippets, the packages' descriptions."""

import ast
import json
import re
import runpy
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neon_branch_mcp.cli.check_clients import is_ours
from neon_branch_mcp.cli.clients import CLIENTS, entries
from neon_branch_mcp.config import load
from neon_branch_mcp.tools.catalogue import TOOLS

from .promises import PROMISES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"<!-- snippet: ([a-z-]+) -->\n```\w+\n(.*?)```", README, re.DOTALL)
docs: dict[str, Any] = runpy.run_path(str(ROOT / "tools" / "docs.py"))
bundle: dict[str, Any] = runpy.run_path(str(ROOT / "tools" / "mcpb.py"))


@pytest.mark.parametrize("name", list(docs["FILES"]))
def test_what_is_generated_is_as_the_code_has_it_now(name: str) -> None:
    made: Callable[[], str] = docs["FILES"][name]
    assert (ROOT / name).read_text(encoding="utf-8") == made(), "run ./tools/docs"


def test_the_example_configuration_is_valid_and_all_defaults() -> None:
    given = load({}, config_file=ROOT / "config.example.toml", env={}, cwd=Path("/"))
    assert given.model_copy(update={"context": None}) == load({}, env={}, cwd=Path("/")).model_copy(
        update={"context": None}
    )


def named_tests(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return {n.name for n in found if n.name.startswith("test_")}


@pytest.mark.parametrize("promise", list(PROMISES))
def test_every_promise_has_its_tests_and_stands_in_the_readme(promise: str) -> None:
    assert f"- {promise} (" in README
    assert PROMISES[promise]
    for test in PROMISES[promise]:
        file, _, name = test.partition("::")
        assert name in named_tests(ROOT / "tests" / file), f"{test} does not exist"


def test_there_is_a_snippet_for_every_client() -> None:
    assert {client for client, _ in SNIPPETS} == set(CLIENTS)


@pytest.mark.parametrize(("client", "text"), SNIPPETS)
def test_a_snippet_is_what_init_would_leave_as_it_is(client: str, text: str) -> None:
    named = entries(CLIENTS[client], text)
    assert list(named) == ["neon"]
    entry = named["neon"]
    assert is_ours(entry) or entry["url"].endswith("/mcp")
    assert entry.get("command", "neon-branch-mcp") == "neon-branch-mcp"
    approved = {tool: rule["approval_mode"] for tool, rule in entry.get("tools", {}).items()}
    assert approved in (
        {},
        {
            s.name: ("prompt" if s.name == "delete_branch" else "approve")
            for s in TOOLS
            if s.effect in ("write", "destroy")
        },
    )


def test_the_readme_names_the_server_as_the_registry_knows_it() -> None:
    server = json.loads((ROOT / "server.json").read_text(encoding="utf-8"))
    assert f"<!-- mcp-name: {server['name']} -->" in README
    assert len(server["description"]) <= 100
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert server["packages"][0]["identifier"] == project["name"] in project["scripts"]


def test_the_bundle_lists_the_tools_and_asks_for_the_key(tmp_path: Path) -> None:
    manifest = bundle["manifest"]()
    assert [t["name"] for t in manifest["tools"]] == [s.name for s in TOOLS]
    assert manifest["user_config"]["api_key"]["sensitive"] is True
    first, second = bundle["build"](tmp_path / "a"), bundle["build"](tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
    shutil.unpack_archive(first, tmp_path / "open", "zip")
    assert json.loads((tmp_path / "open" / "manifest.json").read_text()) == manifest
    assert (tmp_path / "open" / manifest["server"]["entry_point"]).is_file()
