"""Personal, organization and project-scoped keys, as the cloud answers them (shapes of neon-api.md, at httpx's seam)."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from neon_branch_mcp.config import Config, Secret
from neon_branch_mcp.errors import Ambiguous, AuthError, LimitExceeded, NotFound, NotPermitted
from neon_branch_mcp.neon import ownership
from neon_branch_mcp.neon.branches import Branches
from neon_branch_mcp.neon.client import NeonClient

pytestmark = pytest.mark.anyio

SCOPE = (
    'not allowed to perform actions outside the project this key is scoped to; subject_project_id:"damp-dream-67070160"'
)


def refuse(status: int, message: str, code: str = "") -> httpx.Response:
    return httpx.Response(status, json={"request_id": "r", "code": code, "message": message})


def projects(*ids: str) -> httpx.Response:
    return httpx.Response(200, json={"projects": [project(i) for i in ids], "applications": {}, "integrations": {}})


def project(project_id: str) -> dict[str, Any]:
    return {"id": project_id, "name": "shop", "pg_version": 17, "created_at": "2026-01-01T00:00:00Z"}


def branch(branch_id: str, name: str, **more: Any) -> dict[str, Any]:
    common = {
        "id": branch_id,
        "project_id": "p",
        "name": name,
        "current_state": "ready",
        "default": False,
        "protected": False,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    }
    return {**common, **more}


@asynccontextmanager
async def key_of(answer: Callable[[httpx.Request], httpx.Response], **neon: Any) -> AsyncIterator[Branches]:
    client = NeonClient(
        base_url="http://neon.invalid/api/v2",
        api_key=Secret("napi_k"),
        transport=httpx.MockTransport(answer),
        pace=0.01,
        retry_budget=1,
    )
    try:
        yield Branches(client, Config.model_validate({"neon": neon}))
    finally:
        await client.aclose()


async def test_a_projects_own_key_tells_its_project_while_refusing_to_list() -> None:
    async with key_of(lambda _: refuse(404, SCOPE)) as branches:
        assert await branches.project_id(None) == "damp-dream-67070160"
        with pytest.raises(NotPermitted) as caught:
            await branches.list("other-project-12345678")
        assert caught.value.render().startswith("[not_permitted]")


async def test_an_organizations_key_with_one_project_needs_no_project_id() -> None:
    async with key_of(lambda _: projects("only-project-12345678")) as branches:
        assert await branches.project_id(None) == "only-project-12345678"


async def test_several_projects_have_to_be_chosen_from() -> None:
    async with key_of(lambda _: projects("a-project-12345678", "b-project-12345678")) as branches:
        with pytest.raises(Ambiguous, match=r"2 projects: a-project-12345678, b-project-12345678\. Pass project_id"):
            await branches.project_id(None)
        assert await branches.project_id("b-project-12345678") == "b-project-12345678"


async def test_a_personal_key_lists_the_projects_of_each_of_its_organizations() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/users/me/organizations"):
            return httpx.Response(200, json={"organizations": [{"id": "org-1"}, {"id": "org-2"}]})
        org = request.url.params.get("org_id")
        if org is None:
            return refuse(400, "org_id is required, you can find it on your organization settings page")
        return projects("mine-project-12345678") if org == "org-2" else projects()

    async with key_of(answer) as branches:
        assert await branches.project_id(None) == "mine-project-12345678"


async def test_the_configured_organization_is_asked_for() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return projects("one-project-12345678") if request.url.params.get("org_id") == "org-9" else projects()

    async with key_of(answer, org_id="org-9") as branches:
        assert await branches.project_id(None) == "one-project-12345678"


async def test_a_key_without_projects_and_a_revoked_one_are_told_apart() -> None:
    async with key_of(lambda _: projects()) as branches:
        with pytest.raises(NotFound, match="reaches no project"):
            await branches.project_id(None)
    async with key_of(lambda _: refuse(401, "authentication required")) as branches:
        with pytest.raises(AuthError, match="wrong or revoked"):
            await branches.project_id(None)


async def test_the_plans_limit_names_what_could_be_deleted() -> None:
    ours = branch("br-old-branch-12345678", "old", parent_id="br-main")
    listed = {
        "branches": [branch("br-main", "main", default=True), ours],
        "annotations": {ours["id"]: {"object": {}, "value": {ownership.SERVER: "1"}}},
    }

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return refuse(422, "branches limit exceeded", "BRANCHES_LIMIT_EXCEEDED")
        return httpx.Response(200, json=listed)

    async with key_of(answer) as branches:
        with pytest.raises(
            LimitExceeded, match=r"plan's limit is reached.*delete_branch makes room; oldest first: old"
        ):
            await branches.create("p", name="new")
