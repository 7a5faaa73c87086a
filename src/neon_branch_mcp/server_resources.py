"""Resources: what a person attaches to a conversation, and completions for branch names.

A resource is read by calling the tool that says the same, so rights, audit, time-outs and errors are the tool's own.
"""

import json
from collections.abc import Callable, Collection, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolResult,
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
    TextContent,
)

from .errors import NotFound
from .tools.wire import HANDSHAKES

Json = dict[str, Any]
MAX_COMPLETIONS = 100
RESOURCE_NOT_FOUND = -32002
"""The code of the handshake's versions; from 2026-07-28 on it is that of wrong parameters."""
NOT_FOUND = f"[{NotFound.code}]"

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
    served = [spec for spec in RESOURCES if spec.tool in tools]
    for spec in served:
        server.resource(
            spec.uri, name=spec.name, title=spec.title, description=spec.description, mime_type=spec.mime_type
        )(_reader(server, spec))
    server.middleware.append(_not_found([spec.uri for spec in served]))
    server.completion()(_completer(server, known="list_branches" in tools))  # type: ignore[no-untyped-call]  # the SDK left it without types


def _not_found(uris: Sequence[str]) -> ServerMiddleware[Any]:
    """Middleware: what is not there is told with the code of the request's version, and with what there is."""

    async def tell(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        try:
            return await call_next(ctx)
        except MCPError as exc:
            # The SDK says the address beside what it did not find, and beside nothing else that is wrong with the parameters.
            asked = exc.data.get("uri") if isinstance(exc.data, dict) else None
            if ctx.method != "resources/read" or exc.code != INVALID_PARAMS or asked is None:
                raise
            code = RESOURCE_NOT_FOUND if ctx.protocol_version in HANDSHAKES else INVALID_PARAMS
            here = f"There is no resource {asked[:200]!r}. Resources here: {', '.join(uris) or 'none'}."
            raise MCPError(code, exc.message if _is_missing(exc.message) else here, exc.data) from None

    return tell


def _is_missing(message: str) -> bool:
    """Whether it is a tool's text about what is not there: it knows better than the address what is missing."""
    return message.startswith(NOT_FOUND)


def _reader(server: MCPServer, spec: ResourceSpec) -> Callable[..., Any]:
    async def read_all() -> str:
        return spec.show(await _call(server, spec.tool, {}))

    async def read_branch(branch: str) -> str:
        if not branch:  # to the tool, that would be the default branch
            raise ResourceNotFoundError(spec.uri)
        return spec.show(await _call(server, spec.tool, {"branch": branch}))

    return read_branch if "{branch}" in spec.uri else read_all


def _completer(server: MCPServer, *, known: bool) -> Callable[..., Any]:
    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion | None:
        prompts = [prompt.name for prompt in await server.list_prompts()]
        if isinstance(ref, PromptReference) and ref.name not in prompts:
            raise MCPError(INVALID_PARAMS, f"There is no prompt {ref.name[:80]!r}. Prompts here: {', '.join(prompts)}.")
        if argument.name != "branch" or not known:
            return None
        try:
            branches = (await _call(server, "list_branches", {}))["branches"]
        except ResourceError as exc:  # the SDK would log it as a bug of ours
            raise MCPError(INTERNAL_ERROR, str(exc)) from None
        names = [b["name"] for b in branches if b["name"].lower().startswith(argument.value.lower())]
        return Completion(values=names[:MAX_COMPLETIONS], total=len(names), has_more=len(names) > MAX_COMPLETIONS)

    return complete


async def _call(server: MCPServer, tool: str, arguments: Json) -> Json:
    """The structured result of a tool. Raises ResourceError with the tool's own text."""
    context: Context[Any, Any] = Context(request_context=_request.get(), mcp_server=server)
    answer = await server.call_tool(tool, arguments, context)
    if not isinstance(answer, CallToolResult) or answer.is_error or answer.structured_content is None:
        text = "\n".join(c.text for c in getattr(answer, "content", ()) if isinstance(c, TextContent))
        raise (ResourceNotFoundError if _is_missing(text) else ResourceError)(text)
    structured: Json = answer.structured_content
    return structured
