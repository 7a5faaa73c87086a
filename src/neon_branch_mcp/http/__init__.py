"""The HTTP transport: one door (`endpoint`) in front of the MCP server, and what stands beside it (health, metrics)."""
