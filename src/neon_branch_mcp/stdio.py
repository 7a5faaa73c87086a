"""The stdio transport: over the process's own pipes, or over a pipe that the front hands over with what it read and answered.

The SDK reads and writes its streams in threads, which for a small answer costs more than the answer. A pipe can be waited for on the
event loop.
"""

import json
import os
import select
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, cast

import anyio
from mcp.server import MCPServer
from mcp.server.stdio import stdio_server

from .front import Handover

CHUNK = 1 << 16
NEVER_BLOCKS = 4096
"""Bytes that a pipe which can be written to takes without making the writer wait (PIPE_BUF)."""


async def serve_stdio(server: MCPServer, handover: Handover | None = None) -> None:
    """Serve until the client closes its end."""
    if handover is None:
        await server.run_stdio_async()
        return
    # Of the streams the SDK uses this much; it offers its transport with given streams, but only its low-level server takes one.
    stdin, stdout = cast(Any, _lines(handover)), cast(Any, _Output(handover))
    low_level = server._lowlevel_server
    async with stdio_server(stdin=stdin, stdout=stdout) as (read, write):
        await low_level.run(read, write, low_level.create_initialization_options())


async def _lines(handover: Handover) -> AsyncIterator[str]:
    """The client's lines: those that were read already, then what the pipe still gives."""
    for line in handover.lines:
        yield line.decode(errors="replace")
    parts, ended = [handover.rest], handover.closed
    while not ended:
        data = await _read(handover.input_fd)
        ended = not data
        first, *others = data.split(b"\n")
        parts.append(first)
        for following in others:
            yield b"".join(parts).decode(errors="replace")
            parts = [following]
    if rest := b"".join(parts):
        yield rest.decode(errors="replace")


async def _read(fd: int) -> bytes:
    with suppress(PermissionError):  # a file, for which nobody ever waits
        await anyio.wait_readable(fd)
    return os.read(fd, CHUNK)


class _Output:
    """Writes to the client, but for answers to requests that the front has answered."""

    def __init__(self, handover: Handover) -> None:
        self._fd = handover.output_fd
        self._answered = set(handover.answered)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLOUT)

    async def write(self, text: str) -> None:
        if self._answered:
            message = json.loads(text)
            if "result" in message and message.get("id") in self._answered:
                self._answered.remove(message["id"])
                return
        left = memoryview(text.encode())
        while left:
            if not self._poll.poll(0):
                await anyio.wait_writable(self._fd)
            left = left[os.write(self._fd, left[:NEVER_BLOCKS]) :]

    async def flush(self) -> None:
        """Nothing is held back."""
