"""ToolSpec → MCP tool, through one function: arguments → caller's rights → audit → run → result or error as text.

Everything an agent does passes `ServedTool.run`. It is the one place where our errors become what a model reads.
"""

import json
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import func_metadata
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import PrivateAttr, TypeAdapter, ValidationError

from . import __version__
from .app import App, Caller
from .audit import Outcome, Token
from .config import Config
from .errors import AuthError, InternalError, NeonBranchError, Refused, SqlError, TimedOut
from .server_apps import view_extension, view_meta
from .server_prompts import served_prompts
from .server_resources import add_resources, remember_request
from .tools.catalogue import TOOLS
from .tools.context import ToolContext
from .tools.schemas import input_schema, output_schema
from .tools.spec import ToolSpec, hints
from .tracing import is_traced

log = logging.getLogger(__name__)

INSTRUCTIONS = (
    "Neon database branches for agents. The default branch is read-only: create_branch first, work there "
    "(run_sql, apply_migration), verify, hand over get_connection_string, delete_branch at the end."
)

CallerOf = Callable[[Context[Any, Any]], Caller]
"""Who makes a request; the transport knows."""


class ServedTool(Tool):
    """An SDK tool that runs a ToolSpec. Results carry text and structured content, each complete; errors carry text only."""

    _spec: ToolSpec = PrivateAttr()
    _app: App = PrivateAttr()
    _caller_of: CallerOf = PrivateAttr()
    _result: TypeAdapter[Any] = PrivateAttr()

    @classmethod
    def serve(cls, spec: ToolSpec, app: App, caller_of: CallerOf) -> "ServedTool":
        """The tool for one row of the table."""
        metadata = func_metadata(spec.run, skip_names=["ctx"], structured_output=False)
        metadata.arg_model.model_config["extra"] = "forbid"
        metadata.arg_model.model_rebuild(force=True)
        result = spec.run.__annotations__["return"]
        metadata.output_schema = output_schema(result)
        hint = hints(spec, app.config.policy)
        tool = cls(
            fn=spec.run,
            name=spec.name,
            title=spec.title,
            description=_description(spec),
            parameters=input_schema(metadata.arg_model.model_json_schema()),
            fn_metadata=metadata,
            is_async=True,
            annotations=ToolAnnotations(
                read_only_hint=hint.read_only,
                destructive_hint=hint.destructive,
                idempotent_hint=hint.idempotent,
                open_world_hint=hint.open_world,
            ),
            meta=view_meta() if spec.page else None,
        )
        tool._spec, tool._app, tool._caller_of, tool._result = spec, app, caller_of, TypeAdapter(result)
        return tool

    async def run(
        self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False
    ) -> CallToolResult:
        """One call, from raw arguments to what the client gets. Raises nothing but cancellation."""
        caller = self._caller_of(context)
        ctx = ToolContext(self._app, caller, self.name, _progress(context))
        started = time.monotonic()
        try:
            caller.check_tool(self.name, writes=self._spec.writes)
            result = await self._run_in_time(ctx, self._arguments(arguments))
        except NeonBranchError as exc:
            error = exc
            if isinstance(exc, AuthError):
                self._app.on_refused(caller)
        except anyio.get_cancelled_exc_class():
            await self._record(ctx, Outcome("cancelled"), started)
            raise
        except Exception:
            error = InternalError(uuid.uuid4().hex[:12])
            log.exception("Internal error %s in %s", error.error_id, self.name)
        else:
            await self._record(ctx, Outcome(rows=ctx.facts.rows), started)
            return self._answer(result)
        await self._record(ctx, _outcome(error), started)
        return CallToolResult(content=[TextContent(type="text", text=error.render())], is_error=True)

    async def _record(self, ctx: ToolContext, outcome: Outcome, started: float) -> None:
        token = ctx.facts.begun or Token(uuid.uuid4().hex[:12], ctx.entry("read"), started, recorded=False)
        await self._app.audit.end(token, outcome)

    async def _run_in_time(self, ctx: ToolContext, values: dict[str, Any]) -> Any:
        limit = self._app.config.sql.call_timeout
        with anyio.move_on_after(limit) as scope:
            return await self._spec.run(ctx, **values)
        if scope.cancelled_caught:
            raise TimedOut(f"{self.name} did not end within {limit:g} s (sql.call_timeout) and was cancelled.")
        raise AssertionError("unreachable: the scope ends by returning, raising or being cancelled")

    def _arguments(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The typed arguments. Raises Refused naming what is wrong, without repeating values."""
        try:
            return self.fn_metadata.validate_arguments(arguments)
        except ValidationError as exc:
            known = ", ".join(self.fn_metadata.arg_model.model_fields)
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc']))}: "
                + ("unknown argument" if e["type"] == "extra_forbidden" else e["msg"].lower())
                for e in exc.errors(include_url=False, include_input=False)
            )
            raise Refused(
                f"{self.name} was not run: {problems}.", rule="arguments", remedy=f"Its arguments are: {known}."
            ) from None

    def _answer(self, result: Any) -> CallToolResult:
        # What has its default says nothing: it would only cost the model tokens.
        structured = self._result.dump_python(result, mode="json", exclude_defaults=True)
        text = (
            self._spec.text(result)
            if self._spec.text
            else json.dumps(structured, ensure_ascii=False, separators=(",", ":"))
        )
        return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=structured)


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


def _outcome(error: NeonBranchError) -> Outcome:
    return Outcome(
        result=error.code,
        rule=error.rule if isinstance(error, Refused) else "",
        sqlstate=(error.fields.sqlstate or "") if isinstance(error, SqlError) else "",
    )


def _description(spec: ToolSpec) -> str:
    return " ".join((spec.run.__doc__ or "").split())


def _progress(context: Context[Any, Any]) -> Callable[[str], Any]:
    count = 0

    async def report(message: str) -> None:
        nonlocal count
        count += 1
        await context.report_progress(count, message=message)

    return report


def session_caller(base: Caller) -> CallerOf:
    """For a transport with one caller (stdio): `base`, with the client's name once it is known."""

    def caller_of(context: Context[Any, Any]) -> Caller:
        params = context.session.client_params
        client = f"{params.client_info.name} {params.client_info.version}" if params else base.client
        return replace(base, client=client)

    return caller_of


def served_tools(config: Config) -> list[ToolSpec]:
    """The rows this server offers: the groups that are asked for, and what reads where it is look-only. list_projects goes where a
    project is pinned.
    """
    policy, pinned = config.policy, config.neon.project_id is not None
    return [
        spec
        for spec in TOOLS
        if (not policy.tools or spec.group in policy.tools)
        and not (policy.look_only and spec.writes)
        and not (pinned and spec.group == "projects")
    ]


def _where_traced(middleware: ServerMiddleware[Any]) -> ServerMiddleware[Any]:
    """The SDK's middleware for spans, passed by where nobody records them."""

    async def traced(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        return await (middleware(ctx, call_next) if is_traced() else call_next(ctx))

    return traced


def build_server(app: App, caller_of: CallerOf) -> MCPServer:
    """The MCP server over `app`; nothing is opened until a tool is called."""
    served = served_tools(app.config)
    names = [spec.name for spec in served]
    server = MCPServer(
        name="neon-branch-mcp",
        title="Neon branches",
        version=__version__,
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
        {spec.name: partial(ServedTool.serve, spec, app, caller_of) for spec in served}
    )
    for prompt in served_prompts(names):
        server.add_prompt(prompt)
    add_resources(server, names)
    return server
