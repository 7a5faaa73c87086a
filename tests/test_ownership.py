"""Whose branch it is, how long it lives, how many there may be."""

from datetime import UTC, datetime, timedelta

import pytest

from neon_branch_mcp.config import PolicyConfig
from neon_branch_mcp.errors import LimitExceeded, Refused
from neon_branch_mcp.models import Branch
from neon_branch_mcp.neon import ownership

NOW = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)


def branch(number: int, *, ours: bool = True, session: str = "s1", parent: str = "br-main") -> Branch:
    return Branch(
        id=f"br-{number}",
        project_id="p",
        name=f"b{number}",
        default=False,
        protected=False,
        current_state="ready",
        created_at=f"2026-11-{number:02d}T00:00:00Z",
        updated_at="",
        parent_id=parent,
        annotations=ownership.annotations(client="codex", session=session, purpose=f"task {number}") if ours else {},
    )


@pytest.mark.parametrize(
    ("text", "length"),
    [("7d", timedelta(days=7)), (" 12 h ", timedelta(hours=12)), ("30m", timedelta(minutes=30)), ("2w", timedelta(14))],
)
def test_durations(text: str, length: timedelta) -> None:
    assert ownership.lifetime(text) == length


def test_no_duration_is_no_end() -> None:
    assert ownership.expiry("", NOW) is None
    assert ownership.expiry("7d", NOW) == "2026-11-30T14:05:00Z"


@pytest.mark.parametrize("text", ["7", "d", "0d", "1y", "-1d", "1.5h", "tomorrow", "31d", "5w"])
def test_what_is_no_duration_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(Refused) as caught:
        ownership.lifetime(text)
    assert caught.value.rule == "expires-in"
    assert '"' in caught.value.remedy


def test_annotations_say_who_made_it_and_tell_requests_apart() -> None:
    first, second = branch(1), branch(1)
    assert ownership.created_by_us(first)
    assert not ownership.created_by_us(branch(2, ours=False))
    assert first.annotations[ownership.NONCE] != second.annotations[ownership.NONCE]
    assert first.annotations["neon-branch-mcp-purpose"] == "task 1"


def test_default_names_are_readable_and_unique() -> None:
    names = {ownership.default_name("Claude Code 2.1", NOW) for _ in range(20)}
    assert len(names) > 15
    assert all(name.startswith("claude-code-2-1-1123-1405-") for name in names)
    assert ownership.default_name("", NOW).startswith("agent-")


def test_a_full_project_names_what_could_be_deleted_oldest_first() -> None:
    branches = [branch(3), branch(1), branch(2, ours=False), branch(5, parent="br-3")]
    with pytest.raises(LimitExceeded, match=r"policy.max_branches is 3.*oldest first: b1 .*for task 1.*, b5 "):
        ownership.check_quota(branches, PolicyConfig(max_branches=3), "s9")
    ownership.check_quota(branches, PolicyConfig(max_branches=4), "s9")


def test_a_session_has_its_own_cap() -> None:
    branches = [branch(1), branch(2), branch(3, session="s2")]
    policy = PolicyConfig(max_branches_session=2)
    with pytest.raises(LimitExceeded, match="This session has 2 branches"):
        ownership.check_quota(branches, policy, "s1")
    ownership.check_quota(branches, policy, "s2")


def test_nothing_of_ours_to_delete_is_said() -> None:
    assert "None of them is this server's" in ownership.deletable([branch(1, ours=False)])
