"""The stdio transport: over the process's own pipes, or over a pipe that the front hands over with what it read and answered."""

import io
import json
import os
from collections.abc import Sequence
from typing import Any

import anyio
from mcp.server import MCPServer
from mcp.server.stdio import stdio_server

from .front import Handover


async def serve_stdio(server: MCPServer, handover: Handover | None = None) -> None:
    """Serve until the client closes its end."""
    if handover is None:
        await server.run_stdio_async()
        return
    head = b"".join(line + b"\n" for line in handover.lines) + handover.rest
    reader = io.BufferedReader(_Continued(handover.input_fd, head, ended=handover.closed))
    stdin = anyio.wrap_file(io.TextIOWrapper(reader, encoding="utf-8", errors="replace"))
    stdout = anyio.wrap_file(_AnsweredOnce(handover.output_fd, handover.answered))
    # The SDK offers its stdio transport with given streams, but only its low-level server takes one.
    low_level = server._lowlevel_server
    async with stdio_server(stdin=stdin, stdout=stdout) as (read, write):
        await low_level.run(read, write, low_level.create_initialization_options())


class _Continued(io.RawIOBase):
    """Bytes that were read already, then what the pipe still gives."""

    def __init__(self, fd: int, head: bytes, *, ended: bool) -> None:
        self._fd, self._head, self._ended = fd, head, ended

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._head and not self._ended:
            self._head = os.read(self._fd, len(buffer))
        taken, self._head = self._head[: len(buffer)], self._head[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


class _AnsweredOnce(io.TextIOWrapper):
    """Writes to the client, but for answers to requests that the front has answered."""

    def __init__(self, fd: int, answered: Sequence[Any] | frozenset[Any]) -> None:
        super().__init__(os.fdopen(fd, "wb", closefd=False), encoding="utf-8")
        self._answered = set(answered)

    def write(self, text: str) -> int:
        if self._answered:
            message = json.loads(text)
            if "result" in message and message.get("id") in self._answered:
                self._answered.remove(message["id"])
                return len(text)
        return super().write(text)
