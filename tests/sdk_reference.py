"""The SDK's server alone at the pipe: what its answers are is what ours are held to."""

from collections.abc import AsyncIterator

from mcp.server import MCPServer

from neon_branch_mcp.front import Handover
from neon_branch_mcp.stdio import serve_messages
from neon_branch_mcp.stdio_pipe import OnceAnswered, Output, Unreadable, lines_of, read_message


async def serve_by_sdk(server: MCPServer, handover: Handover) -> None:
    """Serve until the client closes its end."""
    output = Output(handover.output_fd)

    async def messages() -> AsyncIterator[str]:
        async for line in lines_of(handover):
            message = read_message(line) if line.strip() else None
            if isinstance(message, Unreadable):
                await output.write(message.text())
            elif message is not None:
                yield line.decode()

    await serve_messages(server, messages(), OnceAnswered(output, handover.answered))
