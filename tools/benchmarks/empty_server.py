"""The least that a server on the same SDK can be: one tool that does nothing. What it costs is not ours."""

from mcp.server import MCPServer

server = MCPServer(name="empty", log_level="WARNING")


@server.tool()
async def nothing() -> str:
    """Do nothing."""
    return "nothing"


if __name__ == "__main__":
    server.run()
