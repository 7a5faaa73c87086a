"""The tools as the SDK's: what it lists of each, and its calls handed to `ToolRunner.run`, where everything an agent does passes."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import PrivateAttr
from pydantic_core import from_json

from .app import App, Caller
from .config import PolicyConfig
from .server_apps import view_extension, view_meta
from .server_prompts import checked, served_prompts
from .server_resources import add_resources, remember_request
from .tools.runner import ToolRunner, ToolRunners, counted
from .tools.schemas import input_schema, output_schema
from .tools.spec import ToolSpec, hints
from .tools.wire import SERVER_INFO, client_name
from .tracing import is_traced

INSTRUCTIONS = (
    "Neon database branches for agents. The default branch is read-only: create_branch first, work there "
    "(run_sql, apply_migration), verify, hand over get_connection_string, delete_branch at the end."
)

CallerOf = Callable[[Context[Any, Any]], Caller]
"""Who makes a request; the transport knows."""


class ServedTool(Tool):
    """An SDK tool that runs a ToolSpec. Results carry text and structured content, each complete; errors carry text only."""

    _runner: ToolRunner = PrivateAttr()
    _caller_of: CallerOf = PrivateAttr()

    @classmethod
    def serve(cls, runner: ToolRunner, policy: PolicyConfig, caller_of: CallerOf) -> "ServedTool":
        """The tool for one row of the table. Its arguments are the runner's to check: the SDK passes over unknown ones."""
        spec, hint = runner.spec, hints(runner.spec, policy)
        tool = cls(
            fn=spec.run,
            name=spec.name,
            title=spec.title,
            description=_description(spec),
            parameters=input_schema(runner.arguments.model_json_schema()),
            fn_metadata=FuncMetadata(
                arg_model=ArgModelBase, output_schema=output_schema(spec.run.__annotations__["return"])
            ),
            is_async=True,
            annotations=ToolAnnotations(
                read_only_hint=hint.read_only,
                destructive_hint=hint.destructive,
                idempotent_hint=hint.idempotent,
                open_world_hint=hint.open_world,
            ),
            meta=view_meta() if spec.page else None,
        )
        tool._runner, tool._caller_of = runner, caller_of
        return tool

    async def run(
        self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False
    ) -> CallToolResult:
        """One call, from raw arguments to what the client gets. Raises nothing but cancellation."""
        answer = await self._runner.run(arguments, self._caller_of(context), counted(partial(_report, context)))
        return CallToolResult(
            content=[TextContent(type="text", text=answer.text)],
            structured_content=None if answer.structured is None else from_json(answer.structured),
            is_error=answer.is_error,
        )


class ToolTable(dict[str, Any]):
    """Tools by name, each made when it is first asked for: making all of them is a tenth of a server's start."""

    def __init__(self, makers: Mapping[str, Callable[[], Tool]]) -> None:
        super().__init__(dict.fromkeys(makers))
        self._makers = makers

    def get(self, name: str, default: Any = None) -> Any:
        """The tool of that name."""
        if name in self and self[name] is None:
            self[name] = self._makers[name]()
        return super().get(name, default)

    def values(self) -> Any:
        """All of them, in the order of the table."""
        for name in self:
            self.get(name)
        return super().values()


def _description(spec: ToolSpec) -> str:
    return " ".join((spec.run.__doc__ or "").split())


async def _report(context: Context[Any, Any], count: int, message: str) -> None:
    await context.report_progress(count, message=message)


def session_caller(base: Caller) -> CallerOf:
    """For a transport with one caller (stdio): `base`, with the client's name once it is known."""

    def caller_of(context: Context[Any, Any]) -> Caller:
        params = context.session.client_params
        return replace(base, client=client_name(params.client_info.model_dump()) if params else base.client)

    return caller_of


def _where_traced(middleware: ServerMiddleware[Any]) -> ServerMiddleware[Any]:
    """The SDK's middleware for spans, passed by where nobody records them."""

    async def traced(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        return await (middleware(ctx, call_next) if is_traced() else call_next(ctx))

    return traced


def build_server(app: App, caller_of: CallerOf) -> MCPServer:
    """The MCP server over `app`; nothing is opened until a tool is called."""
    served = ToolRunners(app)
    names = list(served)
    server = MCPServer(
        name=SERVER_INFO["name"],
        title=SERVER_INFO["title"],
        version=SERVER_INFO["version"],
        instructions=INSTRUCTIONS,
        extensions=[view_extension()],
        middleware=[remember_request],
        subscriptions=False,
        log_level="WARNING",
    )
    spans, *others = server.middleware  # the SDK's own is the outermost
    server.middleware[:] = [_where_traced(spans), *others]
    # The SDK takes tools that are made; its manager looks them up in this table.
    server._tool_manager._tools = ToolTable(
        {name: partial(ServedTool.serve, runner, app.config.policy, caller_of) for name, runner in served.items()}
    )
    for prompt in served_prompts(names):
        server.add_prompt(prompt)
    server.middleware.append(checked(server))
    add_resources(server, names)
    return server
