"""A tool is a coroutine plus one row: `ToolSpec`. Schemas, annotations, the README's table and the guard's view all come from it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from ..config import PolicyConfig, ToolGroup

Effect = Literal["read", "create", "secret", "write", "destroy"]
"""What a tool may do: read; add a branch; hand out a secret; change data on a branch; delete or reset a branch."""


@dataclass(frozen=True)
class ToolSpec:
    """One row of the tool table. `text` turns a result into what a person or a text-only host reads; None means compact JSON.

    `page`: hosts that show MCP Apps may show the result as a page.
    """

    run: Callable[..., Awaitable[Any]]
    title: str
    effect: Effect
    group: ToolGroup
    text: Callable[[Any], str] | None = None
    page: bool = False

    @property
    def name(self) -> str:
        return self.run.__name__

    @property
    def writes(self) -> bool:
        """Whether a read-only session may not call it."""
        return self.effect != "read"


@dataclass(frozen=True)
class Hints:
    """The annotations of a tool, in the words of the MCP specification."""

    read_only: bool
    destructive: bool
    idempotent: bool
    open_world: bool = False


def hints(spec: ToolSpec, policy: PolicyConfig) -> Hints:
    """What clients are told. Where only branches of our own may be written, nothing but disposable copies can be destroyed."""
    if spec.effect == "read":
        return Hints(read_only=True, destructive=False, idempotent=True)
    if spec.effect == "write":
        return Hints(read_only=False, destructive=policy.write != "own", idempotent=False)
    return Hints(read_only=False, destructive=spec.effect == "destroy", idempotent=spec.effect == "secret")


ProjectId = Annotated[str | None, Field(description="Project id, where there are several.")]
BranchName = Annotated[str, Field(description="Branch, by id or name.")]
MaybeBranch = Annotated[
    str | None, Field(description="Branch, by id or name; default: the default branch (read-only).")
]
DatabaseName = Annotated[str | None, Field(description="Database, where there are several.")]
Sql = Annotated[str, Field(description="The SQL text.")]
Params = Annotated[list[Any] | None, Field(description="Values for $1, $2, … in the SQL.")]
MaxRows = Annotated[int | None, Field(ge=1, le=10_000, description="Most rows to return, 1 to 10000; default 100.")]
