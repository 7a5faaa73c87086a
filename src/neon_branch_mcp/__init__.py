"""An MCP server that lets AI agents do anything on a Neon branch, and nothing to the default branch."""

__all__ = ["__version__"]

__version__ = "0.1.0"
