"""The stdio transport with the SDK's server: for all that a client says, or for what `stdio_direct` leaves to it.

The SDK leaves a line that it cannot read without an answer, for which the client then waits, and reads bytes that are not UTF-8 as other
text, which it then runs: here both get an error.
"""

import sys
from collections.abc import AsyncIterator
from typing import Any, cast

from mcp.server import MCPServer
from mcp.server.stdio import stdio_server

from .front import Handover, take_standard_streams
from .stdio_pipe import OnceAnswered, Output, Unreadable, lines_of, read_message


async def serve_stdio(server: MCPServer, handover: Handover | None = None) -> None:
    """Serve until the client closes its end."""
    if handover is None:
        if sys.platform == "win32":  # there no pipe can be waited for
            await server.run_stdio_async()
            return
        handover = Handover(*take_standard_streams(), (), b"", frozenset(), closed=False)
    output = Output(handover.output_fd)
    await serve_messages(server, _messages(handover, output), OnceAnswered(output, handover.answered))


async def serve_messages(server: MCPServer, messages: AsyncIterator[str], output: OnceAnswered) -> None:
    """Serve these messages, a line each, until there are no more."""
    # Of the streams the SDK uses this much; it offers its transport with given streams, but only its low-level server takes one.
    stdin, stdout = cast(Any, messages), cast(Any, output)
    low_level = server._lowlevel_server
    async with stdio_server(stdin=stdin, stdout=stdout) as (read, write):
        await low_level.run(read, write, low_level.create_initialization_options())


async def _messages(handover: Handover, output: Output) -> AsyncIterator[str]:
    """The lines that are messages; the others are answered with what is wrong."""
    async for line in lines_of(handover):
        if not line.strip():
            continue
        message = read_message(line)
        if isinstance(message, Unreadable):
            await output.write(message.text())
        else:
            yield line.decode()
