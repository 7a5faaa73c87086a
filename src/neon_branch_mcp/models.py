"""What Neon's API speaks of, in its own words: frozen values that every layer may hold.

Times are RFC 3339 UTC strings, as the API writes them; identifiers are the API's (`br-…`, `ep-…`). A missing value is None.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Progress = Callable[[str], Awaitable[None]]
"""Told what is being waited for, in a few words; a caller that does not listen passes None."""

GOOD_ENDS = frozenset({"finished", "skipped"})
BAD_ENDS = frozenset({"failed", "error", "cancelled"})


@dataclass(frozen=True)
class Project:
    """A project: a tree of branches that share one history."""

    id: str
    name: str
    pg_version: int
    created_at: str
    org_id: str | None = None
    region_id: str | None = None


@dataclass(frozen=True)
class Branch:
    """A branch as `GET …/branches/{id}` shows it, with its annotation."""

    id: str
    project_id: str
    name: str
    default: bool
    protected: bool
    current_state: str
    created_at: str
    updated_at: str
    parent_id: str | None = None
    parent_lsn: str | None = None
    parent_timestamp: str | None = None
    pending_state: str | None = None
    expires_at: str | None = None
    last_reset_at: str | None = None
    init_source: str | None = None
    logical_size: int | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_root(self) -> bool:
        """A root branch has no parent and cannot be reset."""
        return self.parent_id is None


@dataclass(frozen=True)
class Endpoint:
    """A compute of a branch."""

    id: str
    branch_id: str
    host: str
    type: Literal["read_write", "read_only"]
    current_state: str
    disabled: bool = False


@dataclass(frozen=True)
class Role:
    """A Postgres role of a branch; `protected` ones belong to Neon."""

    name: str
    protected: bool = False


@dataclass(frozen=True)
class Database:
    """A database of a branch and the role that owns it."""

    name: str
    owner_name: str


@dataclass(frozen=True)
class Operation:
    """Work that the API does after it has answered; a branch is usable when all of its operations ended well."""

    id: str
    project_id: str
    action: str
    status: str
    branch_id: str | None = None
    endpoint_id: str | None = None
    error: str | None = None

    @property
    def ended_well(self) -> bool:
        return self.status in GOOD_ENDS

    @property
    def ended_badly(self) -> bool:
        return self.status in BAD_ENDS


Access = Literal["read-only", "read-write"]
"""What the guard lets an agent do on a branch."""
