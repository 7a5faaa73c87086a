"""The stdio transport without the SDK: tool calls are run as they arrive, the first answers come from the snapshot.

Importing the SDK takes longer than everything else a first call waits for, and half of the memory; agents over stdio ask for little but
tools. What is not plainly a call of a tool, nor in the snapshot (a prompt, a resource, a completion, a mistake), is for the SDK's server
beside this loop. A client may ask for more at once than runs at once: the rest waits, and what is said of it (a cancellation, a ping) is
heard all the same, until what waits is too much; then the pipe is not read until some of it has run.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
from pydantic_core import to_json

from .app import App, Caller
from .envelope import is_id, other_spelling
from .front import Handover, Snapshot, Variant
from .stdio_beside import INITIALIZED, Greeting, SdkServers
from .stdio_lanes import Lane
from .stdio_pipe import Output, Unreadable, lines_of, read_message
from .tools.runner import ToolRunners, counted
from .tools.wire import ToolCall, answered, client_name, progressed, tool_call
from .tracing import is_traced

if TYPE_CHECKING:
    from mcp.server import MCPServer

log = logging.getLogger(__name__)

MOST_AT_ONCE = 64
"""Calls that run at once, and requests that the SDK's server has at once; as many as a caller over HTTP may have."""
MOST_WAITING = 16 << 20
"""Bytes of requests that wait until no more is read: ten thousand calls of usual size."""
GRACE = 10.0
"""Seconds that calls get to end once the client has closed its end and still reads: a script may pipe in all it asks at once. They are
counted from when the last call that waited for its turn has begun."""
LOOK = 0.2
LAST = 5.0
"""Seconds until what is left then is let go: the client may hold its end open and read nothing."""
CONNECTION_CLOSED = -32000
"""The SDK's code for a request whose connection ended first."""

BuildServer = Callable[[App, Caller], "MCPServer"]
"""Imports the SDK and builds its server; called in a thread, when it is needed."""


NOTHING = Snapshot({"initialize": {}, "discover": {}, "lists": {}, "tools": []}, Variant())


async def serve_direct(app: App, handover: Handover, snapshot: Snapshot | None, build: BuildServer) -> None:
    """Serve until the client closes its end, and the calls that run then have ended or had their time. Without a snapshot, as where the
    SDK is another than that of which one was made, its server answers all but stateless calls.
    """
    try:
        await _Conversation(app, handover, snapshot or NOTHING, build).serve()
    except* BrokenPipeError:
        log.info("The client is gone.")


@dataclass(eq=False)
class _Running:
    """A call until its answer is written. `given_up`: the client wants no answer. `writing`: the scope in which the answer waits for the
    client to read.
    """

    call: ToolCall
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    writing: anyio.CancelScope | None = None
    given_up: bool = False

    def end(self) -> None:
        """Cancels it, wherever it is. Shields inside it hold."""
        self.given_up = True
        self.scope.cancel()
        if self.writing is not None:
            self.writing.cancel()


