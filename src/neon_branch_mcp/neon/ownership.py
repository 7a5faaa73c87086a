"""Whose branch it is, how long it lives, and how many there may be: pure."""

import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from .. import __version__
from ..config import PolicyConfig
from ..errors import LimitExceeded, Refused
from ..models import Branch

SERVER = "neon-branch-mcp"
CLIENT, SESSION, PURPOSE, NONCE = (f"{SERVER}-{part}" for part in ("client", "session", "purpose", "nonce"))
MAX_TTL = timedelta(days=30)
_DURATION = re.compile(r"\s*(\d{1,6})\s*(m|h|d|w)\s*")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def annotations(*, client: str, session: str, purpose: str) -> dict[str, str]:
    """What a branch made by this server carries. The nonce tells this very request from every other."""
    values = {SERVER: __version__, CLIENT: client, SESSION: session, PURPOSE: purpose, NONCE: secrets.token_hex(8)}
    return {key: value[:200] for key, value in values.items() if value}


def created_by_us(branch: Branch) -> bool:
    """This server, in any of its runs, made the branch: by its annotation, which only the creator can set."""
    return SERVER in branch.annotations


def default_name(client: str, now: datetime) -> str:
    """A branch name nobody has: `claude-code-1123-1405-3f9a`."""
    who = re.sub(r"[^a-z0-9]+", "-", client.lower()).strip("-")[:30] or "agent"
    return f"{who}-{now:%m%d-%H%M}-{secrets.token_hex(2)}"


def lifetime(text: str) -> timedelta | None:
    """ "7d", "12h", "30m", "2w" → how long; "" → no end. Raises Refused for what is not a duration of up to 30 days."""
    if not text.strip():
        return None
    match = _DURATION.fullmatch(text)
    if match is None or int(match.group(1)) == 0:
        raise Refused(
            f"expires_in {text[:40]!r} is not a duration.",
            rule="expires-in",
            remedy='Write a number and a unit: "30m", "12h", "7d" or "2w".',
        )
    length = timedelta(**{_UNITS[match.group(2)]: int(match.group(1))})
    if length > MAX_TTL:
        raise Refused(
            f"expires_in {text.strip()!r} is longer than Neon allows.", rule="expires-in", remedy='At most "30d".'
        )
    return length


def expiry(text: str, now: datetime) -> str | None:
    """The `expires_at` of a branch made now."""
    length = lifetime(text)
    return None if length is None else (now + length).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def childless(parent: Branch) -> str:
    """A sentence for a branch that could not be made of one which has an end: Neon allows no children of those."""
    return (
        f"The parent {parent.name!r} expires at {parent.expires_at}, and a branch that expires can have no children: make a parent with "
        'create_branch(expires_in=""), or copy the branch that it was made from.'
    )


def check_quota(branches: Sequence[Branch], policy: PolicyConfig, session: str) -> None:
    """Raises LimitExceeded when the project, or this session, has as many of our branches as the policy allows."""
    ours = [b for b in branches if created_by_us(b)]
    if len(ours) >= policy.max_branches:
        raise LimitExceeded(
            f"The project has {len(ours)} branches of this server; policy.max_branches is {policy.max_branches}. "
            f"{deletable(branches)}"
        )
    mine = [b for b in ours if session and b.annotations.get(SESSION) == session]
    if len(mine) >= policy.max_branches_session:
        raise LimitExceeded(
            f"This session has {len(mine)} branches; policy.max_branches_session is {policy.max_branches_session}. "
            f"{deletable(mine)}"
        )


def deletable(branches: Sequence[Branch]) -> str:
    """A sentence that names what could be deleted to make room, oldest first."""
    parents = {b.parent_id for b in branches}
    ours = [b for b in branches if created_by_us(b) and not b.default and not b.protected and b.id not in parents]
    if not ours:
        return "None of them is this server's to delete; delete a branch at Neon or raise the plan."
    shown = sorted(ours, key=lambda b: b.created_at)[:10]
    names = ", ".join(f"{b.name} (made {b.created_at}{_use(b)})" for b in shown)
    more = f" and {len(ours) - len(shown)} more" if len(ours) > len(shown) else ""
    return f"delete_branch makes room; oldest first: {names}{more}."


def _use(branch: Branch) -> str:
    purpose = branch.annotations.get(PURPOSE)
    return f", for {purpose[:60]}" if purpose else ""
