"""Branches as results show them: the few facts an agent needs, under names that clients rely on."""

from dataclasses import dataclass

from ..guard.policy import BranchAccess
from ..models import Access, Branch


@dataclass(frozen=True)
class BranchView:
    """A branch in a result. `access` is what the guard lets an agent do there; `parent` is the parent's id."""

    id: str
    name: str
    parent: str | None
    default: bool
    protected: bool
    access: Access
    created_by_us: bool
    expires_at: str | None


def branch_view(branch: Branch, access: BranchAccess, created_by_us: bool) -> BranchView:
    """The result's form of a branch."""
    return BranchView(
        id=branch.id,
        name=branch.name,
        parent=branch.parent_id,
        default=branch.default,
        protected=branch.protected,
        access=access.access,
        created_by_us=created_by_us,
        expires_at=branch.expires_at,
    )
