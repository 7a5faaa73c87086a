"""Finding a call's rows within a transaction at hand; what is not there, or busy, is refused in Neon's words."""

from .problems import busy, not_found
from .store import BranchRow, EndpointRow, OperationRow, ProjectRow, Transaction


def project_in(tx: Transaction, project_id: str) -> ProjectRow:
    """The project. Raises Problem 404."""
    project = tx.one(ProjectRow, "id = ?", project_id)
    if project is None:
        raise not_found("project")
    return project


def branch_of(tx: Transaction, project_id: str, branch_id: str | None) -> BranchRow:
    """The project's branch of this id, or its default branch. Raises Problem 404."""
    project_in(tx, project_id)
    if branch_id is None:
        found = tx.one(BranchRow, "project_id = ? AND is_default = 1", project_id)
        what = "default branch"
    else:
        found = tx.one(BranchRow, "id = ? AND project_id = ?", branch_id, project_id)
        what = "branch"
    if found is None:
        raise not_found(what)
    return found


def endpoint_in(tx: Transaction, project_id: str, endpoint_id: str) -> EndpointRow:
    """The project's compute of this id. Raises Problem 404."""
    project_in(tx, project_id)
    endpoint = tx.one(EndpointRow, "id = ? AND project_id = ?", endpoint_id, project_id)
    if endpoint is None:
        raise not_found("endpoint")
    return endpoint


def refuse_if_busy(tx: Transaction, project_id: str) -> None:
    """Raises Problem 423 while an operation of the project has not ended: nothing was done."""
    if is_busy(tx, project_id):
        raise busy()


def is_busy(tx: Transaction, project_id: str) -> bool:
    """Whether an operation of the project has not ended."""
    return tx.one(OperationRow, "project_id = ? AND status IN ('scheduling', 'running')", project_id) is not None
