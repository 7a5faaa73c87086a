"""The stdio transport: over the process's own pipes, or over a pipe that the front hands over with what it read and answered.

The SDK reads and writes its streams in threads, which for a small answer costs more than the answer. A pipe can be waited for on the
event loop. The SDK also leaves a line that it cannot read without an answer, for which the client then waits, and reads bytes that are not
UTF-8 as other text, which it then runs: here both get an error (JSON-RPC 2.0, section 5.1).
"""

import json
import os
import select
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import anyio
from mcp.server import MCPServer
from mcp.server.stdio import stdio_server

from .front import Handover, take_standard_streams

CHUNK = 1 << 16
NEVER_BLOCKS = 4096
"""Bytes that a pipe which can be written to takes without making the writer wait (PIPE_BUF)."""
PARSE_ERROR, INVALID_REQUEST = -32700, -32600


@dataclass(frozen=True)
class Unreadable:
    """Why a line is no message, and the id of the request where one can be made out."""

    code: int
    message: str
    id: Any = None

    def text(self) -> str:
        """The answer, as a line."""
        return (
            json.dumps({"jsonrpc": "2.0", "id": self.id, "error": {"code": self.code, "message": self.message}}) + "\n"
        )


def unreadable(line: bytes) -> Unreadable | None:
    """What is wrong with a line that is not empty; None for a message, whatever it asks."""
    try:
        text, fault = line.decode(), ""
    except UnicodeDecodeError as exc:
        text, fault = (
            line.decode(errors="replace"),
            f"The message is not UTF-8 at byte {exc.start + 1}. Nothing was done.",
        )
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as exc:
        return Unreadable(PARSE_ERROR, fault or f"The message is not JSON: {exc}.")
    if not isinstance(message, dict):
        return Unreadable(INVALID_REQUEST, "The message is not a JSON object.")
    asked = message.get("id")
    found = asked if isinstance(asked, str | int) and not isinstance(asked, bool) else None
    if fault:
        return Unreadable(PARSE_ERROR, fault, found)
    if "\\u" in text and _holds_half_a_pair(message):
        return Unreadable(
            PARSE_ERROR, "The message holds half of a surrogate pair: it is no text. Nothing was done.", found
        )
    if message.get("jsonrpc") != "2.0" or not ("method" in message or "result" in message or "error" in message):
        return Unreadable(INVALID_REQUEST, "The message is no JSON-RPC 2.0 request, notification or response.", found)
    return None


def _holds_half_a_pair(message: Any) -> bool:
    try:
        json.dumps(message, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


async def serve_stdio(server: MCPServer, handover: Handover | None = None) -> None:
    """Serve until the client closes its end."""
    if handover is None:
        if sys.platform == "win32":  # there no pipe can be waited for
            await server.run_stdio_async()
            return
        handover = Handover(*take_standard_streams(), (), b"", frozenset(), closed=False)
    output = _Output(handover)
    # Of the streams the SDK uses this much; it offers its transport with given streams, but only its low-level server takes one.
    stdin, stdout = cast(Any, _messages(handover, output)), cast(Any, output)
    low_level = server._lowlevel_server
    async with stdio_server(stdin=stdin, stdout=stdout) as (read, write):
        await low_level.run(read, write, low_level.create_initialization_options())


async def _messages(handover: Handover, output: "_Output") -> AsyncIterator[str]:
    """The lines that are messages; the others are answered with what is wrong."""
    async for line in _lines(handover):
        if not line.strip():
            continue
        if (fault := unreadable(line)) is None:
            yield line.decode()
        else:
            await output.write(fault.text())


async def _lines(handover: Handover) -> AsyncIterator[bytes]:
    """The client's lines: those that were read already, then what the pipe still gives."""
    for line in handover.lines:
        yield line
    parts, ended = [handover.rest], handover.closed
    while not ended:
        data = await _read(handover.input_fd)
        ended = not data
        first, *others = data.split(b"\n")
        parts.append(first)
        for following in others:
            yield b"".join(parts)
            parts = [following]
    if rest := b"".join(parts):
        yield rest


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
        self._writing = anyio.Lock(fast_acquire=True)

    async def write(self, text: str) -> None:
        """One line, whole: the SDK is not the only one who writes."""
        async with self._writing:
            await self._write(text)

    async def _write(self, text: str) -> None:
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
