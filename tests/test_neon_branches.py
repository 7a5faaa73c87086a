"""Branches over the local control plane: made once or not at all, their own passwords, few calls."""

from datetime import UTC, datetime, timedelta

import anyio
import httpx
import psycopg
import pytest

from neon_branch_mcp.config import Secret
from neon_branch_mcp.errors import (
    Ambiguous,
    Conflict,
    LimitExceeded,
    NotFound,
    Refused,
    TimedOut,
)
from neon_branch_mcp.local.plane import LocalPlane
from neon_branch_mcp.neon import ownership
from neon_branch_mcp.neon.branches import password_of, with_password
from tests.cloud import Cloud, one_fault_per_change, open_cloud, play

pytestmark = pytest.mark.anyio


async def names(cloud: Cloud) -> set[str]:
    return {b.name for b in await cloud.branches.list(cloud.project_id, fresh=True)}


async def test_a_new_branch_is_ours_expires_and_has_its_own_password(plane: LocalPlane) -> None:
    async with open_cloud(plane) as cloud:
        made = await cloud.branches.create(cloud.project_id, name="own", client_name="codex", purpose="a test")
        main = await cloud.branches.resolve(cloud.project_id, None)
        try:
            branch = await cloud.branches.resolve(cloud.project_id, "own", fresh=True)
            assert cloud.branches.created_by_us(branch)
            assert not cloud.branches.created_by_us(main)
            assert branch.annotations[ownership.CLIENT] == "codex"
            assert branch.expires_at is not None
            left = datetime.fromisoformat(branch.expires_at) - datetime.now(UTC)
            assert timedelta(days=6, hours=23) < left < timedelta(days=7, minutes=1)
            database = await cloud.branches.database(branch, None)
            assert await cloud.branches.has_own_password(branch, database)
            ours = await cloud.branches.conninfo(branch, database)
            theirs = await cloud.branches.conninfo(main, database)
        finally:
            await cloud.branches.delete(made.branch)
        assert password_of(ours) != password_of(theirs)


def logs_in(uri: str) -> bool:
    try:
        psycopg.connect(uri, connect_timeout=15).close()
    except psycopg.OperationalError as exc:
        if "password authentication failed" not in str(exc):
            raise
        return False
    return True


def swap_password(uri: Secret, other: Secret) -> str:
    """`uri` with the password of `other`."""
    own, foreign = password_of(uri), password_of(other)
    assert own
    assert foreign
    return uri.reveal().replace(own, foreign)


@pytest.mark.parametrize("after_reset", [False, True])
async def test_the_branchs_password_fails_on_the_parent_and_the_parents_on_the_branch(
    plane: LocalPlane, after_reset: bool
) -> None:
    async with open_cloud(plane) as cloud:
        made = await cloud.branches.create(cloud.project_id, name="locked")
        try:
            branch = await cloud.branches.reset(made.branch) if after_reset else made.branch
            main = await cloud.branches.resolve(cloud.project_id, None)
            database = await cloud.branches.database(branch, None)
            ours = await cloud.branches.conninfo(branch, database)
            theirs = await cloud.branches.conninfo(main, database)
            tried = {
                "branch with its own": ours.reveal(),
                "parent with its own": theirs.reveal(),
                "branch with the parent's": swap_password(ours, theirs),
                "parent with the branch's": swap_password(theirs, ours),
            }
            found = {name: await anyio.to_thread.run_sync(logs_in, uri) for name, uri in tried.items()}
        finally:
            await cloud.branches.delete(made.branch)
        assert found == {
            "branch with its own": True,
            "parent with its own": True,
            "branch with the parent's": False,
            "parent with the branch's": False,
        }


def refuses_new_passwords(_number: int, request: httpx.Request) -> str | None:
    return "no such route" if request.url.path.endswith("reset_password") else None


async def test_where_the_api_gives_no_passwords_the_branch_is_made_and_known_to_share(plane: LocalPlane) -> None:
    async with open_cloud(plane, refuses_new_passwords) as cloud:
        made = await cloud.branches.create(cloud.project_id, name="shared")
        database = await cloud.branches.database(made.branch, None)
        own = await cloud.branches.has_own_password(made.branch, database)
        await cloud.branches.delete(made.branch)
        assert (made.own_credentials, own) == (False, False)


async def test_a_warm_read_costs_no_call_and_a_warm_write_one(plane: LocalPlane) -> None:
    async with open_cloud(plane) as cloud:

        async def ask(*, fresh: bool) -> int:
            before = len(cloud.proxy.log)
            branch = await cloud.branches.resolve(await cloud.branches.project_id(None), None, fresh=fresh)
            await cloud.branches.conninfo(branch, await cloud.branches.database(branch, None))
            return len(cloud.proxy.log) - before

        await ask(fresh=False)
        assert await ask(fresh=False) == 0
        assert await ask(fresh=True) == 1


async def test_callers_at_the_same_time_share_their_calls(plane: LocalPlane) -> None:
    async with open_cloud(plane) as cloud:
        await cloud.branches.resolve(cloud.project_id, None)
        before = len(cloud.proxy.log)
        async with anyio.create_task_group() as group:
            for _ in range(32):
                group.start_soon(lambda: cloud.branches.resolve(cloud.project_id, None, fresh=True))
        assert len(cloud.proxy.log) - before <= 2


async def test_a_branch_that_another_client_renamed_or_deleted_is_seen_afresh(plane: LocalPlane) -> None:
    async with open_cloud(plane) as ours, open_cloud(plane) as other:
        made = await other.branches.create(other.project_id, name="before")
        assert (await ours.branches.resolve(ours.project_id, "before")).id == made.branch.id
        await other.client.update_branch(other.project_id, made.branch.id, {"name": "after"})
        with pytest.raises(NotFound, match="There are: after, main"):
            await ours.branches.resolve(ours.project_id, "before", fresh=True)
        assert (await ours.branches.resolve(ours.project_id, made.branch.id, fresh=True)).name == "after"
        await other.branches.delete(made.branch)
        with pytest.raises(NotFound):
            await ours.branches.resolve(ours.project_id, "after", fresh=True)


