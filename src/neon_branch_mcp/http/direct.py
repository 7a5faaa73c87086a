"""Tool calls of a client of the handshake's versions, answered where they arrive.

The SDK's stateless transport makes a connection for each request: three tasks and three streams, which cost more than most calls. Its own
driver for a single exchange (`serve_one`, the one that serves 2026-07-28) runs the same middleware, validation and handlers without them.
What is not plainly such a call goes to the SDK's transport, which also words every complaint about its form.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp.server.connection import Connection
from mcp.server.lowlevel.server import Server
from mcp.server.runner import serve_one
from mcp.server.streamable_http import check_accept_headers
from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import NoBackChannelError
from mcp.shared.jsonrpc_dispatcher import handler_exception_to_error_data
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp_types import DEFAULT_NEGOTIATED_VERSION, INTERNAL_ERROR, ErrorData, JSONRPCRequest
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import ValidationError
from pydantic_core import from_json, to_json
from starlette.requests import Request
from starlette.types import Scope

log = logging.getLogger(__name__)

METHOD = "tools/call"
_VERSION = "mcp-protocol-version"
_TRANSPORT = TransportContext(kind="streamable-http", can_send_request=False)


@dataclass
class _Exchange:
    """The SDK's view of a request that is answered with one JSON body: nothing else can be said to the client."""

    request_id: str | int
    message_metadata: ServerMessageMetadata
    transport: TransportContext = _TRANSPORT
    can_send_request: bool = False
    cancel_requested: anyio.Event = field(default_factory=anyio.Event)

    async def send_raw_request(
        self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None
    ) -> dict[str, Any]:
        raise NoBackChannelError(method)

    async def notify(self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None) -> None:
        """Dropped: a JSON answer has no room for it."""

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Dropped likewise; who wants to hear of progress is answered with a stream."""


def tool_call(scope: Scope, body: bytes) -> tuple[Request, JSONRPCRequest] | None:
    """The call in a request that this module can answer; None for anything else."""
    request = Request(scope)
    versions = request.headers.getlist(_VERSION)
    if len(versions) > 1 or (versions and versions[0] not in HANDSHAKE_PROTOCOL_VERSIONS):
        return None
    if not check_accept_headers(request)[0]:
        return None
    try:
        call = JSONRPCRequest.model_validate(from_json(body), by_name=False)
    except (ValueError, ValidationError):
        return None
    return (request, call) if call.method == METHOD else None


async def answer(server: Server[Any], request: Request, call: JSONRPCRequest) -> bytes:
    """The JSON-RPC answer to a call, as the SDK's transport gives it."""
    version = request.headers.get(_VERSION, DEFAULT_NEGOTIATED_VERSION)
    connection = Connection.from_envelope(version, None, None)
    exchange = _Exchange(call.id, ServerMessageMetadata(request_context=request))
    envelope: dict[str, Any] = {"jsonrpc": "2.0", "id": call.id}
    try:
        result = await serve_one(server, exchange, call.method, call.params, connection=connection, lifespan_state={})
    except Exception as exc:  # noqa: BLE001 - the last boundary before the wire; what is not foreseen is logged
        envelope["error"] = _error(exc).model_dump(by_alias=True, exclude_unset=True)
    else:
        envelope["result"] = result
    return to_json(envelope, inf_nan_mode="null")


def _error(exc: Exception) -> ErrorData:
    if (known := handler_exception_to_error_data(exc)) is not None:
        return known
    log.exception("A request could not be answered")
    return ErrorData(code=INTERNAL_ERROR, message="Internal server error")
