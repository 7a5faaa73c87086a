"""An MCP server that lets AI agents do anything on a Neon branch, and nothing to the default branch."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("neon-branch-mcp")