async def test_names_that_are_not_there_are_answered_with_those_that_are(plane: LocalPlane) -> None:
    async with open_cloud(plane) as cloud:
        with pytest.raises(NotFound, match=r"'nope' is not in project .* There are: .*main"):
            await cloud.branches.resolve(cloud.project_id, "nope")
        main = await cloud.branches.resolve(cloud.project_id, "main")
        with pytest.raises(NotFound, match=r"'nope' is not on branch main\. There are: shop"):
            await cloud.branches.database(main, "nope")
        with pytest.raises(NotFound, match="Parent branch 'nope'"):
            await cloud.branches.create(cloud.project_id, parent="nope")


async def test_several_databases_have_to_be_chosen_from(plane: LocalPlane) -> None:
    async with open_cloud(plane) as cloud:
        made = await cloud.branches.create(cloud.project_id, name="two")
        database = await cloud.branches.database(made.branch, None)
        uri = await cloud.branches.conninfo(made.branch, database)

        def create() -> None:
            with psycopg.connect(uri.reveal(), autocommit=True) as conn:
                conn.execute("CREATE DATABASE second")

        await anyio.to_thread.run_sync(create)
        try:
            assert (await cloud.branches.database(made.branch, "second")).name == "second"
            with pytest.raises(Ambiguous, match="second, shop"):
                await cloud.branches.database(made.branch, None)
        finally:
            await cloud.branches.delete(made.branch)


async def test_a_taken_name_is_a_conflict_and_the_other_branch_stays(plane: LocalPlane) -> None:
    async with open_cloud(plane) as cloud:
        made = await cloud.branches.create(cloud.project_id, name="taken")
        with pytest.raises(Conflict):
            await cloud.branches.create(cloud.project_id, name="taken")
        assert (await cloud.branches.resolve(cloud.project_id, "taken", fresh=True)).id == made.branch.id
        await cloud.branches.delete(made.branch)


async def test_the_caps_of_the_policy_hold_and_say_what_could_go(plane: LocalPlane) -> None:
    async with open_cloud(plane, policy={"max_branches_session": 1}) as cloud:
        made = await cloud.branches.create(cloud.project_id, name="first", purpose="the cap")
        with pytest.raises(LimitExceeded, match=r"policy.max_branches_session is 1.*first .*for the cap"):
            await cloud.branches.create(cloud.project_id, name="second")
        other = await cloud.branches.create(cloud.project_id, name="third", session="s2")
        await cloud.branches.delete(made.branch)
        await cloud.branches.delete(other.branch)


async def test_the_default_branch_cannot_be_reset(plane: LocalPlane) -> None:
    async with open_cloud(plane) as cloud:
        with pytest.raises(Refused, match="root branch"):
            await cloud.branches.reset(await cloud.branches.resolve(cloud.project_id, None))


async def test_a_pinned_project_cannot_be_left(plane: LocalPlane) -> None:
    async with open_cloud(plane, neon={"project_id": plane.project_id}) as cloud:
        assert await cloud.branches.project_id(None) == plane.project_id
        with pytest.raises(Refused, match="is another"):
            await cloud.branches.project_id("other-project-12345678")
        assert cloud.proxy.log == []


@pytest.mark.parametrize("number", range(3))
async def test_a_journey_whose_every_change_fails_once_makes_and_leaves_no_branch_twice(
    plane: LocalPlane, number: int
) -> None:
    found = await play(plane, "faulty", one_fault_per_change(number))
    assert len(found.hits) == 4
    assert (found.left, found.error) == ((), None)


@pytest.mark.parametrize("first", [4, 8])
async def test_an_api_that_breaks_for_good_ends_in_an_error_that_names_what_is_left(
    plane: LocalPlane, first: int
) -> None:
    found = await play(plane, "broken", lambda number, _: "500 before the work" if number >= first else None)
    assert found.error is not None
    assert found.lost == ()


@pytest.mark.parametrize("calls", [2, 3, 5])
async def test_a_cancelled_creation_leaves_no_branch(plane: LocalPlane, calls: int) -> None:
    async with anyio.create_task_group() as group:

        def cancel(number: int, _request: httpx.Request) -> str | None:
            if number == calls:
                group.cancel_scope.cancel()
            return None

        async with open_cloud(plane, cancel) as doomed:
            await doomed.branches.create(doomed.project_id, name="cancelled")
    assert group.cancel_scope.cancelled_caught
    async with open_cloud(plane) as cloud:
        assert "cancelled" not in await names(cloud)


async def test_a_creation_ends_before_its_callers_deadline_and_cleans_up(plane: LocalPlane) -> None:
    def stuck(_number: int, request: httpx.Request) -> str | None:
        return "423" if request.url.path.endswith("reset_password") else None

    async with open_cloud(plane, stuck) as cloud:
        with anyio.fail_after(6):
            with pytest.raises(TimedOut):
                await cloud.branches.create(cloud.project_id, name="late")
        assert "late" not in await names(cloud)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("postgresql://u@h/d?sslmode=require", "postgresql://u:p%40ss@h/d?sslmode=require"),
        ("postgresql://u:old@h/d", "postgresql://u:old@h/d"),
    ],
)
def test_a_uri_without_a_password_gets_the_one_we_know(uri: str, expected: str) -> None:
    assert with_password(Secret(uri), Secret("p@ss")).reveal() == expected
