"""What the control plane's changing calls take and answer with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .store import BranchRow, EndpointRow, OperationRow, ProjectRow, RoleRow

InitSource = Literal["parent-data", "schema-only"]


@dataclass(frozen=True)
class Changed:
    """What a mutating call answers with."""

    operations: Sequence[OperationRow]
    project: ProjectRow | None = None
    branch: BranchRow | None = None
    endpoints: Sequence[EndpointRow] = ()
    roles: Sequence[RoleRow] = ()
    role: RoleRow | None = None
    job_id: str = ""


@dataclass(frozen=True)
class NewBranch:
    """What a caller asks for in a new branch; None where it was left out."""

    name: str | None = None
    parent_id: str | None = None
    parent_lsn: str | None = None
    parent_timestamp: float | None = None
    protected: bool = False
    init_source: InitSource = "parent-data"
    expires_at: float | None = None
    compute: bool = True
    compute_settings: Mapping[str, Any] | None = None
    annotation: Mapping[str, str] | None = None
