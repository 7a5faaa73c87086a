"""The least that a server over HTTP on the same SDK can be: `python empty_http_server.py PORT [stateful|stateless] [json|sse]`."""

import sys

import uvicorn
from mcp.server import MCPServer

server = MCPServer(name="empty", log_level="WARNING")


@server.tool()
async def nothing() -> str:
    """Do nothing."""
    return "nothing"


if __name__ == "__main__":
    port, *kind = sys.argv[1:]
    app = server.streamable_http_app(stateless_http="stateless" in kind, json_response="json" in kind)
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", timeout_keep_alive=75)
