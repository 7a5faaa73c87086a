"""A tool call as it stands on the wire (MCP, "Tools"; JSON-RPC 2.0), read and answered without the SDK.

Only what is plainly a call of a tool that is offered is read here; everything else, and every complaint about its form, is the SDK's.
A test holds the answers equal to the SDK's.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from .. import __version__
from ..envelope import CLIENT_KEY, OWN, era_of, is_id, is_request
from .runner import Answer

METHOD = "tools/call"
NAME_LENGTH = 100
"""Characters of a client's name that are kept."""
HANDSHAKES = frozenset({"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"})
SERVER_INFO = {"name": "neon-branch-mcp", "title": "Neon branches", "version": __version__}
_STAMP = to_json({f"{OWN}serverInfo": SERVER_INFO})


@dataclass(frozen=True)
class ToolCall:
    """A call. `client` is how its client names itself, "" where it does not, in a stateless call; None in one after a handshake."""

    id: str | int
    tool: str
    arguments: Mapping[str, Any]
    progress_token: str | int | None = None
    client: str | None = None


def tool_call(message: Mapping[str, Any], tools: Container[str]) -> ToolCall | None:
    """The call that a message is; None for one that only the SDK can answer."""
    number, params = message.get("id"), message.get("params")
    if message.get("method") != METHOD or not is_request(message) or not is_id(number):
        return None
    if not isinstance(params, dict) or not params.keys() <= {"name", "arguments", "_meta"}:
        return None
    name, arguments, era = params.get("name"), params.get("arguments"), era_of(params)
    if not isinstance(name, str) or name not in tools or not isinstance(arguments, dict | None) or era is None:
        return None
    meta = params.get("_meta") or {}
    client = None if era == "" else client_name(meta[CLIENT_KEY]) if CLIENT_KEY in meta else ""
    return ToolCall(number, name, arguments or {}, meta.get("progressToken"), client)


def client_name(info: Mapping[str, Any]) -> str:
    """How the audit names a client."""
    return f"{info['name']} {info['version']}"[:NAME_LENGTH]


def answered(call: ToolCall, answer: Answer) -> bytes:
    """The JSON-RPC response. The text of most results is their JSON: it is written once and quoted once."""
    stateless = call.client is not None
    parts = [
        b'{"jsonrpc":"2.0","id":',
        to_json(call.id),
        b',"result":{"content":[{"text":',
        to_json(answer.text),
        b',"type":"text"}],"isError":',
        b"true" if answer.is_error else b"false",
        b',"resultType":"complete"' if stateless else b"",
    ]
    if answer.structured is not None:
        parts += [b',"structuredContent":', answer.structured]
    if stateless:
        parts += [b',"_meta":', _STAMP]
    return b"".join([*parts, b"}}"])


def progressed(token: str | int, progress: int, message: str) -> bytes:
    """The notification of a step."""
    params = {"progressToken": token, "progress": progress, "message": message}
    return to_json({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
