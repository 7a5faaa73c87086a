"""The caller of a request inside the MCP server: which tools it sees, and how many calls it may have running."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context
from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel

from ..app import Caller
from ..config import HttpConfig
from ..errors import LimitExceeded, NotPermitted
from ..tools.catalogue import TOOLS
from ..tools.wire import client_name
from .limits import Gauge, Rate
from .metrics import Metrics

T = TypeVar("T")
SCOPE_KEY = "neon_branch_mcp.caller"
"""Where the door leaves the caller in the ASGI scope."""
SPECS = {spec.name: spec for spec in TOOLS}


def caller_of(context: Context[Any, Any]) -> Caller:
    """Who makes the request: whom the door let in, with the name its client gives itself."""
    caller = _caller(context.request_context.request)
    params = context.session.client_params
    if params is None:
        return caller
    return replace(caller, client=client_name(params.client_info.model_dump()))


def _caller(request: Any) -> Caller:
    caller = request.scope[SCOPE_KEY]
    assert isinstance(caller, Caller)
    return caller


def may_see(caller: Caller, tool: str) -> bool:
    """Whether the caller is shown a tool."""
    spec = SPECS.get(tool)
    if spec is None:
        return True
    if caller.project_id is not None and spec.group == "projects":
        return False
    try:
        caller.check_tool(tool, writes=spec.writes)
    except NotPermitted:
        return False
    return True


class CallerLimits:
    """Middleware of the MCP server: hides the tools a caller may not use, bounds its calls, and counts them.

    A limit is an error result, not an HTTP status: it reaches the model, which can wait.
    """

    def __init__(self, config: HttpConfig, metrics: Metrics) -> None:
        self._running = Gauge(config.max_calls)
        self._rate = Rate(config.calls_per_minute)
        self._metrics = metrics

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """One message of a client."""
        if ctx.method == "tools/call" and ctx.request_id is not None:
            return await self._call(ctx, call_next)
        result = await call_next(ctx)
        if ctx.method == "tools/list" and isinstance(result, dict):
            caller = _caller(ctx.request)
            return {**result, "tools": [tool for tool in result["tools"] if may_see(caller, tool["name"])]}
        return result

    async def _call(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        name = (ctx.params or {}).get("name")
        tool = name if isinstance(name, str) and name in SPECS else "unknown"
        return await self.bounded(_caller(ctx.request), tool, lambda: call_next(ctx), _limited, _error_text)

    async def bounded(
        self,
        caller: Caller,
        tool: str,
        call: Callable[[], Awaitable[T]],
        limited: Callable[[str], T],
        error_text: Callable[[T], str | None],
    ) -> T:
        """What comes of a call of a tool: `limited` of a text where the caller has no room for it. `error_text` tells a failed one."""
        with self._metrics.call(tool) as ended:
            if wait := self._rate.take(caller.identity):
                result = limited(_text(f"This caller's calls a minute are used up; try again in {wait:.0f} s."))
            elif not self._running.enter(caller.identity):
                result = limited(_text(f"{self._running.most} calls of this caller are running; wait for one to end."))
            else:
                try:
                    result = await call()
                finally:
                    self._running.leave(caller.identity)
            ended(error_text(result))
        return result


def _text(message: str) -> str:
    return LimitExceeded(message).render()


def _limited(text: str) -> HandlerResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def _error_text(result: HandlerResult) -> str | None:
    """The text of an error result; the SDK hands middleware what goes on the wire, our own answers are still typed."""
    if isinstance(result, BaseModel):
        result = result.model_dump(by_alias=True, mode="json")
    if not result or not result.get("isError"):
        return None
    return next((block["text"] for block in result["content"] if block["type"] == "text"), "")
