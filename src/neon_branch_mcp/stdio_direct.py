"""The stdio transport without the SDK: tool calls are run as they arrive, the first answers come from the snapshot.

Importing the SDK takes longer than everything else a first call waits for, and half of the memory; agents over stdio ask for little but
tools. What is not plainly a call of a tool, nor in the snapshot (a prompt, a resource, a completion, a mistake), starts the SDK's server
beside this loop, which is told of the handshake that was answered for it and then gets all such messages. A server of the SDK's serves
a connection in one era of the protocol only, that of its first request. A stateless request says itself of which it is, whatever came
before it, so each era has its own such server.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from pydantic_core import to_json

from .app import App, Caller
from .envelope import STATELESS, is_enveloped, is_id
from .front import Handover, Snapshot
from .stdio_pipe import OnceAnswered, Output, Unreadable, lines_of, read_message
from .tools.runner import ToolRunners, counted
from .tools.wire import ToolCall, answered, client_name, progressed, tool_call
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


@dataclass(eq=False)
class _Running:
    """A call until its answer is written. `given_up`: the client wants no answer."""

    call: ToolCall
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    given_up: bool = False


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
        self._greeted_before = set(handover.answered)
        self._running: set[_Running] = set()
        self._asked: set[Any] = set()
        self._called = False
        self._ended = anyio.Event()
        self._sdk: dict[str, MemoryObjectSendStream[str]] = {}

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
            for stream in self._sdk.values():
                stream.close()
            for running in self._running:
                running.scope.cancel()
            tasks.cancel_scope.deadline = anyio.current_time() + LAST

    async def _take(self, message: dict[str, Any], line: bytes, tasks: anyio.abc.TaskGroup) -> None:
        method = message.get("method")
        if method == "notifications/cancelled" and self._cancel(message):
            return
        call = tool_call(message, self._runners)
        if call is not None and (call.client is not None or self._greeting) and not is_traced():
            if not self._called:  # many sessions call nothing, and need no process for the guard
                self._called = True
                tasks.start_soon(self._app.warm_up)
            running = _Running(call)
            self._running.add(running)
            tasks.start_soon(self._call, running)
            return
        answer = None if self._sdk else self._snapshot.line(message, bool(self._greeting))
        if answer is None:
            self._for_sdk(message, line.decode(), tasks)
            return
        if method == "initialize":
            self._greet(message, line)
            if message["id"] in self._greeted_before:
                self._greeted_before.discard(message["id"])
                return
        await self._output.write_bytes(answer)

    def _greet(self, message: dict[str, Any], line: bytes) -> None:
        """The client has its answer to `initialize`; what it says of itself is the audit's."""
        self._greeting = {"initialize": line.decode()}
        self._greeting_ids = frozenset({message["id"]})
        self._caller = replace(self._caller, client=client_name(message["params"]["clientInfo"]))

    def _for_sdk(self, message: dict[str, Any], line: str, tasks: anyio.abc.TaskGroup) -> None:
        """Hand a message to the SDK's server. A notification starts none: it is kept where the handshake needs it, else it is nothing."""
        method, number = message.get("method"), message.get("id")
        if method is not None and is_id(number):
            era = STATELESS if method != "initialize" and is_enveloped(message.get("params")) else ""
            if era not in self._sdk:
                self._start_sdk(era, tasks)
            self._asked.add(number)
            self._sdk[era].send_nowait(line)
            return
        if method == "notifications/initialized" and "" not in self._sdk:
            self._greeting[method] = line
        for stream in self._sdk.values():
            stream.send_nowait(line)

    def _start_sdk(self, era: str, tasks: anyio.abc.TaskGroup) -> None:
        self._sdk[era], received = anyio.create_memory_object_stream[str](float("inf"))
        answered = frozenset[Any]()
        if era == "":
            answered = self._greeting_ids | self._greeted_before
            for greeting in self._greeting.values():
                self._sdk[era].send_nowait(greeting)
        tasks.start_soon(self._serve_sdk, received, OnceAnswered(self._output, answered, self._sdk_answered))

    async def _serve_sdk(self, received: MemoryObjectReceiveStream[str], output: OnceAnswered) -> None:
        server = await anyio.to_thread.run_sync(self._build, self._app, self._caller)
        from .stdio import serve_messages  # only now: the SDK takes a second to import, which the thread has done

        async with received:
            await serve_messages(server, received, output)

    def _sdk_answered(self, number: Any) -> None:
        self._asked.discard(number)
        self._ended.set()

    def _cancel(self, message: dict[str, Any]) -> bool:
        """Whether a call was running that the client gives up. It gets no answer (MCP, "Cancellation")."""
        params = message.get("params")
        asked = params.get("requestId") if isinstance(params, dict) else None
        if not is_id(asked):
            return False
        self._asked.discard(asked)  # nor does the SDK answer what is given up
        given_up = [running for running in self._running if running.call.id == asked]
        for running in given_up:
            running.given_up = True
            running.scope.cancel()
        return bool(given_up)

    async def _call(self, running: _Running) -> None:
        call = running.call
        caller = self._caller if call.client is None else replace(self._caller, client=call.client)
        error = {"code": CONNECTION_CLOSED, "message": "Connection closed"}
        line = to_json({"jsonrpc": "2.0", "id": call.id, "error": error})
        with running.scope:
            line = answered(
                call, await self._runners[call.tool].run(call.arguments, caller, counted(self._report_to(call)))
            )
        if not running.given_up:
            await self._output.write_bytes(line + b"\n")
        self._running.discard(running)
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
