"""A refusal of the control plane, as Neon's API would word it."""

from ..errors import NeonBranchError

BUSY = "project already has running conflicting operations, scheduling of new ones is prohibited"


class Problem(NeonBranchError):
    """An answer that is not a success: HTTP status, Neon's `code` (often empty) and message."""

    code = "api"

    def __init__(self, status: int, message: str, api_code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.api_code = api_code


class DiskFull(Problem):
    """There is no room for what was asked; nothing was kept of it."""

    def __init__(self) -> None:
        super().__init__(
            500,
            "the disk of the data directory is full: nothing was kept of this; free some space, delete branches, or move it",
        )


def not_found(what: str) -> Problem:
    return Problem(404, f"{what} not found")


def busy() -> Problem:
    """Nothing was done; the caller tries again."""
    return Problem(423, BUSY)
