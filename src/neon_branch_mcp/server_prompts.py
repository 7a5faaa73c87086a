"""Prompts: the journeys that a person can start by name in a client that shows prompts."""

from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.mcpserver.prompts import Prompt
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS
from mcp_types import Prompt as ListedPrompt
from pydantic import Field

CHECKS = '[{"name": "…", "base_sql": "SELECT … as it was", "branch_sql": "SELECT … the same rows, as they are now"}]'


def refactor_schema(
    goal: Annotated[str, Field(description="What the schema should become.")],
    branch: Annotated[str, Field(description="A branch to work on; left out: a new one.")] = "",
) -> str:
    """Change a database schema safely: on a branch, with proof that no record is lost."""
    place = (
        f'1. Work on the branch "{branch}": describe_branch tells what it is and which migrations it has.'
        if branch
        else "1. create_branch with a name that says what it is for. Do all work there; the default branch is read-only."
    )
    return f"""Refactor the database schema: {goal}

{place}
2. describe_schema on the branch. Look at the data that will move with query: how many rows, NULLs, duplicates, odd values.
3. Write one migration script. apply_migration with dry_run=true and read the report: locks, rewrites and scans say what production would
   feel, data_loss says what is gone, advice says what would be better. Improve it, then apply it without dry_run.
4. verify_migration on the branch. Give it a check for data that changed its place: checks={CHECKS}.
   Go on only when the verdict is "preserved", or when you can say why each "lost" or "unproven" is meant.
5. compare_schema on the branch: is this the change that was asked for, and nothing else?
6. get_connection_string for the branch, and run the app's tests with it as DATABASE_URL. Write it into no file that is committed.
7. Report: the script, the migration report in a few lines, the verdict, the schema difference. The script belongs in the repository's
   migrations. Ask before delete_branch; it is right once the pull request is merged.
"""


def review_branch(branch: Annotated[str, Field(description="The branch to review, by id or name.")]) -> str:
    """Review what was done on a branch before it goes to production."""
    return f"""Review the database branch "{branch}" as if its migrations were to run in production next. Change nothing.

1. describe_branch: which migrations were applied, what is the parent, when does it expire.
2. compare_schema with its parent: every object that was added, removed or changed. Is each one meant? Missing: indexes on foreign keys,
   NOT NULL, constraints, comments?
3. verify_migration: which rows did not survive, and is that meant?
4. explain_sql for the queries that the change touches, on the branch and on its parent.
5. Say in this order: what changes, what production will feel (locks, rewrites, time), what data is lost or unproven, what you would
   change before merging. Quote names and numbers from the results.
"""


def clean_up_branches() -> str:
    """Find branches that nobody needs any more, and delete those that are agreed."""
    return """Clean up the branches of this database project.

1. list_branches. Leave out the default branch, protected ones, and those with created_by_us false: they are not yours to delete.
2. For each of the rest: describe_branch. Say its age, when it expires, its migrations, and whether its schema still differs from its
   parent's.
3. Show the list with a recommendation each (delete / keep, and why), and ask which to delete.
4. delete_branch for those that were agreed, one at a time; then list_branches again and report what is left.
"""


NEEDS: tuple[tuple[Callable[..., str], str, frozenset[str]], ...] = (
    (
        refactor_schema,
        "Refactor the schema",
        frozenset({"create_branch", "describe_schema", "query", "apply_migration"}),
    ),
    (review_branch, "Review a branch", frozenset({"describe_branch", "compare_schema", "explain_sql"})),
    (clean_up_branches, "Clean up branches", frozenset({"list_branches", "describe_branch", "delete_branch"})),
)
"""Each prompt with its title and the tools without which it would lead nowhere."""


def served_prompts(tools: Collection[str]) -> list[Prompt]:
    """The prompts that make sense with these tools."""
    return [
        Prompt.from_function(run, title=title, description=" ".join((run.__doc__ or "").split()))
        for run, title, needed in NEEDS
        if needed <= set(tools)
    ]


def checked(server: MCPServer) -> ServerMiddleware[Any]:
    """Middleware: a request for a prompt that the server has not, or with other arguments than it has, is answered with those that there
    are (MCP, "Prompts": invalid params). The SDK takes it for a failure of ours.
    """

    async def check(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.method == "prompts/get" and ctx.request_id is not None:
            fault = _fault({prompt.name: prompt for prompt in await server.list_prompts()}, ctx.params or {})
            if fault is not None:
                raise MCPError(INVALID_PARAMS, fault)
        return await call_next(ctx)

    return check


def _fault(prompts: Mapping[str, ListedPrompt], params: Mapping[str, Any]) -> str | None:
    """What is wrong with a request for a prompt. Names what was asked for, never a value."""
    name, given = params.get("name"), params.get("arguments")
    prompt = prompts.get(name) if isinstance(name, str) else None
    if prompt is None:
        asked = f"There is no prompt {name[:80]!r}." if isinstance(name, str) else "A prompt is asked for by its name."
        return f"{asked} Prompts here: {', '.join(prompts) or 'none, with the tools that are offered'}."
    arguments = {argument.name: argument for argument in prompt.arguments or ()}
    problem = _problem(arguments, given)
    if problem is None:
        return None
    listed = ", ".join(a.name if a.required else f"{a.name} (optional)" for a in arguments.values())
    return f"The prompt {prompt.name} was not given: {problem}. Its arguments: {listed or 'none'}."


def _problem(arguments: Mapping[str, Any], given: Any) -> str | None:
    if given is None:
        given = {}
    if not isinstance(given, dict):
        return "the arguments must be an object"
    if unknown := [name[:80] for name in given if name not in arguments]:
        return f"unknown argument {unknown[0]!r}"
    if missing := [name for name, argument in arguments.items() if argument.required and name not in given]:
        return f"{missing[0]} is missing"
    if not_text := [name for name, value in given.items() if not isinstance(value, str)]:
        return f"{not_text[0]} must be a text"
    return None
