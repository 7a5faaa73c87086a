"""Tool calls of a client of the handshake's versions, answered where they arrive.

The SDK's stateless transport makes a connection for each request: three tasks and three streams, which cost more than most calls. What is
not plainly such a call goes to the SDK's transport, which also words every complaint about its form.
"""

from pydantic_core import from_json
from starlette.types import Scope

from ..app import App, Caller
from ..tools.runner import Answer, ToolRunners, unheard
from ..tools.wire import HANDSHAKES, ToolCall, answered, tool_call
from ..tracing import is_traced
from .callers import CallerLimits

_JSON = b"application/json"


class DirectCalls:
    """The tools of an application, called within the limits of each caller."""

    def __init__(self, app: App, limits: CallerLimits) -> None:
        self._runners = ToolRunners(app)
        self._limits = limits

    def read(self, scope: Scope, body: bytes) -> ToolCall | None:
        """The call in a request; None for anything else."""
        if is_traced() or not _is_plain(scope):
            return None
        try:
            message = from_json(body)
        except ValueError:
            return None
        call = tool_call(message, self._runners) if isinstance(message, dict) else None
        return None if call is None or call.client is not None else call

    async def answer(self, call: ToolCall, caller: Caller) -> bytes:
        """The JSON-RPC response. Raises nothing but cancellation."""

        async def run() -> Answer:
            # A JSON answer has no room for progress; who wants to hear of it is answered with a stream.
            return await self._runners[call.tool].run(call.arguments, caller, unheard)

        return answered(call, await self._limits.bounded(caller, call.tool, run, Answer, _error_text))


def _is_plain(scope: Scope) -> bool:
    """Whether the headers are those of a client of the handshake's versions that takes JSON."""
    versions, takes_json = [], False
    for name, value in scope["headers"]:
        if name == b"mcp-protocol-version":
            versions.append(value.decode("latin-1"))
        elif name == b"accept":
            takes_json = takes_json or any(part.partition(b";")[0].strip() == _JSON for part in value.split(b","))
    return takes_json and len(versions) <= 1 and HANDSHAKES.issuperset(versions)


def _error_text(answer: Answer) -> str | None:
    return answer.text if answer.is_error else None
