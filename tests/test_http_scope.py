"""What a URL makes of a caller: it narrows, and what is not understood is refused."""

import pytest

from neon_branch_mcp.app import Caller
from neon_branch_mcp.errors import NotPermitted, Refused
from neon_branch_mcp.http.callers import may_see
from neon_branch_mcp.http.scope import CATEGORIES, Scope, asked, narrowed
from neon_branch_mcp.tools.catalogue import TOOLS

SQL_TOOLS = frozenset({"run_sql", "query", "explain_sql"})


def test_a_url_as_for_neons_own_server_means_the_same() -> None:
    scope = asked([("projectId", "old-violet-32930710"), ("readonly", "true"), ("category", "querying")], [])
    assert scope == Scope("old-violet-32930710", True, SQL_TOOLS)


def test_headers_of_neons_own_server_mean_the_same() -> None:
    headers = [(b"x-neon-project-id", b"p-1"), (b"x-neon-read-only", b"True"), (b"x-neon-scopes", b"querying,docs")]
    assert asked([], headers) == Scope("p-1", True, SQL_TOOLS)


@pytest.mark.parametrize("values", [["querying", "schema"], ["querying,schema"], ["Querying , schema"]])
def test_categories_may_be_repeated_or_listed(values: list[str]) -> None:
    tools = asked([("category", v) for v in values], []).tools
    assert tools is not None
    assert tools > SQL_TOOLS
    assert "describe_schema" in tools


@pytest.mark.parametrize(
    "parameters",
    [
        [("readonly", "")],
        [("readonly", "maybe")],
        [("readonly", "truee")],
        [("readOnly", "true")],
        [("read_only", "true")],
        [("projectId", "")],
        [("projectId", "../x")],
        [("projectId", "A")],
        [("projectId", "a" * 61)],
        [("projectId", "a-1\n")],
        [("projectId", "a"), ("projectId", "b")],
        [("category", "")],
        [("category", "everything")],
        [("category", "querying,")],
        [("category", "docs")],
        [("preset", "production")],
    ],
)
def test_what_is_not_understood_is_refused(parameters: list[tuple[str, str]]) -> None:
    with pytest.raises(Refused) as caught:
        asked(parameters, [])
    assert caught.value.rule == "url-scope"


@pytest.mark.parametrize("header", [b"x-neon-preset", b"x-neon-protect-production", b"x-neon-readonly"])
def test_a_header_that_would_limit_elsewhere_is_not_ignored(header: bytes) -> None:
    with pytest.raises(Refused):
        asked([], [(header, b"true")])


def test_one_readonly_among_several_is_enough() -> None:
    assert asked([("readonly", "false")], [(b"x-read-only", b"true")]).read_only


def test_a_scope_never_widens_a_token() -> None:
    bound = Caller(project_id="p-1", read_only=True, tools=frozenset({"query"}))
    scoped = narrowed(bound, Scope(None, False, frozenset({"query", "run_sql"})))
    assert (scoped.project_id, scoped.read_only, scoped.tools) == ("p-1", True, frozenset({"query"}))


def test_a_scope_cannot_name_another_project_than_the_token() -> None:
    with pytest.raises(NotPermitted, match="p-1"):
        narrowed(Caller(project_id="p-1"), Scope(project_id="p-2"))


def test_a_read_only_session_sees_the_reading_tools_only() -> None:
    seen = {spec.name for spec in TOOLS if may_see(Caller(read_only=True), spec.name)}
    assert seen == {spec.name for spec in TOOLS if spec.effect == "read"}
    assert "get_connection_string" not in seen


def test_a_session_bound_to_a_project_does_not_see_the_others() -> None:
    assert not may_see(Caller(project_id="p-1"), "list_projects")
    assert may_see(Caller(), "list_projects")


def test_every_tool_is_in_a_category() -> None:
    groups = frozenset().union(*CATEGORIES.values())
    assert {spec.group for spec in TOOLS} <= groups
