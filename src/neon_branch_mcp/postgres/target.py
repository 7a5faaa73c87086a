"""Which database of which branch, and how to log in there."""

from dataclasses import dataclass

from ..config import Secret
from ..models import Access


@dataclass(frozen=True)
class Target:
    """One database of one branch.

    `conninfo` is a libpq URI of the direct (not pooled) endpoint. `owner` names the caller whose credential opened it: connections are
    never shared between owners.
    """

    project_id: str
    branch_id: str
    branch_name: str
    database: str
    access: Access
    conninfo: Secret
    owner: str = ""
