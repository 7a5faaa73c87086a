"""The SDK's server beside the loop of `stdio_direct`, for what is not plainly a call of a tool nor in the snapshot.

It is started for the first such request. A server of the SDK's serves a connection in one era of the protocol only, that of its first
request; a stateless request says itself of which it is, whatever came before it, so each era has its own such server. Where the SDK
cannot be loaded, such requests are answered with why, and tools go on.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from .envelope import STATELESS, is_enveloped, is_id
from .stdio_lanes import Lane
from .stdio_pipe import OnceAnswered, Output, Unreadable

if TYPE_CHECKING:
    from mcp.server import MCPServer

log = logging.getLogger(__name__)

INTERNAL_ERROR = -32603
INITIALIZED = "notifications/initialized"


@dataclass
class Greeting:
    """The handshake that was answered for the SDK's server, which it is told of when it starts: lines by their methods, and the ids of
    requests whose second answer must not reach the client.
    """

    lines: dict[str, str] = field(default_factory=dict)
    answered: frozenset[Any] = frozenset()


class SdkServers:
    """The SDK's servers of one conversation, `most` requests at once. `ended` is called when one has its answer."""

    def __init__(
        self, output: Output, build: Callable[[], "MCPServer"], most: int, greeting: Greeting, ended: Callable[[], None]
    ) -> None:
        self._output = output
        self._build = build
        self._greeting = greeting
        self._ended = ended
        self._asked: Counter[Any] = Counter()
        self._servers: dict[str, MemoryObjectSendStream[str]] = {}
        self._broken = False
        self.lane = Lane(most)

    @property
    def are_there(self) -> bool:
        """Whether one was started, as far as is known with success."""
        return bool(self._servers) and not self._broken

    def ask(self, message: dict[str, Any], line: bytes, tasks: anyio.abc.TaskGroup) -> None:
        """Hand over a request, when it is its turn. The answer goes to the client."""
        enveloped = message["method"] != "initialize" and is_enveloped(message.get("params"))
        era, number = STATELESS if enveloped else "", message["id"]

        def begin() -> None:
            if era not in self._servers:
                self._start(era, tasks)
            self._asked[number] += 1
            self._servers[era].send_nowait(line.decode())

        self.lane.enter(number, len(line), begin)

    def tell_initialized(self, line: bytes) -> None:
        """Hand over the end of the client's handshake, once: to the server that is there, or to the one that starts."""
        if INITIALIZED not in self._greeting.lines:
            self._greeting.lines[INITIALIZED] = line.decode()
            if "" in self._servers:
                self._servers[""].send_nowait(line.decode())

    def give_up(self, number: Any, line: bytes) -> bool:
        """Whether a request with this id waited or runs here, which is given up now and gets no answer (MCP, "Cancellation")."""
        waited, runs = self.lane.give_up(number), number in self._asked
        if runs:
            for server in self._servers.values():
                server.send_nowait(line.decode())
        while self._left(number):
            pass
        return waited or runs

    def close(self) -> None:
        """Nothing more will be asked."""
        for server in self._servers.values():
            server.close()

    def _start(self, era: str, tasks: anyio.abc.TaskGroup) -> None:
        # Without a bound, and yet bounded: what is sent are requests that have their turn, and what is said of these.
        self._servers[era], received = anyio.create_memory_object_stream[str](float("inf"))
        answered = frozenset[Any]()
        if era == "":
            answered = self._greeting.answered
            for line in self._greeting.lines.values():
                self._servers[era].send_nowait(line)
        tasks.start_soon(self._serve, received, OnceAnswered(self._output, answered, self._answered))

    async def _serve(self, received: MemoryObjectReceiveStream[str], output: OnceAnswered) -> None:
        async with received:
            try:
                server = await anyio.to_thread.run_sync(self._build)
                # Only now: the SDK takes a second to import, which the thread has done.
                from .stdio import serve_messages
            except Exception as exc:  # noqa: BLE001 - an installation can be broken in any way, and tools need none of it
                reason = f"{type(exc).__name__}: {exc}"
                if not self._broken:
                    self._broken = True
                    log.error("The MCP SDK could not be loaded; what needs it is answered with an error. %s", reason)
                await _refuse(received, output, reason)
            else:
                await serve_messages(server, received, output)

    def _answered(self, number: Any) -> None:
        self._left(number)
        self._ended()

    def _left(self, number: Any) -> bool:
        """Whether a request with this id was open, which is none any more."""
        if number not in self._asked:
            return False
        self._asked -= Counter([number])  # what is down to none is no longer kept
        self.lane.leave()
        return True


async def _refuse(received: MemoryObjectReceiveStream[str], output: OnceAnswered, reason: str) -> None:
    """Answer what the SDK's server would have answered, with why there is none."""
    text = f"This needs the MCP SDK, which could not be loaded ({reason}). Install neon-branch-mcp again."
    async for line in received:
        message = json.loads(line)
        if is_id(message.get("id")):
            await output.write(Unreadable(INTERNAL_ERROR, text, message["id"]).text())
