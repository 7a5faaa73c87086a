"""Resources: what a person attaches to a conversation, and completions for branch names.

A resource is read by calling the tool that says the same, so rights, audit, time-outs and errors are the tool's own.
"""

import json
from collections.abc import Callable, Collection
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp_types import (
    CallToolResult,
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
    TextContent,
)

Json = dict[str, Any]
MAX_COMPLETIONS = 100

_request: ContextVar[ServerRequestContext[Any, Any]] = ContextVar("request")


async def remember_request(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware: the SDK gives resources without variables, and completions, no request, but who asks decides what they see."""
    token = _request.set(ctx)
    try:
        return await call_next(ctx)
    finally:
        _request.reset(token)


@dataclass(frozen=True)
class ResourceSpec:
    """A resource that shows a part of a tool's result; `{branch}` in the URI becomes the tool's argument."""

    uri: str
    name: str
    title: str
    description: str
    tool: str
    mime_type: str
    show: Callable[[Json], str]


def _json(part: Any) -> str:
    return json.dumps(part, ensure_ascii=False, indent=1)


RESOURCES = (
    ResourceSpec(
        "neon://branches",
        "branches",
        "Branches",
        "The branches of the project: which is the default, which may be written, which expire when.",
        "list_branches",
        "application/json",
        lambda result: _json(result["branches"]),
    ),
    ResourceSpec(
        "neon://branches/{branch}/schema",
        "branch-schema",
        "Schema of a branch",
        "Tables, columns, keys, indexes and views of a branch, by its id or name.",
        "describe_schema",
        "text/plain",
        lambda result: str(result["schema"]),
    ),
    ResourceSpec(
        "neon://branches/{branch}/migrations",
        "branch-migrations",
        "Migrations of a branch",
        "The migrations that were applied on a branch, in order.",
        "describe_branch",
        "application/json",
        lambda result: _json(result["migrations"]),
    ),
)


def add_resources(server: MCPServer, tools: Collection[str]) -> None:
    """Add the resources whose tools are served, and the completion of branch names."""
    for spec in RESOURCES:
        if spec.tool in tools:
            server.resource(
                spec.uri, name=spec.name, title=spec.title, description=spec.description, mime_type=spec.mime_type
            )(_reader(server, spec))
    server.completion()(_completer(server, known="list_branches" in tools))  # type: ignore[no-untyped-call]  # the SDK left it without types


def _reader(server: MCPServer, spec: ResourceSpec) -> Callable[..., Any]:
    async def read_all() -> str:
        return spec.show(await _call(server, spec.tool, {}))

    async def read_branch(branch: str) -> str:
        return spec.show(await _call(server, spec.tool, {"branch": branch}))

    return read_branch if "{branch}" in spec.uri else read_all


def _completer(server: MCPServer, *, known: bool) -> Callable[..., Any]:
    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion | None:
        if argument.name != "branch" or not known:
            return None
        branches = (await _call(server, "list_branches", {}))["branches"]
        names = [b["name"] for b in branches if b["name"].lower().startswith(argument.value.lower())]
        return Completion(values=names[:MAX_COMPLETIONS], total=len(names), has_more=len(names) > MAX_COMPLETIONS)

    return complete


async def _call(server: MCPServer, tool: str, arguments: Json) -> Json:
    """The structured result of a tool. Raises ResourceError with the tool's own text."""
    context: Context[Any, Any] = Context(request_context=_request.get(), mcp_server=server)
    answer = await server.call_tool(tool, arguments, context)
    if not isinstance(answer, CallToolResult) or answer.is_error or answer.structured_content is None:
        text = "\n".join(c.text for c in getattr(answer, "content", ()) if isinstance(c, TextContent))
        raise (ResourceNotFoundError if text.startswith("[not_found]") else ResourceError)(text)
    structured: Json = answer.structured_content
    return structured
