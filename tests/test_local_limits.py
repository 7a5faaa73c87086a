"""The limits of a plan, as settings: what is over one is refused in Neon's words and codes, and nothing is made of it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal

from .conftest import PlaneApi, other_plane


@pytest.fixture(scope="module")
def small(portal: BlockingPortal) -> Iterator[PlaneApi]:
    limits = {"max_projects": 1, "max_branches": 3, "max_root_branches": 2}
    with other_plane(portal, sample=False, history=0, **limits) as api:
        yield api


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def schema_only(api: PlaneApi, name: str) -> httpx.Response:
    body: dict[str, Any] = {"branch": {"name": name, "init_source": "schema-only"}}
    return api.request("POST", f"{api.project}/branches", json=body)


def test_a_branch_over_the_limits_is_refused_and_not_made(small: PlaneApi) -> None:
    root = small.create_branch("root", init_source="schema-only")
    assert code(schema_only(small, "one-root-too-many")) == (422, "ROOT_BRANCHES_LIMIT_EXCEEDED")
    child = small.create_branch("child")
    refused = small.request("POST", f"{small.project}/branches", json={"branch": {"name": "one-too-many"}})
    assert code(refused) == (422, "BRANCHES_LIMIT_EXCEEDED")
    assert "local.max_branches is 3" in refused.json()["message"]
    kept = {"source_branch_id": child["parent_id"], "preserve_under_name": "one-too-many"}
    refused = small.request("POST", f"{small.project}/branches/{child['id']}/restore", json=kept)
    assert code(refused) == (422, "BRANCHES_LIMIT_EXCEEDED")
    found = small("GET", f"{small.project}/branches")["branches"]
    assert {b["name"] for b in found} == {"main", "root", "child"}
    for branch in (root, child):
        small("DELETE", f"{small.project}/branches/{branch['id']}")
    small("DELETE", f"{small.project}/branches/{small.create_branch('again')['id']}")


def test_a_project_over_the_limit_is_refused_and_not_made(small: PlaneApi) -> None:
    refused = small.request("POST", "/projects", json={"project": {"name": "second"}})
    assert code(refused) == (422, "PROJECTS_LIMIT_EXCEEDED")
    assert len(small("GET", "/projects")["projects"]) == 1