class _Conversation:
    """One client at the other end of the pipe."""

    def __init__(self, app: App, handover: Handover, snapshot: Snapshot, build: BuildServer) -> None:
        self._app = app
        self._handover = handover
        self._snapshot = snapshot
        self._output = Output(handover.output_fd)
        self._runners = ToolRunners(app)
        self._caller = Caller()
        self._greeting = Greeting(answered=handover.answered)
        self._greeted = False
        self._greeted_before = set(handover.answered)
        self._calls = Lane(MOST_AT_ONCE)
        self._running: set[_Running] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: BaseException | None = None
        self._called = False
        self._traced = is_traced()
        self._ended = anyio.Event()
        self._sdk = SdkServers(
            self._output, lambda: build(app, self._caller), MOST_AT_ONCE, self._greeting, lambda: self._ended.set()
        )
        self._lanes = (self._calls, self._sdk.lane)

    async def serve(self) -> None:
        async with anyio.create_task_group() as tasks, self._all_calls():
            async for line in lines_of(self._handover):
                if not line.strip():
                    continue
                message = read_message(line)
                if isinstance(message, Unreadable):
                    await self._output.write(message.text())
                else:
                    await self._take(message, line, tasks)
            await self._drain()
            tasks.cancel_scope.deadline = anyio.current_time() + LAST
            await self._let_go()
        if self._failed is not None:
            raise self._failed

    async def _take(self, message: dict[str, Any], line: bytes, tasks: anyio.abc.TaskGroup) -> None:
        """Answer a message, or see to it that it is answered in its turn."""
        if not is_id(message.get("id")) or message.get("method") is None:
            self._hear(message, line)
            return
        call = tool_call(message, self._runners)
        if call is not None and (call.client is not None or self._greeted) and not self._traced:
            if not self._called:  # many sessions call nothing, and need no process for the guard
                self._called = True
                tasks.start_soon(self._app.warm_up)
            self._calls.enter(call.id, len(line), partial(self._begin, call, tasks))
        elif (answer := self._known(message)) is not None:
            if message["method"] == "initialize" and self._greet(message, line):
                return
            await self._output.write_bytes(answer)
        else:
            self._sdk.ask(message, line, tasks)
        if self._has_too_much():
            await self._while(self._has_too_much)

    def _has_too_much(self) -> bool:
        return self._calls.size + self._sdk.lane.size > MOST_WAITING

    def _known(self, message: dict[str, Any]) -> bytes | None:
        """The answer in the snapshot. Once the SDK's server is there it has the handshake; a ping waits for nothing."""
        if self._sdk.are_there and message["method"] != "ping":
            return None
        return self._snapshot.line(message, self._greeted)

    def _greet(self, message: dict[str, Any], line: bytes) -> bool:
        """Whether the client has its answer to `initialize` already; what it says of itself is the audit's."""
        number = message["id"]
        self._greeted = True
        self._greeting.lines = {"initialize": line.decode()}
        self._greeting.answered = frozenset({number}) | self._greeted_before
        self._caller = replace(self._caller, client=client_name(message["params"]["clientInfo"]))
        answered_before = number in self._greeted_before
        self._greeted_before.discard(number)
        return answered_before

    def _hear(self, message: dict[str, Any], line: bytes) -> None:
        """A notification, or a response: nobody asks a client anything. Of all that is said, two things matter."""
        method = message.get("method")
        if method == INITIALIZED:
            self._sdk.tell_initialized(line)
        elif method == "notifications/cancelled":
            params = message.get("params")
            asked = params.get("requestId") if isinstance(params, dict) else None
            if is_id(asked) and not self._give_up(asked, line) and (other := other_spelling(asked)) is not None:
                self._give_up(other, line)

    def _give_up(self, number: str | int, line: bytes) -> bool:
        """Whether a request with this id waited or ran. It gets no answer (MCP, "Cancellation")."""
        known = self._calls.give_up(number)
        known = self._sdk.give_up(number, line) or known
        for running in self._running:
            if running.call.id == number:
                known = running.given_up = True
                running.scope.cancel()
        return known

    @asynccontextmanager
    async def _all_calls(self) -> AsyncIterator[None]:
        """All calls have ended with the end of the block, which waits for them, or ends them where it is cancelled itself.

        They are plain tasks: one of anyio's costs a tenth of a small read. asyncio's own group would cancel the task, and so cut off what
        a shield inside it protects: a branch that is half made is taken away, a statement is cancelled in Postgres.
        """
        try:
            yield
            while self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            for lane in self._lanes:
                lane.clear()
            for running in self._running:
                running.end()
            if self._tasks:
                with anyio.CancelScope(shield=True):
                    await asyncio.wait(self._tasks)

    def _begin(self, call: ToolCall, tasks: anyio.abc.TaskGroup) -> None:
        running = _Running(call)
        self._running.add(running)
        task = asyncio.get_running_loop().create_task(self._call(running))
        self._tasks.add(task)
        task.add_done_callback(partial(self._done, running, tasks))

    def _done(self, running: _Running, tasks: anyio.abc.TaskGroup, task: "asyncio.Task[None]") -> None:
        """A call has ended, one way or another: its place is free."""
        self._tasks.discard(task)
        self._running.discard(running)
        if not task.cancelled() and (failed := task.exception()) is not None:
            self._failed = self._failed or failed
            tasks.cancel_scope.cancel()
        self._calls.leave()
        self._ended.set()

    async def _call(self, running: _Running) -> None:
        call = running.call
        caller = self._caller if call.client is None else replace(self._caller, client=call.client)
        line = b""
        with running.scope:
            line = answered(
                call, await self._runners[call.tool].run(call.arguments, caller, counted(self._report_to(call)))
            )
        if not running.given_up and (left := self._output.begin((line or _closed(call.id)) + b"\n")) is not None:
            running.writing = anyio.CancelScope()
            with running.writing:
                await self._output.finish(left)

    def _report_to(self, call: ToolCall) -> Callable[[int, str], Any]:
        async def report(count: int, message: str) -> None:
            if call.progress_token is not None:
                await self._output.write_bytes(progressed(call.progress_token, count, message) + b"\n")

        return report

    async def _while(self, condition: Callable[[], bool]) -> None:
        """Waits while it holds, and while somebody may read the answers."""
        while condition() and self._output.has_reader():
            with anyio.move_on_after(LOOK):
                await self._ended.wait()
            self._ended = anyio.Event()

    async def _drain(self) -> None:
        """Waits for what was asked and is not answered. Each time that something begins which waited, all of it has its time anew."""
        waiting = -1
        while waiting != (waits := sum(lane.waiting for lane in self._lanes)):
            waiting = waits
            with anyio.move_on_after(GRACE):
                await self._while(partial(self._is_busy, waiting))

    def _is_busy(self, waiting: int) -> bool:
        """Whether something runs, and nothing has begun of so many that waited."""
        return any(self._lanes) and waiting == sum(lane.waiting for lane in self._lanes)

    async def _let_go(self) -> None:
        """Cancels what still runs, and answers what never ran."""
        waited = [number for lane in self._lanes for number in lane.clear()]
        self._sdk.close()
        for running in self._running:
            running.scope.cancel()
        for number in waited:
            await self._output.write_bytes(_closed(number) + b"\n")


def _closed(number: str | int) -> bytes:
    error = {"code": CONNECTION_CLOSED, "message": "Connection closed"}
    return to_json({"jsonrpc": "2.0", "id": number, "error": error})
