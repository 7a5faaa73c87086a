"""Which database of which branch, and how to log in there."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ..config import Secret
from ..models import Access


@dataclass(frozen=True)
class Target:
    """One database of one branch.

    `conninfo` is a libpq URI of the direct (not pooled) endpoint. `owner` names the caller whose credential opened it: connections are
    never shared between owners. `renew` is given the `conninfo` whose login was refused, and gives the one that holds now.
    """

    project_id: str
    branch_id: str
    branch_name: str
    database: str
    access: Access
    conninfo: Secret
    owner: str = ""
    renew: Callable[[Secret], Awaitable[Secret]] | None = field(default=None, compare=False, repr=False)
