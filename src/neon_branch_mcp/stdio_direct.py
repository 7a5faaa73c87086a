"""The stdio transport without the SDK: tool calls are run as they arrive, the first answers come from the snapshot.

Importing the SDK takes longer than everything else a first call waits for, and half of the memory; agents over stdio ask for little but
tools. What is not plainly a call of a tool, nor in the snapshot (a prompt, a resource, a completion, a mistake), starts the SDK's server
beside this loop, which is told of the handshake that was answered for it and then gets all such messages.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from pydantic_core import to_json

from .app import App, Caller
from .front import Handover, Snapshot
from .stdio_pipe import OnceAnswered, Output, Unreadable, lines_of, read_message
from .tools.runner import ToolRunners, counted
from .tools.wire import ToolCall, answered, client_name, names_itself, progressed, tool_call
from .tracing import is_traced

if TYPE_CHECKING:
    from mcp.server import MCPServer

log = logging.getLogger(__name__)

GRACE = 10.0
"""Seconds that calls get to end once the client has closed its end and still reads: a script may pipe in all it asks at once."""
LOOK = 0.2
LAST = 5.0
"""Seconds until what is left then is let go: the client may hold its end open and read nothing."""
CONNECTION_CLOSED = -32000
"""The SDK's code for a request whose connection ended first."""

BuildServer = Callable[[App, Caller], "MCPServer"]
"""Imports the SDK and builds its server; called in a thread, when it is needed."""


async def serve_direct(app: App, handover: Handover, snapshot: Snapshot, build: BuildServer) -> None:
    """Serve until the client closes its end, and the calls that run then have ended or had their time."""
    try:
        await _Conversation(app, handover, snapshot, build).serve()
    except* BrokenPipeError:
        log.info("The client is gone.")


class _Conversation:
    """One client at the other end of the pipe."""

    def __init__(self, app: App, handover: Handover, snapshot: Snapshot, build: BuildServer) -> None:
        self._app = app
        self._handover = handover
        self._snapshot = snapshot
        self._build = build
        self._output = Output(handover.output_fd)
        self._runners = ToolRunners(app)
        self._caller = Caller()
        self._greeting: dict[str, str] = {}
        self._greeting_ids: frozenset[Any] = frozenset()
        self._running: dict[Any, anyio.CancelScope] = {}
        self._asked: set[Any] = set()
        self._ended = anyio.Event()
        self._sdk: MemoryObjectSendStream[str] | None = None

    async def serve(self) -> None:
        async with anyio.create_task_group() as tasks:
            async for line in lines_of(self._handover):
                if not line.strip():
                    continue
                message = read_message(line)
                if isinstance(message, Unreadable):
                    await self._output.write(message.text())
                else:
                    await self._take(message, line, tasks)
            await self._drain()
            if self._sdk is not None:
                self._sdk.close()
            for scope in self._running.values():
                scope.cancel()
            tasks.cancel_scope.deadline = anyio.current_time() + LAST

    async def _take(self, message: dict[str, Any], line: bytes, tasks: anyio.abc.TaskGroup) -> None:
        method = message.get("method")
        if method == "notifications/cancelled" and self._cancel(message):
            return
        call = tool_call(message, self._runners)
        if call is not None and (call.client is not None or self._greeting) and not is_traced():
            scope = self._running[call.id] = anyio.CancelScope()
            tasks.start_soon(self._call, call, scope)
            return
        if method == "initialize" and message.get("id") in self._handover.answered:
            self._greet(message, line)
        elif self._sdk is None and (answer := self._snapshot.line(message)) is not None:
            if method == "initialize":
                self._greet(message, line)
            await self._output.write_bytes(answer)
        else:
            self._for_sdk(message, line, tasks)

    def _greet(self, message: dict[str, Any], line: bytes) -> None:
        """The client has its answer to `initialize`; what it says of itself is the audit's."""
        self._greeting = {"initialize": line.decode()}
        self._greeting_ids = frozenset({message["id"]})
        info = (message.get("params") or {}).get("clientInfo")
        if names_itself(info):
            self._caller = replace(self._caller, client=client_name(info))

    def _for_sdk(self, message: dict[str, Any], line: bytes, tasks: anyio.abc.TaskGroup) -> None:
        """Hand a message to the SDK's server. A notification starts none: it is kept where the handshake needs it, else it is nothing."""
        method, number = message.get("method"), message.get("id")
        start = method is not None and number is not None
        if self._sdk is None and not start:
            if method == "notifications/initialized":
                self._greeting[method] = line.decode()
            return
        if self._sdk is None:
            self._sdk, received = anyio.create_memory_object_stream[str](float("inf"))
            for greeting in self._greeting.values():
                self._sdk.send_nowait(greeting)
            tasks.start_soon(self._serve_sdk, received)
        if start and isinstance(number, str | int):
            self._asked.add(number)
        self._sdk.send_nowait(line.decode())

    async def _serve_sdk(self, received: MemoryObjectReceiveStream[str]) -> None:
        from .stdio import serve_messages  # with the SDK, which is imported in a thread first

        server = await anyio.to_thread.run_sync(self._build, self._app, self._caller)
        async with received:
            await serve_messages(server, received, OnceAnswered(self._output, self._greeting_ids, self._sdk_answered))

    def _sdk_answered(self, number: Any) -> None:
        self._asked.discard(number)
        self._ended.set()

    def _cancel(self, message: dict[str, Any]) -> bool:
        """Whether a call was running that the client gives up. It gets no answer (MCP, "Cancellation")."""
        params = message.get("params")
        asked = params.get("requestId") if isinstance(params, dict) else None
        scope = self._running.pop(asked, None) if isinstance(asked, str | int) else None
        if scope is not None:
            scope.cancel()
        return scope is not None

    async def _call(self, call: ToolCall, scope: anyio.CancelScope) -> None:
        caller = self._caller if call.client is None else replace(self._caller, client=call.client)
        error = {"code": CONNECTION_CLOSED, "message": "Connection closed"}
        line = to_json({"jsonrpc": "2.0", "id": call.id, "error": error})
        with scope:
            line = answered(
                call, await self._runners[call.tool].run(call.arguments, caller, counted(self._report_to(call)))
            )
        if self._running.get(call.id) is scope:  # else the client gave it up
            await self._output.write_bytes(line + b"\n")
            self._running.pop(call.id, None)
            self._ended.set()

    def _report_to(self, call: ToolCall) -> Callable[[int, str], Any]:
        async def report(count: int, message: str) -> None:
            if call.progress_token is not None:
                await self._output.write_bytes(progressed(call.progress_token, count, message) + b"\n")

        return report

    async def _drain(self) -> None:
        """Waits for what was asked and is not answered, while somebody may read the answers."""
        with anyio.move_on_after(GRACE):
            while (self._running or self._asked) and self._output.has_reader():
                with anyio.move_on_after(LOOK):
                    await self._ended.wait()
                self._ended = anyio.Event()
