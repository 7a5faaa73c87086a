"""The client against scripted answers at httpx's seam: retries, paging, identifiers, time."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest

from neon_branch_mcp.config import Secret
from neon_branch_mcp.errors import (
    ApiError,
    ConfigError,
    LimitExceeded,
    NotFound,
    TimedOut,
    UnknownOutcome,
    Unreachable,
)
from neon_branch_mcp.models import Operation
from neon_branch_mcp.neon.client import BranchRequest, NeonClient

pytestmark = pytest.mark.anyio

Answer = httpx.Response | Exception
BRANCH = {
    "id": "br-calm-union-a59jz26r",
    "project_id": "solitary-thunder-08372287",
    "name": "dev",
    "current_state": "ready",
    "default": False,
    "protected": False,
    "created_at": "2025-01-16T21:02:05Z",
    "updated_at": "2025-01-16T21:02:05Z",
}
CREATED = {"branch": BRANCH, "endpoints": [], "databases": [], "roles": [], "operations": []}


def ok(body: Any, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=body)


def error(status: int, message: str = "", **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"code": "", "message": message}, headers=headers)


class Script:
    """Answers one after the other; the last one stays."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@asynccontextmanager
async def client_of(handler: Callable[[httpx.Request], Any], **settings: Any) -> AsyncIterator[NeonClient]:
    options = {"pace": 0.01, "retry_budget": 1, **settings}
    client = NeonClient(
        base_url="http://neon.invalid/api/v2",
        api_key=Secret("napi_k"),
        transport=httpx.MockTransport(handler),
        **options,
    )
    try:
        yield client
    finally:
        await client.aclose()


async def test_requests_carry_the_key_and_who_asks() -> None:
    script = Script(ok({"account_id": "a", "auth_method": "api_key_org"}))
    async with client_of(script, user_agent="neon-branch-mcp/9") as client:
        assert (await client.auth()).auth_method == "api_key_org"
    (request,) = script.requests
    assert str(request.url) == "http://neon.invalid/api/v2/auth"
    assert request.headers["authorization"] == "Bearer napi_k"
    assert request.headers["user-agent"] == "neon-branch-mcp/9"


@pytest.mark.parametrize("bad", [error(423), error(429), error(503), error(429, **{"retry-after": "1"})])
async def test_a_change_that_was_surely_not_done_is_sent_again(bad: httpx.Response) -> None:
    script = Script(bad, bad, ok(CREATED, 201))
    async with client_of(script, retry_budget=30) as client:
        await client.create_branch("p", BranchRequest("dev"), {})
    assert len(script.requests) == 3
    assert json.loads(script.requests[0].content)["endpoints"] == [{"type": "read_write"}]


@pytest.mark.parametrize(
    "lost",
    [
        httpx.ReadTimeout("t"),
        httpx.ReadError("r"),
        httpx.RemoteProtocolError("cut"),
        error(500),
        error(502),
        httpx.Response(201, content=b'{"branch": {"id'),
        httpx.Response(201, content=b"<html>proxy</html>"),
        ok({}, 201),
        ok({**CREATED, "branch": {**BRANCH, "default": "no"}}, 201),
    ],
)
async def test_a_change_whose_answer_was_lost_is_sent_once(lost: Answer) -> None:
    script = Script(lost)
    async with client_of(script) as client:
        with pytest.raises(UnknownOutcome, match="may or may not be done"):
            await client.create_branch("p", BranchRequest("dev"), {})
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    "lost", [httpx.ReadTimeout("t"), error(500), httpx.Response(200, content=b"{"), ok({"branches": {}}), ok([])]
)
async def test_a_read_whose_answer_was_lost_is_asked_again_a_few_times(lost: Answer) -> None:
    script = Script(lost, lost, ok({"branches": [], "annotations": {}}))
    async with client_of(script) as client:
        assert await client.list_branches("p") == []
    script = Script(lost)
    async with client_of(script) as client:
        with pytest.raises((Unreachable, ApiError)):
            await client.list_branches("p")
    assert len(script.requests) == 4


async def test_the_budget_ends_the_retries() -> None:
    script = Script(error(423, "project already has running conflicting operations"))
    async with client_of(script, retry_budget=0.2) as client:
        with pytest.raises(TimedOut, match="Nothing was done"):
            await client.create_branch("p", BranchRequest("dev"), {})
    assert len(script.requests) > 2


async def test_a_wait_longer_than_the_budget_is_not_begun() -> None:
    script = Script(error(429, **{"retry-after": "3600"}))
    async with client_of(script, pace=1, retry_budget=5) as client:
        with anyio.fail_after(2):
            with pytest.raises(LimitExceeded):
                await client.list_branches("p")
    assert len(script.requests) == 1


async def test_the_callers_deadline_ends_the_retries_with_the_reason() -> None:
    async with client_of(Script(error(503)), pace=1, retry_budget=60) as client:
        with anyio.fail_after(2.5):
            with pytest.raises(Unreachable, match="unavailable"):
                await client.list_branches("p")


