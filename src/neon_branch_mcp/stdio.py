"""The SDK's server, told line by line what `stdio_direct` leaves to it.

The SDK passes over a line that it cannot read, and the client waits for its answer: here it gets an error.
"""

import json
from collections.abc import AsyncIterator
from typing import Any, cast

from mcp.server import MCPServer
from mcp.server.stdio import stdio_server
from mcp_types import JSONRPCRequest, jsonrpc_message_adapter
from pydantic import ValidationError

from .envelope import is_request
from .stdio_pipe import INVALID_REQUEST, OnceAnswered, Unreadable


async def serve_messages(server: MCPServer, messages: AsyncIterator[str], output: OnceAnswered) -> None:
    """Serve these messages, a line each, until there are no more."""
    # Of the streams the SDK uses this much; it offers its transport with given streams, but only its low-level server takes one.
    stdin, stdout = cast(Any, _readable(messages, output)), cast(Any, output)
    low_level = server._lowlevel_server
    async with stdio_server(stdin=stdin, stdout=stdout) as (read, write):
        await low_level.run(read, write, low_level.create_initialization_options())


async def _readable(messages: AsyncIterator[str], output: OnceAnswered) -> AsyncIterator[str]:
    """The messages that the SDK reads as what they are. It passes over a request that it cannot read, such as one nested too deeply."""
    async for line in messages:
        fault = _unreadable(line)
        if fault is None:
            yield line
        else:
            await output.write(fault.text())


def _unreadable(line: str) -> Unreadable | None:
    """Why the SDK would leave a request without an answer."""
    reason = "it is none"
    try:
        if isinstance(jsonrpc_message_adapter.validate_json(line, by_name=False), JSONRPCRequest):
            return None
    except ValidationError as exc:
        reason = exc.errors(include_url=False, include_input=False)[0]["msg"]
    message = json.loads(line)
    return (
        Unreadable(INVALID_REQUEST, f"The request cannot be read: {reason}.", message["id"])
        if is_request(message)
        else None
    )
