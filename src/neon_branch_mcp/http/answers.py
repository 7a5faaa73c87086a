"""What the door says when it does not let a request through: a status and a JSON-RPC error that a client can show."""

import json
from collections.abc import Mapping

from starlette.responses import Response

from ..errors import (
    AuthError,
    ConfigError,
    LimitExceeded,
    NeonBranchError,
    NotPermitted,
    Refused,
    TimedOut,
    Unreachable,
)

STATUS: Mapping[type[NeonBranchError], int] = {
    Refused: 400,
    AuthError: 401,
    NotPermitted: 403,
    LimitExceeded: 429,
    ConfigError: 503,
    Unreachable: 503,
    TimedOut: 503,
}
"""Errors that may happen at the door; any other is 503 as well: what checks callers does not work."""
SERVER_ERROR = -32000
"""The JSON-RPC code that implementations may use as they like."""
INVALID_REQUEST = -32600


def refusal(
    status: int, message: str, headers: Mapping[str, str] | None = None, *, code: int = SERVER_ERROR
) -> Response:
    """An answer to a request that was not read, or not let through."""
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    return Response(
        json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        status_code=status,
        headers=headers,
        media_type="application/json",
    )


def status_of(error: NeonBranchError) -> int:
    """The HTTP status of an error at the door."""
    return next((STATUS[c] for c in type(error).__mro__ if c in STATUS), 503)