async def test_a_silent_api_is_left_after_the_time_out() -> None:
    async def silent(_: httpx.Request) -> httpx.Response:
        await anyio.sleep(60)
        raise AssertionError

    async with client_of(silent, timeout=0.05) as client:
        with anyio.fail_after(5):
            with pytest.raises(Unreachable, match="lost"):
                await client.list_branches("p")
            with pytest.raises(UnknownOutcome):
                await client.create_branch("p", BranchRequest("dev"), {})


async def test_branch_pages_end_with_the_empty_one_and_annotations_are_merged_in() -> None:
    other = {**BRANCH, "id": "br-2", "name": "two"}
    notes = {BRANCH["id"]: {"object": {"type": "console/branch", "id": BRANCH["id"]}, "value": {"k": "v"}}}
    script = Script(
        ok({"branches": [BRANCH], "annotations": notes, "pagination": {"next": "c1"}}),
        ok({"branches": [other], "annotations": {}, "pagination": {"next": "c2"}}),
        ok({"branches": [], "annotations": {}, "pagination": {"next": "c3"}}),
    )
    async with client_of(script) as client:
        first, second = await client.list_branches("p")
    assert (first.annotations, second.annotations) == ({"k": "v"}, {})
    assert [r.url.params.get("cursor") for r in script.requests] == [None, "c1", "c2"]


async def test_project_pages_use_the_other_style() -> None:
    project = {"id": "p1", "name": "one", "pg_version": 17, "created_at": "2025-01-16T21:02:05Z"}
    script = Script(
        ok({"projects": [project], "pagination": {"cursor": "c1"}}),
        ok({"projects": [], "pagination": {"cursor": "c1"}}),
    )
    async with client_of(script) as client:
        assert [p.id for p in await client.list_projects()] == ["p1"]
    assert len(script.requests) == 2


@pytest.mark.parametrize("answer", [ok({"branch": BRANCH, "operations": []}), httpx.Response(204), error(404)])
async def test_all_answers_that_mean_gone_are_a_deletion(answer: httpx.Response) -> None:
    async with client_of(Script(answer)) as client:
        assert await client.delete_branch("p", "br-1") == []


async def test_a_deletion_whose_answer_was_lost_looks_before_it_deletes_again() -> None:
    script = Script(httpx.ReadTimeout("t"), ok({"branch": BRANCH}), httpx.ReadTimeout("t"), error(404))
    async with client_of(script) as client:
        assert await client.delete_branch("p", "br-1") == []
    assert [r.method for r in script.requests] == ["DELETE", "GET", "DELETE", "GET"]


@pytest.mark.parametrize("hostile", ["", "../users/me", "a/b", "br-1?x=y", "BR-1", "br 1", "x" * 61, "br-1\n"])
async def test_an_id_never_reaches_into_another_path(hostile: str) -> None:
    script = Script(ok({}))
    async with client_of(script) as client:
        for call in (client.get_branch("p", hostile), client.get_project(hostile), client.delete_branch(hostile, "b")):
            with pytest.raises(NotFound, match="is not the id of a"):
                await call
    assert script.requests == []


async def test_a_role_name_is_quoted_in_the_path() -> None:
    script = Script(ok({"role": {"name": "a/b", "password": "pw"}, "operations": []}))
    async with client_of(script) as client:
        password, _ = await client.reset_role_password("p", "br-1", "a/b?c")
    assert password.reveal() == "pw"
    assert script.requests[0].url.raw_path.endswith(b"/roles/a%2Fb%3Fc/reset_password")


def operation(status: str) -> dict[str, Any]:
    return {"id": "op-1", "project_id": "p", "action": "create_branch", "status": status, "error": "no disk"}


async def test_operations_are_waited_for_until_all_ended_well() -> None:
    script = Script(*(ok({"operation": operation(s)}) for s in ("scheduling", "running", "finished")))
    told: list[str] = []

    async def progress(message: str) -> None:
        told.append(message)

    async with client_of(script) as client:
        await client.wait([Operation("op-1", "p", "create_branch", "scheduling")], progress=progress)
    assert len(script.requests) == 3
    assert told[0] == "Neon: create branch"


@pytest.mark.parametrize("end", ["failed", "error", "cancelled"])
async def test_an_operation_that_ended_badly_is_an_error_with_its_reason(end: str) -> None:
    async with client_of(Script(ok({"operation": operation(end)}))) as client:
        with pytest.raises(ApiError, match=f"create_branch ended as {end}: no disk"):
            await client.wait([Operation("op-1", "p", "create_branch", "running")])


async def test_waiting_ends_at_the_deadline() -> None:
    async with client_of(Script(ok({"operation": operation("running")}))) as client:
        with pytest.raises(TimedOut, match="still running"):
            await client.wait(
                [Operation("op-1", "p", "create_branch", "running")], deadline=anyio.current_time() + 0.05
            )


async def test_changes_of_a_project_go_one_after_the_other() -> None:
    running = most = 0
    async with client_of(Script(ok({}))) as client:

        async def change(project: str) -> None:
            nonlocal running, most
            async with client.serialised(project):
                running += 1
                most = max(most, running)
                await anyio.sleep(0.01)
                running -= 1

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(change, "p")
        assert most == 1


@pytest.mark.parametrize("key", ["", "two words", "line\n", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_told_so_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigError, match="check it") as caught:
        NeonClient(base_url="http://neon.invalid", api_key=Secret(key))
    assert not key or key not in str(caught.value)
